"""whet: from a base language model and data to a post-trained, evaluated model.

    import whet
    run = whet.run("recipes/demo.yaml", seed=3)
    run.results, run.metrics["rl"], run.figures["rewards"]

Importing whet imports no torch; the verbs do when they are called.
"""

from whet.api import Run, evaluate, reward_model, rl, run, score, sft
from whet.core.errors import WhetError

__all__ = ["Run", "WhetError", "evaluate", "reward_model", "rl", "run", "score", "sft"]
__version__ = "0.1.0"
