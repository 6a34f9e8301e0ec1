"""What is said of a source beside its rows, in lines that any terminal can print."""

from whet.core.told import told_lines


def test_what_was_not_read_what_changes_nothing_and_what_is_kept() -> None:
    source = {
        "left_out": ["Test.jsonl", "\x1b[31m"],
        "ignored": ["images"],
        "told": {f"key {number} of a turn": number for number in range(1, 8)},
        "kept": {f"c{number}": 1 for number in range(11)},
    }
    assert list(told_lines(source)) == [
        "not read, by their names: Test.jsonl, \\x1b[31m",
        "ignored, as was asked: images",
        *(f"{number} rows have key {number} of a turn" for number in (7, 6, 5, 4)),
        "and 3 more such keys and columns; manifest.json names them",
        "beside the rows, for rewards: c0, c1, c2, c3, c4, c5, c6, c7 and 3 more",
    ]


def test_nothing_to_say_is_no_line() -> None:
    """As manifests of older versions have nothing of it, too."""
    assert list(told_lines({})) == []
    assert list(told_lines({"left_out": [], "ignored": [], "told": {}, "kept": {}})) == []
