"""Two completions and a verdict on them, as people or judges gave it: each published form, and how its verdict reads.

A tie is a sound row that teaches nothing: it is left out and told. Add a form: a line in JUDGED.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from whet.core.records import Message, Origin
from whet.data.layouts.alpaca import instruction_turns
from whet.data.layouts.fields import BadRow, Row, Skipped, answer_in, as_text, finite, prompt_of, text_in
from whet.data.layouts.layout import Layout, Part
from whet.data.layouts.preferences import compared
from whet.data.layouts.turns import Turn, asked_in, last_answer, turns_of, with_system

__all__ = ["JUDGED_LAYOUTS"]

Side = Literal["first", "second", "tie"]
_SIDES: Mapping[str, Side] = {
    "a": "first",
    "model_a": "first",
    "response_a": "first",
    "b": "second",
    "model_b": "second",
    "response_b": "second",
    "tie": "tie",
    "tie (bothbad)": "tie",
    "both": "tie",
    "neither": "tie",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A form: where the prompt, both completions and the verdict stand, and what the verdict says."""

    name: str
    asks: str
    first: str
    second: str
    verdict: tuple[str, ...]
    says: Callable[[Row, tuple[str, ...]], Side]


def _word(row: Row, names: tuple[str, ...]) -> Side:
    """`a`, `model_b`, `tie`."""
    (name,) = names
    said = _SIDES.get(text_in(row, name).strip().casefold())
    if said is None:
        raise BadRow(name, f"{str(row[name])[:40]!r} is none of {', '.join(_SIDES)}")
    return said


def _number(row: Row, names: tuple[str, ...], *, sides: Mapping[int, Side]) -> Side:
    """A number that stands for a side."""
    (name,) = names
    return _side(row[name], name, sides)


def _side(value: Any, name: str, sides: Mapping[int, Side]) -> Side:
    number = int(value) if isinstance(value, str) and value.strip().isdecimal() else value
    said = sides.get(number) if isinstance(number, int) and not isinstance(number, bool) else None
    if said is None:
        raise BadRow(name, f"{str(value)[:40]!r} is none of {', '.join(map(str, sides))}")
    return said


def _majority(row: Row, names: tuple[str, ...]) -> Side:
    """What more than half of the judges say, each 1, 2 or 0 for a tie; without a majority nothing is certain."""
    votes = Counter(_side(row[name], name, {1: "first", 2: "second", 0: "tie"}) for name in names)
    said, count = votes.most_common(1)[0]
    return said if 2 * count > len(names) else "tie"


def _strength(row: Row, names: tuple[str, ...]) -> Side:
    """Below 0 the first is better, above 0 the second."""
    (name,) = names
    value = finite(row[name], name)
    return "tie" if value == 0 else "first" if value < 0 else "second"


def _higher(row: Row, names: tuple[str, ...]) -> Side:
    """Of two scores the higher one wins."""
    first, second = (finite(row[name], name) for name in names)
    return "tie" if first == second else "first" if first > second else "second"


def _flags(row: Row, names: tuple[str, ...]) -> Side:
    """One column for each outcome, of which exactly one is 1."""
    set_ = [side for side, name in zip(("first", "second", "tie"), names, strict=True) if _is_set(row[name], name)]
    if len(set_) != 1:
        raise BadRow(names[0], f"{len(set_)} of {', '.join(names)} are 1; exactly one was expected")
    said: Side = "first" if set_[0] == "first" else "second" if set_[0] == "second" else "tie"
    return said


def _is_set(value: Any, name: str) -> bool:
    if str(value) not in ("0", "1", "True", "False"):
        raise BadRow(name, f"{str(value)[:40]!r}; 0 or 1 was expected")
    return str(value) in ("1", "True")


def _sentence(row: Row, names: tuple[str, ...]) -> Side:
    """`a-is-better`, `b-is-slightly-better`, `tie`."""
    (name,) = names
    word, _, rest = text_in(row, name).strip().casefold().partition("-is-")
    known = {"a": "first", "b": "second"} if rest.endswith("better") else {"tie": "tie"}
    if word not in known:
        raise BadRow(name, f"{str(row[name])[:40]!r}; a-is-better, b-is-better or tie was expected")
    return _SIDES[word]


