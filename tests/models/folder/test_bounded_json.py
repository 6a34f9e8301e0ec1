import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.core.errors import ModelError
from whet.models.folder import bounded_json
from whet.models.folder.bounded_json import read_bounded_json, require_shallow

VALUES = st.recursive(
    st.none() | st.text() | st.sampled_from(['"', "\\", "[{", '\\"[', "]"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


def depth(value: Any) -> int:
    if isinstance(value, dict | list):
        return 1 + max(map(depth, value.values() if isinstance(value, dict) else value), default=0)
    return 0


@given(VALUES, st.booleans())
def test_depth_is_counted_without_parsing(value: Any, ascii_only: bool) -> None:
    text, found = json.dumps(value, ensure_ascii=ascii_only, indent=1).encode("utf-8", "surrogatepass"), depth(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounded_json, "_DEEPEST", found)
        require_shallow(Path("x.json"), text)
        patch.setattr(bounded_json, "_DEEPEST", found - 1)
        with pytest.raises(ModelError, match=f"x.json: nested {found} levels deep"):
            require_shallow(Path("x.json"), text)


def test_bounds(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"a": [1, 2.5, "b"]}')
    assert read_bounded_json(path, most_bytes=20) == {"a": [1, 2.5, "b"]}
    with pytest.raises(ModelError, match=r"x\.json: larger than 19 bytes; no model's x\.json is"):
        read_bounded_json(path, most_bytes=19)
    for text, expected in (
        ("[" * 65 + "]" * 65, "nested 65 levels deep"),
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("[1e999]", "0 is inf, which is no number"),
        ('{"a": {"b": [0, -Infinity]}}', "a.b.1 is -inf"),
        ("1" * 5000, "not valid JSON"),
    ):
        path.write_text(text)
        with pytest.raises(ModelError, match=rf"^{path}: {expected}"):
            read_bounded_json(path, most_bytes=10_000)
