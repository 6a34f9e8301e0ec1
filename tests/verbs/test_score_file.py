import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from whet.core.errors import DataError, RecipeError
from whet.verbs.score_file import ScoreSummary, score_file


def scored(folder: Path, content: str | bytes, *rewards: str) -> tuple[ScoreSummary, list[dict[str, Any]]]:
    rows = folder / "rows.jsonl"
    rows.write_bytes(content if isinstance(content, bytes) else content.encode())
    summary = score_file(rows, rewards, folder / "scores" / "out.jsonl")
    lines = (folder / "scores" / "out.jsonl").read_text(encoding="utf-8").split("\n")
    return summary, [json.loads(line) for line in lines if line]


def test_one_line_per_row_in_order(tmp_path: Path) -> None:
    summary, lines = scored(
        tmp_path,
        '{"prompt": "3+2?", "completion": "<answer>5</answer>", "answer": 5}\n'
        '{"prompt": "3+2?", "completion": "<answer>6</answer>", "answer": "5"}\n'
        '{"completion": "<answer>5</answer>"}\n',
        "answer",
    )
    assert [line["score"] for line in lines] == [1.0, 0.0, None]
    assert [line["parts"] for line in lines] == [{"answer": 1.0}, {"answer": 0.0}, {"answer": None}]
    assert [line["unscorable"] for line in lines] == [None, None, "no reward applies to this row"]
    assert all(list(line) == ["score", "parts", "unscorable", "seconds"] for line in lines)
    assert (summary.rows, summary.scored, summary.unscorable, summary.mean) == (3, 2, 1, 0.5)
    assert summary.mean_text == "0.5000"


def test_several_rewards_are_summed(tmp_path: Path) -> None:
    # answer 0; closeness of 51 to 50: an error of 2 % gives 0.8; format 1
    row = '{"completion": "<think>a</think><answer>51</answer>", "answer": "50"}'
    _, (line,) = scored(tmp_path, row, "answer", "closeness", "format")
    assert line["score"] == pytest.approx(1.8)
    assert line["parts"] == {"answer": 0.0, "closeness": 0.8, "format": 1.0}


def test_bad_rows_say_where_and_why(tmp_path: Path) -> None:
    rows = {
        b'{"completion": null}': "rows.jsonl, line 1, field completion: text was expected, but there is none",
        b'{"completion": 5}': "rows.jsonl, line 2, field completion: text was expected, but it is int",
        b"[1]": "rows.jsonl, line 3: not an object",
        b"not json": "rows.jsonl, line 4: not valid JSON",
        b'{"completion": "\xff"}': "rows.jsonl, line 5: not valid JSON",
        b"[" * 100_000: "rows.jsonl, line 6: not valid JSON",
        b'{"completion": "x", "answer": [5]}': (
            "rows.jsonl, line 7, field answer: text or a number was expected, but it is list"
        ),
        b'{"completion": "x", "answer": true}': (
            "rows.jsonl, line 8, field answer: text or a number was expected, but it is bool"
        ),
        b'{"completion": "x", "prompt": 5}': (
            "rows.jsonl, line 9, field prompt: text or a list of messages was expected, but it is int"
        ),
        b'{"completion": "x", "prompt": [{"role": "user"}]}': (
            "rows.jsonl, line 10, field prompt: text or a list of messages was expected, but it is list"
        ),
        b'{"completion": "x", "completion_ids": "1 2"}': (
            "rows.jsonl, line 11, field completion_ids: a list of whole numbers was expected, but it is str"
        ),
        b'{"completion": "<answer>5</answer>", "answer": "5"}': "None",
    }
    summary, lines = scored(tmp_path, b"\n".join(rows), "answer")
    for line, expected in zip(lines, rows.values(), strict=True):
        assert str(line["unscorable"]).startswith(expected)
        assert (line["score"] is None) == (expected != "None")
    assert (summary.rows, summary.scored) == (12, 1)


def test_byte_order_marks_windows_lines_blank_lines_and_line_separators(tmp_path: Path) -> None:
    rows = (
        '\ufeff{"completion": "<answer>a\u2028b</answer>", "answer": "a b"}',
        "",
        '{"completion": "", "answer": "5"}',
        "",
    )
    content = "\r\n".join(rows)
    _, lines = scored(tmp_path, content, "answer")
    assert [line["score"] for line in lines] == [1.0, 0.0]


