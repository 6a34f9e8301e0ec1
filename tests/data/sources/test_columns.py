"""Columns by the names that `data.columns` gives them, the layout they make, and what is said when they make none."""

import json
from pathlib import Path
from typing import Any

import pytest

from whet.core.errors import DataError
from whet.core.recipe import DataSettings
from whet.core.recipe.data import SourceSettings, sources_in
from whet.core.records import Conversation, Rejected, prompt_in
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


def test_a_text_of_several_columns_is_one_field(tmp_path: Path) -> None:
    rows = [
        {"Body": "Two hens lay 3 eggs each.", "Question": "How many eggs?", "Answer": 6.0, "Type": "product"},
        {"Body": "One more hen comes.", "Question": None, "Answer": 9},
        {"Body": ["a", 2], "Question": "b", "Answer": 1},
        {"Body": {"a": 1}, "Question": "b", "Answer": 1},
    ]
    columns = {"input": "{Body} {Question}", "target": "Answer"}
    source = read(written(tmp_path, rows), columns)
    assert (source.layout.name, source.columns) == ("input and target", columns)
    first, listed = source.records
    assert (prompt_in(first).text, prompt_in(first).answer) == ("Two hens lay 3 eggs each. How many eggs?", "6")
    assert prompt_in(first).columns == {"Body": rows[0]["Body"], "Question": "How many eggs?", "Type": "product"}
    assert prompt_in(listed).text == "a\n2 b"
    assert [(row.origin.row, row.field, row.reason[:24]) for row in source.rejected] == [
        (1, "Question", "missing or empty, in a t"),
        (3, "Body", "not text, a number or a "),
    ]
    streamed = list(stream_file(tmp_path / "rows.jsonl", DataSettings(columns=columns)))
    assert [row for row in streamed if not isinstance(row, Rejected)] == list(source.records)


def test_a_column_that_may_be_missing_leaves_no_blanks_behind(tmp_path: Path) -> None:
    rows = [
        {"instruction": "Add.", "context": "1 and 2"},
        {"instruction": "Sing.", "context": ""},
        {"instruction": "Go."},
    ]
    path = written(tmp_path, [row | {"response": "ok"} for row in rows])
    source = read(path, {"prompt": "{instruction}\n\n{context?}", "completion": "response"})
    assert [prompt_in(record).text for record in source.records] == ["Add.\n\n1 and 2", "Sing.", "Go."]


def test_a_place_inside_a_column_is_a_field(tmp_path: Path) -> None:
    rows = [
        {"task": {"question": "3+2?"}, "runs": [{"out": "5"}, {"out": "6"}]},
        {"task": {"question": "3+4?"}, "runs": []},
        {"task": "3+5?", "runs": [{"out": "8"}]},
    ]
    source = read(written(tmp_path, rows), {"prompt": "task.question", "completion": "runs[0].out"})
    (record,) = source.records
    assert isinstance(record, Conversation)
    assert (record.prompt.text, record.completion) == ("3+2?", "5")
    assert record.prompt.columns == rows[0]  # what else is in these columns stays there for rewards
    assert [(row.field, row.reason) for row in source.rejected] == [
        ("runs[0].out", "missing or null"),
        ("task.question", "missing or null"),
    ]


def test_each_source_has_its_own_mapping(tmp_path: Path) -> None:
    first = SourceSettings(
        path=str(written(tmp_path, [{"Body": "One.", "Question": "Two?", "Answer": "3"}], "a.jsonl")),
        columns={"question": "{Body} {Question}", "answer": "Answer"},
    )
    second = written(tmp_path, [{"problem": "Four?", "solution": "5"}], "b.jsonl")
    plain = written(tmp_path, [{"question": "Six?", "answer": "7"}], "c.jsonl")
    columns = {"question": "problem", "answer": "solution"}
    settings = DataSettings(source=(first, str(second), str(plain)), columns=columns)
    sources = [read_sources(source, settings, seed=0)[0] for source in sources_in(settings)]
    assert [prompt_in(source.records[0]).text for source in sources] == ["One. Two?", "Four?", "Six?"]
    assert [source.columns for source in sources] == [first.columns, columns, {}]
    with pytest.raises(DataError, match=r"a.jsonl has no column 'Bdy' in '{Bdy} {Question}', which is to be 'prompt'"):
        read_sources(first.model_copy(update={"columns": {"prompt": "{Bdy} {Question}"}}), settings, seed=0)
    # Columns that are a source's own must be there, though it could be understood without.
    with pytest.raises(DataError, match=r"c.jsonl has no column 'kind', which is to be 'slice'"):
        read_sources(SourceSettings(path=str(plain), columns={"slice": "kind"}), settings, seed=0)
    assert read_sources(str(plain), settings.model_copy(update={"columns": {"slice": "kind"}}), seed=0)


