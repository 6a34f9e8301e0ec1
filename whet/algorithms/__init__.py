"""Pure functions on tensors, one paper per file, and the table of what the RL loop can run. Imports torch only.

Add an algorithm: write its file with a class that is a `PolicyAlgorithm` and put one line into FAMILY. ALGORITHMS are
those that the loop runs today, the choices of `rl.algorithm` in the recipe (a test fails while the two differ).
`parts/` holds what several of them share, `preferences/` the losses that need no rollouts.
"""

from collections.abc import Mapping

from whet.algorithms.algorithm import Algorithm, PolicyAlgorithm, TokenLosses
from whet.algorithms.cispo import Cispo
from whet.algorithms.dapo import Dapo
from whet.algorithms.distillation import Distillation
from whet.algorithms.dr_grpo import DrGrpo
from whet.algorithms.grpo import Grpo
from whet.algorithms.gspo import Gspo, GspoToken
from whet.algorithms.ppo import Ppo
from whet.algorithms.reinforce import Reinforce
from whet.algorithms.reinforce_plus_plus import ReinforcePlusPlus, ReinforcePlusPlusBaseline
from whet.algorithms.rloo import Rloo

__all__ = ["ALGORITHMS", "FAMILY", "Algorithm", "PolicyAlgorithm", "TokenLosses"]

ALGORITHMS: Mapping[str, type[Algorithm]] = {"grpo": Grpo}

FAMILY: Mapping[str, type[PolicyAlgorithm]] = {
    "reinforce": Reinforce,
    "rloo": Rloo,
    "grpo": Grpo,
    "dr_grpo": DrGrpo,
    "dapo": Dapo,
    "gspo": Gspo,
    "gspo_token": GspoToken,
    "cispo": Cispo,
    "reinforce_plus_plus": ReinforcePlusPlus,
    "reinforce_plus_plus_baseline": ReinforcePlusPlusBaseline,
    "ppo": Ppo,
    "distillation": Distillation,
}
