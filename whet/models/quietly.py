"""Calls into transformers: without its bars and notes, and with its errors as one line."""

import contextlib
from collections.abc import Iterator
from typing import Any

from transformers import logging as transformers_logging

from whet.core.errors import ModelError

__all__ = ["quiet", "quietly"]


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
    """Call a `from_pretrained` quietly; its errors become one line."""
    try:
        with quiet():
            return load(source, trust_remote_code=False, **options)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"model {name!r} cannot be loaded: {first_line}") from error
