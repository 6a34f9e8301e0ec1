"""The verbs of `whet data` as they are typed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Whet = Callable[..., tuple[int, str, str]]
WORDS = [a + b for a in ("cl", "br", "st", "dr", "fl", "gr") for b in ("ock", "ain", "ove", "unt", "ell", "ash")]


def row(place: int) -> str:
    """Questions that share no run of three words."""
    one, two, three, four = (WORDS[(place * step + step) % len(WORDS)] for step in (1, 5, 7, 11))
    question = f"The {one} {two} of {three} {four} {one} is {three}, so what is {two} {four}?"
    return json.dumps({"question": question, "answer": f"Think. #### {place}"}) + "\n"


@pytest.fixture
def prepared(whet: Whet, tmp_path: Path) -> Path:
    rows = "".join(map(row, range(30))) + row(7) + '{"question": 4, "answer": "#### 4"}\n'
    (tmp_path / "rows.jsonl").write_text(rows)
    assert whet("data", "split", "rows.jsonl", "--out", "d", "--data.paraphrase", "off")[0] == 0
    return tmp_path / "d"


def test_a_purpose_may_be_named_either_way(whet: Whet, prepared: Path) -> None:
    _, by_place, _ = whet("data", "view", "d", "final", "--count", 2)
    _, by_name, _ = whet("data", "view", "d", "--purpose", "final", "--count", 2)
    assert by_place == by_name
    assert by_place.count("went to     final: ") == 2
    code, out, _ = whet("data", "view", "d", "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert (code, len(lines), {line["purpose"] for line in lines}) == (0, 5, {"ft_train"})


def test_a_purpose_without_rows_says_so(whet: Whet, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(map(row, range(30))))
    assert whet("data", "split", "rows.jsonl", "--out", "d", "--data.sizes", "{rl_test: 0}")[0] == 0
    assert whet("data", "view", "d", "rl_test") == (0, "no row\n", "")
    assert whet("data", "view", "d", "--rejected") == (0, "no row was refused\n", "")


def test_a_purpose_left_empty_is_said_first_and_is_exit_1(whet: Whet, tmp_path: Path) -> None:
    lines = [json.dumps({"prompt": "Write a verse about the sea.", "completion": f"Verse {n}"}) for n in range(30)]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines) + "\n")
    words = ("data", "split", "rows.jsonl", "--out", "d")
    code, out, err = whet(*words)
    first = "".join(out.split("rows.jsonl:")[0].split())
    assert (code, err) == (1, "")
    assert first.startswith("ft_validation,ft_test,rm_train,rm_testhavenorow,and2,2,4,1wereaskedfor:")
    assert "30of30rowsareonecluster(shared_prompt29),whichisneverparted;seewhetdataviewd--cluster" in first
    assert whet("data", "check", "d")[0] == 0  # what was written is as sound as ever
    code, out, err = whet(*words, "--quiet")
    assert (code, out, "".join(err.split())) == (1, "", first)
    code, out, err = whet(*words, "--json")
    (said,) = json.loads(out)["shortfalls"]
    assert (code, err, "".join(said.split())) == (1, "", first)


def test_a_run_that_needs_a_purpose_left_empty_ends_before_it_trains(whet: Whet, tmp_path: Path) -> None:
    lines = [json.dumps({"prompt": "Write a verse about the sea.", "completion": f"Verse {n}"}) for n in range(30)]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines) + "\n")
    for stage, needed in (("sft", "sft needs ft_validation"), ("rl", "rl needs rl_train")):
        for _ in range(2):  # what was prepared stays, and is refused again
            words = (stage, "--data.source", "rows.jsonl", "--sft.max-steps", 1, "--threads", 1, "--run", stage)
            code, out, err = whet(*(words if stage == "sft" else (*words[:3], *words[5:])))
            assert (code, out) == (2, "")
            assert err.splitlines()[-1].startswith(f"{needed}, which has no row; ft_validation, ft_test,")
            assert f"see whet data view {stage} --cluster" in err
            assert not (tmp_path / stage / stage / "checkpoints").exists()


def test_views_of_pairs_clusters_unused_and_refused_rows(whet: Whet, prepared: Path) -> None:
    code, out, _ = whet("data", "view", "d", "--pairs", "all", "--json")
    pairs = [json.loads(line) for line in out.splitlines()]
    assert (code, [pair["kind"] for pair in pairs]) == (0, ["exact"])
    cluster = pairs[0]["first"]["cluster"]
    assert whet("data", "view", "d", "--pairs", "near")[1] == "no edge of kind near\n"
    code, out, _ = whet("data", "view", "d", "--cluster", cluster[:8])
    assert (code, out.startswith(f"cluster {cluster}  2 rows\n")) == (0, True)
    code, out, _ = whet("data", "view", "d", "unused")
    assert (code, "exact duplicate  1 row\n" in out) == (0, True)
    code, out, _ = whet("data", "view", "d", "--rejected")
    assert (code, out.startswith("rows.jsonl row 31, field question: ")) == (0, True)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("view", "nowhere"), "nowhere: no manifest.json"),
        (("view", "d", "ft_tran"), "no purpose 'ft_tran'; did you mean 'ft_train'?"),
        (
            ("view", "d", "final", "--purpose", "ft_test"),
            "two purposes were given, final and ft_test; one was expected",
        ),
        (("view", "d", "final", "--rejected"), "--purpose and --rejected do not go together; give one of them"),
        (("view", "d", "--pairs", "nare"), "no pairs of kind 'nare'; did you mean 'near'?"),
        (("view", "d", "--cluster", "ffffffff"), "d: no cluster 'ffffffff'; the largest are "),
        (("view", "d", "--count", "0"), "--count"),
        (("trace",), "an id or a text was expected: whet data trace [FOLDER] WANTED"),
        (("trace", "d"), "d is a folder; what is looked for in it was expected"),
        (("trace", "a", "b", "c"), "an id or a text was expected"),
        (("trace", "e", "abcdef"), "e: no such folder"),
        (("trace", "d", "@none.txt"), "none.txt: cannot be read"),
        (("trace", "d", "text", "--runs", "none"), "none: no such folder"),
    ],
)
def test_what_is_wrong_is_one_line_and_exit_2(
    whet: Whet, prepared: Path, words: tuple[str, ...], expected: str
) -> None:
    code, out, err = whet("data", *words)
    assert (code, out) == (2, "")
    assert expected in err
    assert len(err.strip().splitlines()) == 1


def test_trace_by_text_and_by_id(whet: Whet, prepared: Path) -> None:
    code, out, _ = whet("data", "trace", "d", json.loads(row(7))["question"].upper(), "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [(line["kind"], line["row"]) for line in lines[:2]] == [("exact", 7), ("exact", 30)]
    assert {line["purpose"] is None for line in lines[:2]} == {True, False}
    code, out, _ = whet("data", "trace", "d", lines[0]["id"])
    assert code == 0
    assert out.startswith("in this data; no run of it is known, name them with --runs FOLDER\n\nid  rows.jsonl row 7")
    code, out, _ = whet("data", "trace", "d", "0123456789abcdef")
    assert (code, out) == (1, "not in this data, nor a near copy of it\n")


def test_trace_finds_the_runs_by_itself(whet: Whet, finished_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished_run.parent.parent)
    (finished_run.parent.parent / "runs").exists() or (finished_run.parent.parent / "runs").symlink_to(
        finished_run.parent
    )
    rows = (line for line in (finished_run / "data" / "manifest.json").read_text().splitlines() if '"ft_train"' in line)
    id_ = next(json.loads(line.strip().rstrip(","))["id"] for line in rows if line.strip().startswith('{"id"'))
    code, out, _ = whet("data", "trace", id_)
    assert code == 0
    assert out.startswith("trained on, by runs/least (SFT)\n")


def test_a_source_of_its_own_way_is_a_word_too(whet: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    row = {"Body": "One hen lays 3 eggs.", "Question": "How many eggs?", "Answer": 3}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "b.jsonl").write_text(json.dumps({"question": "What is six plus one?", "answer": "7"}) + "\n")
    own = "{path: a.jsonl, columns: {question: '{Body} {Question}', answer: Answer}}"
    code, out, err = whet("data", "split", own, "b.jsonl", "--out", "prepared")
    assert (code, err) == (0, "")
    assert "a.jsonl: 1 rows, read as question and answer (question from {Body} {Question}, answer from Answer)" in out
    assert "│ prompt      One hen lays 3 eggs. How many eggs?" in out
