"""Columns by the names that `data.columns` gives them, the layout they make, and what is said when they make none."""

import json
from pathlib import Path
from typing import Any

import pytest

from whet.core.errors import DataError
from whet.core.recipe import DataSettings
from whet.core.records import Conversation, prompt_in
from whet.data.sources.read import Source, read_sources, stream_file

REAL = Path(__file__).parents[4] / "shared" / "data"
STATED = {"question": "Problem", "answer": "Solution"}


def written(folder: Path, rows: list[Any], name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path, columns: dict[str, str], **more: Any) -> Source:
    """One of several sources when `more` names others."""
    settings = DataSettings(columns=columns, **({"source": str(path)} | more))
    (source,) = read_sources(str(path), settings, seed=0)
    return source


def test_stated_columns_become_fields(tmp_path: Path) -> None:
    rows = [{"Problem": f"{n}+1?", "Solution": f"So\n#### {n + 1}", "level": n} for n in range(3)]
    path = written(tmp_path, [*rows, {"Problem": None, "Solution": "5"}, {"Problem": "?", "Solution": "#### "}])
    source = read(path, STATED)
    assert (source.layout.name, source.columns) == ("question and answer", STATED)
    assert [prompt_in(record).answer for record in source.records] == ["1", "2", "3"]
    assert prompt_in(source.records[2]).columns == {"level": 2}
    # The refusal names the column as the file has it.
    assert [(row.field, row.reason) for row in source.rejected] == [
        ("Problem", "missing or null"),
        ("Solution", "nothing stands after ####"),
    ]
    streamed = list(stream_file(path, DataSettings(columns=STATED)))
    assert streamed == [*source.records, *source.rejected]


def test_a_place_inside_a_stated_column_is_named(tmp_path: Path) -> None:
    good = [{"role": "user", "content": "3+2?"}, {"role": "assistant", "content": "5"}]
    path = written(tmp_path, [{"chat": good}, {"chat": [{"role": "wizard", "content": "5"}]}])
    assert [row.field for row in read(path, {"messages": "chat"}).rejected] == ["chat[0].role"]


def test_stated_columns_go_before_what_would_be_recognised(tmp_path: Path) -> None:
    """A column in the way of a field is kept under another name, columns can be swapped or serve two fields."""
    row = {"question": "5", "answer": "3+2?", "messages": [{"role": "user", "content": "Hi"}]}
    (swapped,) = read(written(tmp_path, [row]), {"question": "answer", "answer": "question"}).records
    assert isinstance(swapped, Conversation)
    assert (swapped.prompt.text, swapped.prompt.answer) == ("3+2?", "5")
    assert list(swapped.prompt.columns) == ["messages"]
    row = {"prompt": "Be kind.", "query": "3+2?", "reply": "5"}
    (kept,) = read(written(tmp_path, [row]), {"prompt": "query", "completion": "reply", "answer": "reply"}).records
    assert (prompt_in(kept).text, prompt_in(kept).answer) == ("3+2?", "5")
    assert prompt_in(kept).columns == {"given_prompt": "Be kind."}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"quesiton": "Problem"}, "data.columns: 'quesiton' is no field of whet; did you mean 'question'?"),
        ({"question": "Problm"}, "has no column 'Problm', which is to be 'question'; did you mean 'Problem'?"),
        (
            {"question": "Problem", "answer": "x"},
            "has no column 'x', which is to be 'answer'; known: Problem, Solution",
        ),
        ({"question": "Problem"}, "no known layout in its columns (Solution, question)"),
        ({}, "no known layout in its columns (Problem, Solution)"),
    ],
)
def test_columns_that_do_not_fit_are_one_line(tmp_path: Path, columns: dict[str, str], message: str) -> None:
    path = written(tmp_path, [{"Problem": "3+2?", "Solution": "5"}])
    with pytest.raises(DataError) as caught:
        read(path, columns)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "data.columns" in str(caught.value)


def test_of_several_sources_some_may_need_no_renaming(tmp_path: Path) -> None:
    named = written(tmp_path, [{"question": "3+2?", "answer": "5"}])
    assert len(read(named, STATED, source=("a", "b")).records) == 1
    assert len(read(named, STATED, source="a", preferences="b").records) == 1
    with pytest.raises(DataError, match="no column 'Problem'"):
        read(named, STATED)
    other = written(tmp_path, [{"Question": "3+2?", "Solution": "5"}], "other.jsonl")
    with pytest.raises(DataError, match=r"other.jsonl has no column 'Problem'.*"):
        read(other, STATED, source=("a", "b"))


def test_a_table_without_a_header_says_how_to_name_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    for text in ("How many eggs does she lay a day?\teighteen\nHow many?\t3\n", "Eggs?\t18\nHens?\t3\n"):
        path.write_text(text)
        with pytest.raises(DataError) as caught:
            read(path, {})
        assert "its first line seems to be a row" in str(caught.value)
        assert "data.columns: {question: '1', answer: '2'}" in str(caught.value)
        source = read(path, {"question": "1", "answer": "2"})
        assert (source.rows, len(source.records)) == (2, 2)
    path.write_text("0\t1\nHow many?\t3\n")  # a header, as some libraries write it
    with pytest.raises(DataError, match=r"no known layout in its columns \(0, 1\)"):
        read(path, {})
    path.write_text("How many?\t3\n")
    with pytest.raises(DataError, match="has no column '3', which is to be 'answer'; known: 1, 2"):
        read(path, {"question": "1", "answer": "3"})


def test_a_column_name_that_no_terminal_can_print_is_escaped(tmp_path: Path) -> None:
    path = written(tmp_path, [{"\ud800": "a", "b\nc": "c"}])
    with pytest.raises(DataError, match=r"in its columns \(\\ud800, b\\nc\)"):
        read(path, {})


@pytest.mark.skipif(not REAL.is_dir(), reason="the real data sets are not beside the repository")
def test_real_files_whose_columns_must_be_named() -> None:
    english = read(REAL / "mgsm" / "mgsm_en.tsv", {"question": "1", "answer": "2"})
    answers = [prompt_in(record).answer for record in english.records]
    assert (english.rows, len(answers), english.rejected) == (250, 250, ())
    assert [answer for answer in answers if answer and len(answer) > 5] == ["114200", "276000"]
    options = read(
        REAL / "aqua" / "dev.json", {"question": "question", "completion": "rationale", "prompt": "question"}
    )
    assert (options.layout.name, options.rejected) == ("prompt and completion", ())
    whole = REAL / "gsm8k" / "example_model_solutions.jsonl.gz"
    assert len(read(whole, {"question": "question", "answer": "ground_truth"}).records) == 1319
