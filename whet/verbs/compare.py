"""Two runs on the same prompts: paired differences, from the items that their evaluations left."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from whet.core.errors import RunFolderError
from whet.core.files import read_json_lines
from whet.evaluation.items import is_judged
from whet.evaluation.metrics import paired_difference

__all__ = ["compare_runs", "comparison_text"]

Item = Mapping[str, Any]


def compare_runs(a: Path, b: Path, *, stage: str | None, confidence: float = 0.95) -> list[dict[str, Any]]:
    """One entry per set that both evaluated, as in results.json: b minus a on the prompts that both were asked.

    `stage` is base, sft or rl; without it, the last that both have. `only_in_one` counts the prompts left out, because
    runs with other data or another seed have other prompts.
    """
    ours, theirs = _items(a), _items(b)
    chosen = _stage(a, ours, b, theirs, stage)
    one, other = _sets(ours, chosen), _sets(theirs, chosen)
    found = []
    for name in sorted(one.keys() & other.keys()):
        both = sorted(one[name].keys() & other[name].keys())
        ids = [id_ for id_ in both if is_judged(one[name][id_]) and is_judged(other[name][id_])]
        if ids:
            rights = [[bool(by[name][id_]["correct"]) for id_ in ids] for by in (one, other)]
            paired = paired_difference(*rights, confidence=confidence)
            found.append(
                {
                    "stage": chosen,
                    "on": name,
                    "n": paired.n,
                    "only_in_one": len(one[name].keys() ^ other[name].keys()),
                    "a": sum(rights[0]) / len(ids),
                    "b": sum(rights[1]) / len(ids),
                    "difference": paired.difference,
                    "low": paired.low,
                    "high": paired.high,
                    "p_value": paired.p_value,
                    "wins": paired.wins,
                    "losses": paired.losses,
                }
            )
    if not found:
        raise RunFolderError(f"{a} and {b}: were asked no prompt in common; give both the same data and seed")
    return found


def comparison_text(found: Sequence[Mapping[str, Any]], *, confidence: float = 0.95) -> str:
    """A table: accuracies, difference with its interval, exact p-value, prompts that one alone got right."""
    rows = [
        f"{found[0]['stage']} of A and of B on the same prompts, {confidence:.0%} intervals of B - A",
        f"{'set':<22}{'prompts':>8}{'A':>8}{'B':>8}{'B - A':>9}{'interval':>19}{'p':>9}{'B only':>8}{'A only':>8}",
    ]
    for row in found:
        interval = f"{row['low']:+.1%} to {row['high']:+.1%}"
        rows.append(
            f"{row['on']:<22}{row['n']:>8}{row['a']:>8.1%}{row['b']:>8.1%}{row['difference']:>+9.1%}{interval:>19}"
            f"{row['p_value']:>9.2g}{row['wins']:>8}{row['losses']:>8}"
        )
    left_out = sum(row["only_in_one"] for row in found if row["on"] in ("final", "ft_test", "rl_test"))
    return "\n".join([*rows, *([f"{left_out} prompts that only one run was asked are left out"] if left_out else [])])


def _items(run: Path) -> list[Item]:
    path = run / "evaluation" / "items.jsonl"
    if not path.is_file():
        raise RunFolderError(f"{run}: has no evaluation/items.jsonl; it is there once whet evaluate is done")
    return list(read_json_lines(path))


def _stage(a: Path, ours: Sequence[Item], b: Path, theirs: Sequence[Item], stage: str | None) -> str:
    stages = [[str(item["stage"]) for item in items] for items in (ours, theirs)]
    if stage is None:
        shared = [name for name in ("rl", "sft", "base") if all(name in names for names in stages)]
        if shared:
            return shared[0]
        raise RunFolderError(f"{a} and {b}: have no evaluated stage in common")
    for run, names in zip((a, b), stages, strict=True):
        if stage not in names:
            raise RunFolderError(f"{run}: has no evaluation of {stage}; it has {', '.join(dict.fromkeys(names))}")
    return stage


def _sets(items: Sequence[Item], stage: str) -> dict[str, dict[str, Item]]:
    sets: dict[str, dict[str, Item]] = defaultdict(dict)
    for item in items:
        if item["stage"] == stage:
            for name in _names(item):
                sets[name][item["prompt_id"]] = item
    return sets


def _names(item: Item) -> Iterator[str]:
    """A purpose is a set, and so is each slice of `final`."""
    yield item["purpose"]
    if item["purpose"] == "final" and item["slice"] != "all":
        yield item["slice"]
