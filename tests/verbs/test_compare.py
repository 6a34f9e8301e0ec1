import json
from pathlib import Path

import pytest

from whet.core.errors import RunFolderError
from whet.verbs.compare import compare_runs, comparison_text


def run_with(
    path: Path, rights: dict[str, bool | None], *, stages: tuple[str, ...] = ("base", "sft"), kind: str = "long_tail"
) -> Path:
    """Items of these stages; None is a prompt on which the verifier failed."""
    (path / "evaluation").mkdir(parents=True)
    items = [
        {
            "stage": stage,
            "purpose": "final",
            "slice": kind,
            "prompt_id": id_,
            "correct": bool(right) and stage != "base",
            "verdict": "unscorable" if right is None else "correct" if right and stage != "base" else "wrong",
        }
        for stage in stages
        for id_, right in rights.items()
    ]
    (path / "evaluation" / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    return path


def test_pairs_by_prompt_and_leaves_out_the_rest(tmp_path: Path) -> None:
    # shared: p1..p6; B alone right on p1..p5, A alone on none: exact McNemar 2 * (1/2)^5 = 0.0625
    a = run_with(tmp_path / "a", dict.fromkeys(["p1", "p2", "p3", "p4", "p5"], False) | {"p6": True, "x": True})
    b = run_with(tmp_path / "b", dict.fromkeys(["p1", "p2", "p3", "p4", "p5", "p6"], True))
    found = compare_runs(a, b, stage=None)
    assert [row["on"] for row in found] == ["final", "long_tail"]
    final = found[0]
    assert (final["stage"], final["n"], final["only_in_one"], final["wins"], final["losses"]) == ("sft", 6, 1, 5, 0)
    assert final["a"] == pytest.approx(1 / 6)
    assert final["b"] == 1
    assert final["difference"] == pytest.approx(5 / 6)
    assert final["p_value"] == pytest.approx(0.0625)
    text = comparison_text(found)
    assert "+83.3%" in text
    assert text.endswith("1 prompts that only one run was asked are left out")


def test_a_prompt_that_was_not_judged_in_both_is_left_out(tmp_path: Path) -> None:
    a = run_with(tmp_path / "a", {"p1": True, "p2": None, "p3": False})
    b = run_with(tmp_path / "b", {"p1": None, "p2": True, "p3": True})
    (final, _) = compare_runs(a, b, stage="sft")
    assert (final["n"], final["a"], final["b"], final["wins"]) == (1, 0.0, 1.0, 1)


def test_the_stage_is_the_last_that_both_have(tmp_path: Path) -> None:
    a = run_with(tmp_path / "a", {"p": True}, stages=("base", "sft", "rl"))
    b = run_with(tmp_path / "b", {"p": True})
    assert compare_runs(a, b, stage=None)[0]["stage"] == "sft"
    assert compare_runs(a, b, stage="base")[0]["b"] == 0
    with pytest.raises(RunFolderError, match="b: has no evaluation of rl; it has base, sft"):
        compare_runs(a, b, stage="rl")


def test_runs_that_cannot_be_compared_say_why(tmp_path: Path) -> None:
    a = run_with(tmp_path / "a", {"p": True})
    with pytest.raises(RunFolderError, match="were asked no prompt in common"):
        compare_runs(a, run_with(tmp_path / "b", {"q": True}), stage=None)
    with pytest.raises(RunFolderError, match=r"c: has no evaluation/items\.jsonl"):
        compare_runs(a, tmp_path / "c", stage=None)
