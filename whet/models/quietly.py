"""Calls into transformers: without its bars and notes, and with its errors as one line."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer, GenerationConfig
from transformers import logging as transformers_logging

from whet.core.errors import ModelError, first_line
from whet.core.runlog import printable
from whet.models.folder.check import require_sound
from whet.models.folder.found import EMBEDDED
from whet.models.folder.tokenizer_check import require_usable_tokenizer

__all__ = ["quiet", "quietly"]

_LONGEST = 300
# Whose the fault is; where it is not known, the model's.
_PARTS: Mapping[Any, str] = {
    AutoTokenizer: "its tokenizer",
    AutoConfig: "its config.json",
    GenerationConfig: "its generation_config.json",
}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the bars and notes of transformers."""
    level, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()


def quietly(load: Any, name: str, source: str, **options: Any) -> Any:
    """Call a `from_pretrained` quietly, on a folder that was looked at first; whatever it throws becomes one line."""
    kind, folder = getattr(load, "__self__", None), Path(source)
    if name not in EMBEDDED and folder.is_dir():
        require_sound(folder)
        if kind is AutoTokenizer:
            require_usable_tokenizer(folder)
    try:
        with quiet():
            return load(source, trust_remote_code=False, **options)
    except (KeyboardInterrupt, SystemExit, ModelError):
        raise
    except BaseException as error:  # a panic of the tokenizers library is no Exception
        cause = printable(first_line(error), limit=_LONGEST)
        what = " ".join(filter(None, (f"model {name!r}:", _PARTS.get(kind), "cannot be loaded")))
        raise ModelError(f"{what} ({type(error).__name__}: {cause})") from error