def test_prompts_and_columns_reach_the_function(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def mine(completion, prompt, level, answer=None):\n    return len(prompt) * level\n"
        "def ids(completions, completion_ids):\n    return [len(ids) for ids in completion_ids]\n"
    )
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]
    rows = [
        {"prompt": "abc", "completion": "x", "level": 2, "completion_ids": [7, 8]},
        {"prompt": messages, "completion": "x", "level": 1},
        {"prompt": "abc", "completion": "x"},
    ]
    content = "\n".join(map(json.dumps, rows))
    _, lines = scored(tmp_path, content, f"{tmp_path}/mine.py:mine", f"{tmp_path}/mine.py:ids")
    # "system: s\nuser: q" has 17 characters
    assert [line["score"] for line in lines] == [8.0, 17.0, None]
    assert lines[2]["unscorable"] == f"{tmp_path}/mine.py:mine: needs the column 'level', which is not there"
    assert lines[2]["parts"] == {f"{tmp_path}/mine.py:mine": None, f"{tmp_path}/mine.py:ids": 0.0}


def test_hostile_rows_stay_json(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def mine(completion):\n    raise ValueError(completion)\n")
    content = '{"completion": "\\ud800 \\u0000 \\n"}\n{"completion": "x", "answer": NaN}\n'
    _, lines = scored(tmp_path, content, f"{tmp_path}/mine.py:mine")
    assert len(lines) == 2
    assert all(line["score"] is None for line in lines)


def test_what_cannot_be_scored_at_all_is_an_error(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with pytest.raises(DataError, match=r"none\.jsonl: no such file"):
        score_file(tmp_path / "none.jsonl", ["answer"], out)
    (tmp_path / "empty.jsonl").write_text("\n\n")
    with pytest.raises(DataError, match=r"empty\.jsonl: no rows"):
        score_file(tmp_path / "empty.jsonl", ["answer"], out)
    with pytest.raises(RecipeError, match="did you mean 'format'"):
        score_file(tmp_path / "empty.jsonl", ["fromat"], out)
    assert not out.exists()


def test_the_file_is_never_overwritten_by_its_scores(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"completion": "x"}\n')
    with pytest.raises(DataError, match="would overwrite"):
        score_file(rows, ["format"], tmp_path / "." / "rows.jsonl")
    assert rows.read_text() == '{"completion": "x"}\n'


def test_scoring_by_functions_needs_no_torch() -> None:
    code = "import sys, whet.verbs.score_file; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_row_scored_is_a_failure_of_the_command(whet: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def mine(completion):\n    return 1 / len(completion)\n")
    (tmp_path / "bad.jsonl").write_text('{"completion": ""}\n{"completion": 5}\n')
    for words in ((), ("--quiet",), ("--json",)):
        code, out, err = whet("score", "bad.jsonl", "--reward", "mine.py:mine", "--out", "out.jsonl", *words)
        assert code == 1
        assert err.startswith("2 of 2 rows have no score; the first: mine.py:mine: ZeroDivisionError: division by zero")
    assert json.loads(out) == {"rows": 2, "scored": 0, "mean": None}
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 2
    (tmp_path / "some.jsonl").write_text('{"completion": "ab"}\n{"completion": ""}\n')
    code, out, err = whet("score", "some.jsonl", "--reward", "mine.py:mine", "--out", "out.jsonl")
    assert (code, out) == (0, "1 of 2 rows scored, mean 0.5000; out.jsonl\n")
    assert err.startswith("1 of 2 rows have no score; the first: ")
    assert whet("score", "some.jsonl", "--reward", "mine.py:mine", "--out", "out.jsonl", "--quiet")[1:] == ("", "")


def test_many_rows_keep_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whet.verbs.score_file._ROWS_AT_ONCE", 3)
    rows = [{"completion": f"<answer>{n % 4}</answer>", "answer": n % 3} for n in range(11)] + [{"completion": 5}]
    summary, lines = scored(tmp_path, "\n".join(map(json.dumps, rows)), "answer")
    assert [line["score"] for line in lines] == [float(n % 4 == n % 3) for n in range(11)] + [None]
    assert summary.rows == 12
    assert all(0 <= line["seconds"] < 60 for line in lines)
