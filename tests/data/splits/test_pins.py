"""Given purposes: which one a cluster gets, and what must not be used beside it."""

import json
from pathlib import Path

import numpy as np
import pytest

from whet.core.errors import DataError
from whet.core.records import PURPOSES, Purpose
from whet.data.manifest import FORMAT
from whet.data.splits.pins import Pins, earlier_purposes, find_pins, indices


def found(
    clusters: list[int], *, pinned: dict[int, Purpose] | None = None, earlier: dict[int, Purpose] | None = None
) -> Pins:
    """Pins of rows whose cluster numbers are given, with the purposes of some rows."""
    rows = range(len(clusters))
    return find_pins(
        np.array(clusters),
        pinned_R=indices([(pinned or {}).get(row) for row in rows]),
        earlier_R=indices([(earlier or {}).get(row) for row in rows]),
    )


def purposes(pins: Pins) -> list[str | None]:
    return [PURPOSES[number] if number >= 0 else None for number in pins.purpose_C]


def test_a_cluster_has_the_purpose_of_its_pinned_row_and_the_others_are_lost() -> None:
    pins = found([0, 1, 1, 2], pinned={1: "final"})
    assert purposes(pins) == [None, "final", None]
    assert pins.pinned_R.tolist() == pins.kept_R.tolist() == [False, True, False, False]
    assert {row: place.reason for row, place in pins.why_not.items()} == {2: "like a pinned row of final"}


def test_of_two_pins_evaluation_wins_and_the_loser_is_not_used() -> None:
    pins = found([0, 0, 1, 1], pinned={0: "ft_train", 1: "final", 2: "final", 3: "ft_test"})
    assert purposes(pins) == ["final", "final"]
    assert pins.pinned_R.tolist() == [False, True, True, False]
    assert pins.why_not[0].reason == "like a pinned row of final, pinned to ft_train itself"
    assert pins.why_not[3].category == "like a pinned row"


def test_a_pin_beats_what_was_earlier() -> None:
    pins = found([0, 0], pinned={0: "ft_train"}, earlier={1: "final"})
    assert purposes(pins) == ["ft_train"]
    assert pins.why_not[1].reason == "like a pinned row of ft_train"
    assert pins.earlier_R.tolist() == [False, False]


def test_earlier_rows_that_a_new_row_joins_stay_apart() -> None:
    # Row 2 is new and joins a row of training with one of evaluation
    pins = found([0, 0, 0, 1, 1], earlier={0: "ft_train", 1: "rl_test", 3: "rm_train"})
    assert purposes(pins) == ["rl_test", "rm_train"]
    assert pins.earlier_R.tolist() == [False, True, False, True, False]
    assert {row: place.reason for row, place in pins.why_not.items()} == {
        0: "its cluster has another purpose than earlier (ft_train then, rl_test now)"
    }


@pytest.mark.parametrize("training", ["ft_train", "ft_validation", "rm_train", "rl_train"])
@pytest.mark.parametrize("evaluation", ["ft_test", "rm_test", "rl_test", "final"])
def test_evaluation_always_wins(training: Purpose, evaluation: Purpose) -> None:
    for rows in ({0: training, 1: evaluation}, {1: training, 0: evaluation}):
        assert purposes(found([0, 0], pinned=rows)) == purposes(found([0, 0], earlier=rows)) == [evaluation]


def test_earlier_purposes_are_read_from_the_manifest(tmp_path: Path) -> None:
    rows = [{"id": "a", "purpose": "final"}, {"id": "b", "purpose": None}, {"id": "a", "purpose": None}]
    (tmp_path / "manifest.json").write_text(json.dumps({"format": FORMAT, "rows": rows}))
    assert earlier_purposes(tmp_path) == {"a": "final"}
    (tmp_path / "manifest.json").write_text(json.dumps({"format": FORMAT}))
    with pytest.raises(DataError, match=r"data.earlier: .*manifest.json lists no rows"):
        earlier_purposes(tmp_path)
    with pytest.raises(DataError, match=r"no manifest\.json"):
        earlier_purposes(tmp_path / "nowhere")
