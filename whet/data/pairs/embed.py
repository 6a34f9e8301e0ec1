"""Which texts ask the same in other words, by a sentence encoder that the user names; needs the extra `whet[embed]`.

The encoder is a folder, or a hub id such as `sentence-transformers/all-MiniLM-L6-v2`. Only safetensors are read, and no
code that lies beside a model is run. Every text is compared with every other, in blocks: exact, and quadratic in their
number, but encoding them takes longer up to about a million. What counts as rephrased says `rephrasing` beside it.

Cosines are rounded to three decimals: the last bits of a float differ from machine to machine.
"""

import importlib.util
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from whet.core.errors import ModelError
from whet.data.pairs.near import Pairs
from whet.data.pairs.numbers import NumbersKnown
from whet.data.pairs.rephrasing import Matches, Rule, distinct_texts, matches_of, pairs_of
from whet.data.pairs.tfidf import Alike, terms_of

__all__ = ["HELD_OUT", "IN_CORPUS", "EncodedQuestions", "encoded_pairs", "encoder_folder", "require_encoder"]

# R row, D dimension of an embedding
Embeddings = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]
_BATCH, _BLOCK = 64, 1 << 22
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
_READ = ["*.json", "*.safetensors", "*.txt", "*.model"]
_OWN_MODULES = "sentence_transformers."


def _score(cosine: Scores, agreement: Scores) -> Scores:
    return (cosine + 0.2 * agreement) / 1.2


IN_CORPUS = Rule(least=0.5, score=_score, enough=0.92 / 1.2, near=0.7, margin=0.2)
# Fewer pairs are looked at, so fewer are alike by chance.
HELD_OUT = replace(IN_CORPUS, enough=0.9 / 1.2)


def require_encoder(paraphrase: str) -> None:
    """`ModelError` when the setting names an encoder that cannot be had; nothing is loaded or fetched."""
    if paraphrase in ("words", "off"):
        return
    if importlib.util.find_spec("sentence_transformers") is None:
        raise ModelError(
            f"data.paraphrase is {paraphrase!r}, a sentence encoder, but sentence-transformers is not installed: "
            "pip install 'whet[embed]', or set data.paraphrase to words, which needs nothing"
        )
    if Path(paraphrase).is_dir():
        encoder_folder(paraphrase)
    elif paraphrase.startswith((".", "/", "~")) or paraphrase.count("/") != 1:
        raise ModelError(
            f"data.paraphrase is {paraphrase!r}: not words or off, no such folder, and no hub id of the form owner/name"
        )


def encoder_folder(encoder: str) -> Path:
    """The folder of an encoder, checked; a hub id is fetched without pickled weights and without code."""
    path = Path(encoder)
    if not path.is_dir():
        path = _fetched(encoder)
    try:
        modules = json.loads((path / "modules.json").read_text(encoding="utf-8"))
        kinds = {str(module["type"]): path / module["path"] for module in modules}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"data.paraphrase: {encoder} has no modules.json that can be read, so it is no sentence-transformers model"
        ) from error
    for kind, folder in kinds.items():
        if not kind.startswith(_OWN_MODULES):
            raise ModelError(
                f"data.paraphrase: {encoder} wants to run code of its own ({kind}); choose another encoder"
            )
        pickled = sorted(file.name for pattern in _PICKLED for file in folder.glob(pattern))
        if pickled and not any(folder.glob("*.safetensors")):
            raise ModelError(
                f"data.paraphrase: {folder} has only {', '.join(pickled)}, which can run code when loaded; "
                "whet reads safetensors only, convert the model first"
            )
    return path


def _fetched(encoder: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(encoder, allow_patterns=_READ))
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"data.paraphrase: encoder {encoder!r} cannot be fetched: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


@lru_cache(maxsize=1)
def _loaded(encoder: str) -> Any:
    require_encoder(encoder)
    folder = encoder_folder(encoder)
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(
            str(folder), trust_remote_code=False, local_files_only=True, model_kwargs={"use_safetensors": True}
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise ModelError(f"data.paraphrase: encoder {encoder!r} cannot be loaded: {_first_line(error)}") from error


def _encoded(texts: Sequence[str], encoder: str) -> Embeddings:
    """A row of length 1 for each text."""
    model = _loaded(encoder)
    if not len(texts):
        return np.zeros((0, 1), dtype=np.float32)
    embeddings_RD = model.encode(list(texts), batch_size=_BATCH, normalize_embeddings=True, show_progress_bar=False)
    return np.asarray(embeddings_RD, dtype=np.float32)


def _alike(left_RD: Embeddings, right_RD: Embeddings, least: float) -> Iterator[Alike]:
    """Every pair with a cosine of at least `least`, some rows at a time."""
    step = max(1, _BLOCK // max(1, len(right_RD)))
    for first in range(0, len(left_RD), step):
        cosine: Scores = np.rint(1000.0 * (left_RD[first : first + step] @ right_RD.T).astype(np.float64)) / 1000
        a, b = np.nonzero(cosine >= least)
        yield Alike(a=a + first, b=b, cosine=cosine[a, b])


def encoded_pairs(texts: Sequence[str], encoder: str) -> Pairs:
    """The pairs of texts that rephrase each other; one that repeats an earlier text is paired with that alone."""
    distinct = distinct_texts(terms_of(texts))
    some = [texts[row] for row in distinct.rows.tolist()]
    embeddings_RD, known = _encoded(some, encoder), NumbersKnown(some)
    found = pairs_of(_alike(embeddings_RD, embeddings_RD, IN_CORPUS.least), known.learnt, known, IN_CORPUS)
    return distinct.pairs(found, method="encoder")


class EncodedQuestions:
    """Held-out questions, ready to be asked which of them a text rephrases; memory for the held-out side alone."""

    def __init__(self, texts: Sequence[str], sample: Sequence[str], encoder: str, *, rule: Rule = HELD_OUT) -> None:
        """`sample` are texts of the stream: which numbers are common is learnt from them too."""
        self._rule = rule
        distinct = distinct_texts(terms_of(texts))
        self._number, self._encoder = distinct.rows, encoder
        some = [texts[row] for row in distinct.rows.tolist()]
        self._known = NumbersKnown([*some, *sample])
        self._numbers = self._known.learnt.first(len(some))
        self._embeddings_RD = _encoded(some, encoder)
        self.capped = ()

    def matches(self, texts: Sequence[str]) -> Matches:
        """The pairs of a text and the held-out question it rephrases, of equal questions the first."""
        alike = _alike(_encoded(texts, self._encoder), self._embeddings_RD, self._rule.least)
        found = matches_of(alike, self._known.sets(texts), self._numbers, self._known, self._rule)
        return Matches(row=found.row, question=self._number[found.question], score=found.score)
