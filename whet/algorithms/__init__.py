"""Pure functions on tensors, one paper per file, and the table of what the RL loop can run. Imports torch only.

Add an algorithm: write its file with a class that is an `Algorithm`, and put one line into ALGORITHMS. No loop changes.
"""

from collections.abc import Mapping

from whet.algorithms.algorithm import Algorithm, TokenLosses
from whet.algorithms.grpo import Grpo

__all__ = ["ALGORITHMS", "Algorithm", "TokenLosses"]

ALGORITHMS: Mapping[str, type[Algorithm]] = {"grpo": Grpo}