JUDGED: tuple[Judged, ...] = (
    # LLMBar, with MT-Bench's human votes in it: https://github.com/princeton-nlp/LLMBar
    Judged(
        name="judged pairs (LLMBar)",
        asks="input",
        first="output_1",
        second="output_2",
        verdict=("label",),
        says=partial(_number, sides={1: "first", 2: "second"}),
    ),
    # PandaLM's test set, three people each: https://github.com/WeOpenML/PandaLM
    Judged(
        name="judged pairs (PandaLM)",
        asks="instruction",
        first="response1",
        second="response2",
        verdict=("annotator1", "annotator2", "annotator3"),
        says=_majority,
    ),
    # Chatbot Arena and MT-Bench: https://huggingface.co/datasets/lmsys/mt_bench_human_judgments
    Judged(
        name="judged conversations (Chatbot Arena)",
        asks="conversation_a",
        first="conversation_a",
        second="conversation_b",
        verdict=("winner",),
        says=_word,
    ),
    # The Arena's competition on Kaggle
    Judged(
        name="judged pairs (Arena, flags)",
        asks="prompt",
        first="response_a",
        second="response_b",
        verdict=("winner_model_a", "winner_model_b", "winner_tie"),
        says=_flags,
    ),
    Judged(
        name="judged pairs (winner)",
        asks="prompt",
        first="response_a",
        second="response_b",
        verdict=("winner",),
        says=_word,
    ),
    # open-instruct's human evaluation: https://github.com/allenai/open-instruct
    Judged(
        name="judged pairs (Tulu)",
        asks="prompt",
        first="completion_a",
        second="completion_b",
        verdict=("preference",),
        says=_sentence,
    ),
    # https://huggingface.co/datasets/PKU-Alignment/PKU-SafeRLHF
    Judged(
        name="judged pairs (SafeRLHF)",
        asks="prompt",
        first="response_0",
        second="response_1",
        verdict=("better_response_id",),
        says=partial(_number, sides={0: "first", 1: "second"}),
    ),
    # https://huggingface.co/datasets/nvidia/HelpSteer2, its file of preferences
    Judged(
        name="judged pairs (HelpSteer2)",
        asks="prompt",
        first="response_1",
        second="response_2",
        verdict=("preference_strength",),
        says=_strength,
    ),
    # https://huggingface.co/datasets/nvidia/HelpSteer3
    Judged(
        name="judged pairs (HelpSteer3)",
        asks="context",
        first="response1",
        second="response2",
        verdict=("overall_preference",),
        says=_strength,
    ),
    # https://huggingface.co/datasets/openai/webgpt_comparisons
    Judged(
        name="judged pairs (WebGPT)",
        asks="question",
        first="answer_0",
        second="answer_1",
        verdict=("score_0", "score_1"),
        says=_higher,
    ),
    # https://huggingface.co/datasets/stanfordnlp/SHP
    Judged(
        name="judged pairs (SHP)",
        asks="history",
        first="human_ref_A",
        second="human_ref_B",
        verdict=("labels",),
        says=partial(_number, sides={1: "first", 0: "second"}),
    ),
)


def _read(row: Row, origin: Origin, think: bool, *, form: Judged) -> Sequence[Part]:
    said = form.says(row, form.verdict)
    if said == "tie":
        return (Skipped(form.verdict[0], "a tie, or no majority: neither is better"),)
    asked, first, second = _conversations(row, form) if form.asks == form.first else _texts(row, form)
    prompt = prompt_of(asked, origin, answer_in(row))
    if said == "first":
        return (compared(prompt, first, second, (form.first, form.second)),)
    return (compared(prompt, second, first, (form.second, form.first)),)


def _texts(row: Row, form: Judged) -> tuple[tuple[Message, ...], str, str]:
    if form.asks == "instruction":
        asked = instruction_turns(row)
    else:
        asked = asked_in({**row, form.asks: _one(row[form.asks], form.asks)}, form.asks)
    first, second = (as_text(_one(row[name], name), name) for name in (form.first, form.second))
    return asked, first, second


def _one(value: Any, field: str) -> Any:
    """WebGPT's question is an object with its full text; the Arena's texts are lists of them, written as JSON."""
    if isinstance(value, Mapping) and isinstance(value.get("full_text"), str):
        return value["full_text"]
    if isinstance(value, str) and value.startswith('["') and value.endswith('"]'):
        try:
            texts = json.loads(value)
        except ValueError:
            return value
        if len(texts) != 1:
            raise BadRow(field, f"{len(texts)} turns; which of them was judged is not certain")
        return texts[0]
    return value


def _conversations(row: Row, form: Judged) -> tuple[tuple[Message, ...], str, str]:
    """Both conversations up to the answer that was judged; `turn` says after which question of the user's."""
    turn = row.get("turn")
    (shared, first), (other, second) = (
        last_answer(_until(turns_of(row[name], name), turn), name) for name in (form.first, form.second)
    )
    if shared != other:
        raise BadRow(form.second, f"its turns differ from {form.first} before the last answer")
    return with_system(row, shared), first, second


def _until(turns: Sequence[Turn], turn: Any) -> Sequence[Turn]:
    """The turns up to the answer to the user's question of that number, from 1."""
    if not isinstance(turn, int) or isinstance(turn, bool) or turn < 1:
        return turns
    asked = [place for place, one in enumerate(turns) if one.role == "user"]
    return turns[: asked[turn]] if turn < len(asked) else turns


JUDGED_LAYOUTS: tuple[Layout, ...] = tuple(
    Layout(
        name=form.name,
        columns=tuple(dict.fromkeys((form.asks, form.first, form.second, *form.verdict))),
        read=partial(_read, form=form),
        imitates=False,
        reads=("input", "history", "turn", "system", "system_prompt", "answer"),
    )
    for form in JUDGED
)
