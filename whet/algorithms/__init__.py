"""Pure functions on tensors, one paper per file, and the table of what the RL loop can run. Imports torch only.

Add an algorithm: write its file with a class that is an `Algorithm`, put one line into ALGORITHMS, and its name among
the choices of `rl.algorithm` in the recipe (a test fails while the two differ). No loop changes.
"""

from collections.abc import Mapping

from whet.algorithms.algorithm import Algorithm, TokenLosses
from whet.algorithms.grpo import Grpo

__all__ = ["ALGORITHMS", "Algorithm", "TokenLosses"]

ALGORITHMS: Mapping[str, type[Algorithm]] = {"grpo": Grpo}
