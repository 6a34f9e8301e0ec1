"""The recipe: one strict schema that is the single truth for the file, the flags, the Python keywords, the docs and every default.

One file per section; `file` reads and merges a recipe, `text` its YAML or TOML. A stage runs when its section stands in
the recipe. Names follow TRL's where the thing is the same. Each field's description is its only documentation; `--help`
and the docs table print it.
"""

from whet.core.recipe.data import ArithmeticSettings, DataSettings, SizeSettings
from whet.core.recipe.evaluate import EvaluateSettings
from whet.core.recipe.reward_model import RewardModelSettings
from whet.core.recipe.rl import RewardSettings, RlSettings
from whet.core.recipe.sft import SftSettings
from whet.core.recipe.template import TemplateSettings
from whet.core.recipe.whole import STAGES, Recipe, Stage

__all__ = [
    "STAGES",
    "ArithmeticSettings",
    "DataSettings",
    "EvaluateSettings",
    "Recipe",
    "RewardModelSettings",
    "RewardSettings",
    "RlSettings",
    "SftSettings",
    "SizeSettings",
    "Stage",
    "TemplateSettings",
]
