"""whet: from a base language model and data to a post-trained, evaluated model.

    import whet
    run = whet.run("recipes/demo.yaml", seed=3)
    run.results, run.metrics["rl"], run.figures["rewards"]

Importing whet imports nothing else; the verbs do when they are used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whet.api import Run, evaluate, reward_model, rl, run, score, sft
    from whet.core.errors import WhetError

__all__ = ["Run", "WhetError", "evaluate", "reward_model", "rl", "run", "score", "sft"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from whet import api
    from whet.core import errors

    return getattr(errors if name == "WhetError" else api, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