def test_what_is_ignored_is_neither_read_nor_refused_and_stays_beside(tmp_path: Path) -> None:
    answer = {"role": "assistant", "content": "5", "reasoning_content": "hm"}
    rows = [{"messages": [{"role": "user", "content": "3+2?"}, answer], "images": ["0.jpg"], "system": "Be brief."}]
    path = written(tmp_path, rows)
    assert [row.field for row in read(path, {}).rejected] == ["images"]
    source = read(path, {}, ignore=("images", "reasoning_content", "system"))
    (record,) = source.records
    assert isinstance(record, Conversation)
    assert (record.completion, len(record.prompt.messages)) == ("5", 1)
    assert record.prompt.columns == {"images": ["0.jpg"], "system": "Be brief."}
    assert (source.ignored, source.told) == (("images", "reasoning_content", "system"), {})
    prompts = written(tmp_path, [{"prompt": "3+2?", "solution": "5"}], "prompts.jsonl")
    assert len(read(prompts, {}).records) == 0
    own = SourceSettings(path=str(prompts), ignore=("solution",))
    (kept,) = read_sources(own, DataSettings(), seed=0)[0].records
    assert prompt_in(kept).columns == {"solution": "5"}


def test_what_changes_nothing_and_what_is_kept_is_counted(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "3+2?", "name": "Ann"}, {"role": "assistant", "content": "5", "name": "Bo"}]
    rows = [{"messages": turns, "level": 1}, {"messages": turns, "rating": 3}, {"messages": []}]
    source = read(written(tmp_path, rows), {})
    assert source.told == {
        "name of a turn: which no template is given": 2,
        "rating: a grade of the row, by which nothing is chosen": 1,
    }
    assert source.kept == {"level": 1, "rating": 1}


def test_advice_loses_no_column(tmp_path: Path) -> None:
    row = {"ID": "1", "Body": "One.", "Question": "Two?", "Equation": "1+1", "Answer": 2, "Type": "sum", "Empty": None}
    with pytest.raises(DataError) as caught:
        read(written(tmp_path, [row]), {})
    said = str(caught.value)
    assert "no known layout in its columns (Answer, Body, Equation, ID, Question, Type)" in said
    assert 'for example data.columns: {question: "{Body}\\n{Question}", answer: Answer}' in said
    assert "; nothing reads Equation, ID, Type then" in said
    source = read(tmp_path / "rows.jsonl", {"question": "{Body}\n{Question}", "answer": "Answer"})
    assert prompt_in(source.records[0]).text == "One.\nTwo?"
    many = {f"column_{number}": "x" for number in range(60)}
    with pytest.raises(DataError) as caught:
        read(written(tmp_path, [many]), {})
    assert all(name in str(caught.value) for name in many)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real data sets are not beside the repository")
def test_real_files_whose_columns_must_be_named() -> None:
    english = read(REAL / "mgsm" / "mgsm_en.tsv", {"question": "1", "answer": "2"})
    answers = [prompt_in(record).answer for record in english.records]
    assert (english.rows, len(answers), english.rejected) == (250, 250, ())
    assert [answer for answer in answers if answer and len(answer) > 5] == ["114200", "276000"]
    columns = {"completion": "rationale", "prompt": "{question}\n{options}", "answer": "correct"}
    options = read(REAL / "aqua" / "dev.json", columns)
    assert (options.layout.name, options.rejected) == ("prompt and completion", ())
    assert {prompt_in(record).answer for record in options.records} == set("ABCDE")
    assert prompt_in(options.records[0]).text.splitlines()[1:] == ["A)32400", "B)6000", "C)600", "D)60000", "E)10"]
    whole = REAL / "gsm8k" / "example_model_solutions.jsonl.gz"
    assert len(read(whole, {"question": "question", "answer": "ground_truth"}).records) == 1319
