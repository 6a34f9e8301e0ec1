"""Verdicts of `answer` on real and on tricky answers, against a reference: python benchmarks/answers.py FOLDER

FOLDER holds `math500_pairs.jsonl` (`gold`, `prediction`, `math_verify_0_9_0`: answers of two models to MATH-500 from
rasbt/reasoning-from-scratch with that library's verdicts) and `pairs.jsonl` (`gold`, `prediction`, `verdict`: what test
suites of Math-Verify, lighteval and NeMo-Skills demand, most of it LaTeX beyond this rule or answers in running text).
A prediction without any mark is put into `<answer>`. The last line is JSON: `ratios` are shares of verdicts like the
reference's, `targets` what the rule is held to; nothing that the reference refuses may be accepted.
"""

import argparse
import json
import platform
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from whet.rewards import REWARDS, Unscorable

FILES = {"math500_pairs.jsonl": "math_verify_0_9_0", "pairs.jsonl": "verdict"}
TARGETS = {"math500_pairs.jsonl": 0.9, "pairs.jsonl": 0.35}


def verdict(gold: Any, prediction: Any) -> bool | None:
    text = "" if prediction is None else str(prediction)
    is_marked = any(mark in text for mark in ("<answer>", "\\boxed", "####"))
    try:
        return bool(REWARDS["answer"](text if is_marked else f"<answer>{text}</answer>", answer=str(gold)) == 1.0)
    except Unscorable:
        return None


def counted(rows: Iterable[dict[str, Any]], reference: str) -> Counter[str]:
    names = {(True, True): "same", (False, False): "same", (True, False): "accepted", (False, True): "refused"}
    found = Counter[str]()
    for row in rows:
        given, wanted = verdict(row["gold"], row["prediction"]), bool(row[reference])
        found[names[(given, wanted)] if given is not None else f"no verdict, {'right' if wanted else 'wrong'}"] += 1
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    shares, began, total = {}, time.process_time(), 0
    columns = ("same", "accepted", "refused", "no verdict, right", "no verdict, wrong")
    print(f"{'':<22}{'answers':>8}" + "".join(f"{name:>19}" for name in columns))
    for name, reference in FILES.items():
        rows = [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]
        found = counted(rows, reference)
        shares[name], total = round(found["same"] / len(rows), 3), total + len(rows)
        print(f"{name:<22}{len(rows):>8}" + "".join(f"{found[column]:>19}" for column in columns))
        assert not found["accepted"], f"{name}: accepts what the reference refuses"
    rate = total / (time.process_time() - began)
    print(f"{rate:,.0f} answers a second on one core")
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    print(json.dumps({"ratios": shares, "targets": TARGETS, "fraction_of_limit": shares, "machine": machine}))


if __name__ == "__main__":
    main()
