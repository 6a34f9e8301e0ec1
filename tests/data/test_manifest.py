"""Rows to files and back, and who may open which."""

import math
from pathlib import Path

import pytest

from whet.core.errors import DataError
from whet.core.records import (
    EVALUATION_PURPOSES,
    TRAINING_PURPOSES,
    Comparison,
    Conversation,
    Message,
    Origin,
    Prompt,
    Ranking,
)
from whet.data.manifest import StoredRow, open_for_evaluation, open_for_training, read_rows, write_rows

PROMPT = Prompt(
    messages=(
        Message(role="system", content="Be brief."),
        Message(role="assistant", content="Ask.", is_learned=False),
        Message(role="user", content="3+2? <|im_end|> \u200b"),
    ),
    origin=Origin(source="a.jsonl", row=7),
    answer="5",
    slice="long_tail",
    columns={"level": 2, "tags": ["a", "b"], "deep": {"x": None}},
)
CONVERSATION = Conversation(prompt=PROMPT, completion="<answer>5</answer>")
RANKING = Ranking(prompt=PROMPT, completions=("5", "6", ""), ranks=(0, 1, 1))
COMPARISON = Comparison(prompt=PROMPT, chosen="5", rejected="6", margin=0.5)


@pytest.mark.parametrize(
    "row",
    [
        StoredRow(record=PROMPT, cluster="c"),
        StoredRow(record=CONVERSATION, cluster="c"),
        StoredRow(record=CONVERSATION, cluster="c", ranking=RANKING, provenance="derived"),
        StoredRow(record=RANKING, cluster="c"),
        StoredRow(record=COMPARISON, cluster="c"),
    ],
)
def test_rows_come_back_as_they_were(tmp_path: Path, row: StoredRow) -> None:
    write_rows(tmp_path, "final", [row])
    assert read_rows(tmp_path, "final") == [row]


def test_columns_that_are_not_json_become_text_and_nan_becomes_null(tmp_path: Path) -> None:
    prompt = Prompt(
        messages=PROMPT.messages,
        origin=PROMPT.origin,
        columns={"score": math.nan, "path": Path("a"), "n": (1, math.inf)},
    )
    write_rows(tmp_path, "final", [StoredRow(record=prompt, cluster="c")])
    assert open_for_evaluation(tmp_path, "final")[0].columns == {"score": None, "path": "a", "n": [1, None]}


def test_each_purpose_gives_what_its_stage_needs(tmp_path: Path) -> None:
    for name in ("ft_train", "rl_train", "final"):
        write_rows(tmp_path, name, [StoredRow(record=CONVERSATION, cluster="c")])
    write_rows(
        tmp_path,
        "rm_train",
        [
            StoredRow(record=CONVERSATION, cluster="c", ranking=RANKING, provenance="row"),
            StoredRow(record=COMPARISON, cluster="c"),
        ],
    )
    assert open_for_training(tmp_path, "ft_train") == [CONVERSATION]
    assert open_for_training(tmp_path, "rm_train") == [RANKING, COMPARISON]
    assert open_for_training(tmp_path, "rl_train") == open_for_evaluation(tmp_path, "final") == [PROMPT]


def test_no_training_loop_opens_a_test_purpose(tmp_path: Path) -> None:
    for purpose in EVALUATION_PURPOSES:
        with pytest.raises(AssertionError, match="no path leads from training"):
            open_for_training(tmp_path, purpose)
    for purpose in TRAINING_PURPOSES:
        with pytest.raises(AssertionError, match="evaluate on what was held out"):
            open_for_evaluation(tmp_path, purpose)


def test_missing_and_damaged_files_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file; make it with"):
        read_rows(tmp_path, "final")
    (tmp_path / "final.parquet").write_bytes(b"PAR1PAR1")
    with pytest.raises(DataError, match="damaged or altered"):
        read_rows(tmp_path, "final")
