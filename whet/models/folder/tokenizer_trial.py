"""The program that tries a stranger's `tokenizer.json` in a process of its own, which the kernel ends when it goes on.

    python tokenizer_trial.py FILE CPU_SECONDS BYTES

Loads the file, encodes a few texts, and writes one line of JSON: `{"problem": null}`, or what is wrong. Imports nothing
of this package, so that it starts in a tenth of a second.
"""

import json
import resource
import sys

__all__ = ["main", "problem_of"]

# Words, figures, scripts, controls, and long runs of one thing, on which a bad pattern never ends.
TEXTS = (
    "Alice has 3 apples and buys 12.5 more; how many (in all) now?\n\n\t<think>3+12.5</think> <|im_end|>",
    "Voilà: 漢字 кириллица عربى हिन्दी ٣ \U0001f642\u200d\u2028\ufeff e\u0301 \x00\x1b",
    *(unit * (600 // len(unit)) for unit in ("a", " ", "\n", "1", "=", "ab ", "'s", "<|", "\u0301")),
)
# Tokens that a character may become; bytes of a character are at most four.
_MOST_PER_CHARACTER = 16


def problem_of(path: str) -> "str | None":
    """Why the tokenizer cannot be used, None when it can."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(path)
        for text in TEXTS:
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            if len(ids) > _MOST_PER_CHARACTER * len(text):
                return f"makes {len(ids):,} tokens of a text of {len(text)} characters"
            tokenizer.decode(ids)
        tokenizer.encode("", add_special_tokens=True)
    except MemoryError:
        return "needs too much memory"
    except BaseException as error:  # a panic of the library is no Exception
        return str(error).strip().partition("\n")[0] or type(error).__name__
    return None


def main(path: str, cpu_s: int, memory: int) -> None:
    """Within the limits; beyond them the process ends without a line."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    print(json.dumps({"problem": problem_of(path)}), flush=True)  # noqa: T201 - this is what it is asked for


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
