"""What each stage of a recipe reads: files of the run that earlier stages wrote, and files from outside of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from whet.core.errors import ModelError, RecipeError
from whet.core.recipe import Recipe, Stage
from whet.data.sources.source_files import source_files
from whet.models.folder.files import model_files
from whet.models.folder.found import local_folder
from whet.rewards.load import REWARD_MODEL, reward_file

__all__ = ["PURPOSES_READ", "Reads", "reads_base", "reads_of", "start_of"]

PURPOSES_READ: Mapping[Stage, tuple[str, ...]] = {
    "sft": ("ft_train", "ft_validation"),
    "reward_model": ("rm_train",),
    "rl": ("rl_train",),
    "evaluation": ("ft_test", "rl_test", "final", "rm_test"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """`inside` are names in the run's folder, a folder's with `/` at the end; `outside` says where a name lies.

    `Reads(inside=("data/ft_train.parquet", "sft/model/"), outside={"model:config.json": Path("llama/config.json")})`
    """

    inside: tuple[str, ...] = ()
    outside: Mapping[str, Path] = field(default_factory=dict)


def start_of(stage: Stage, recipe: Recipe) -> Stage | None:
    """The stage whose weights this one starts from, None for the base model."""
    from_base = recipe.sft is None or stage == "sft"
    if stage == "reward_model" and recipe.reward_model is not None:
        from_base = from_base or recipe.reward_model.start_from == "base"
    return None if from_base else "sft"


def reads_of(stage: Stage, recipe: Recipe, folder: Path | None) -> Reads:
    """Everything that changes what the stage computes; `folder` is the recipe's own, from which files are found.

    What is not there is left out: whoever needs it says so.
    """
    if stage == "data":
        return Reads(outside=source_files(recipe.data))
    if stage not in PURPOSES_READ:
        return Reads()
    models = _models_of(stage, recipe)
    data = ("data/manifest.json", *(f"data/{purpose}.parquet" for purpose in PURPOSES_READ[stage]))
    base = _base_model(recipe.model) if reads_base(stage, recipe) else {}
    return Reads(
        inside=(*data, *(f"{model}/model/" for model in models if model is not None)),
        outside=base | _reward_files(_rewards_of(stage, recipe), folder),
    )


def reads_base(stage: Stage, recipe: Recipe) -> bool:
    """Whether the stage loads the base model."""
    return stage in PURPOSES_READ and None in _models_of(stage, recipe)


def _models_of(stage: Stage, recipe: Recipe) -> list[Stage | None]:
    """The stages whose models are loaded, None for the base model."""
    judge: list[Stage | None] = ["reward_model"] if recipe.reward_model is not None else []
    if stage == "evaluation":
        trained: list[Stage | None] = ["sft"] if recipe.sft is not None else []
        trained += ["rl"] if recipe.rl is not None else []
        return [None, *trained, *judge]
    uses_judge = REWARD_MODEL in _rewards_of(stage, recipe)
    return [start_of(stage, recipe), *(judge if uses_judge else [])]


def _base_model(name: str) -> dict[str, Path]:
    try:
        folder = local_folder(name)
    except ModelError:
        return {}
    return {} if folder is None else {f"model:{key}": path for key, path in model_files(folder).items()}


def _rewards_of(stage: Stage, recipe: Recipe) -> list[str]:
    if stage == "rl" and recipe.rl is not None:
        return [reward.name for reward in recipe.rl.rewards]
    return [recipe.evaluate.reward] if stage == "evaluation" and recipe.evaluate is not None else []


def _reward_files(names: Sequence[str], folder: Path | None) -> dict[str, Path]:
    found = {}
    for name in names:
        try:
            file = None if name == REWARD_MODEL else reward_file(name, folder=folder)
        except RecipeError:
            continue
        if file is not None:
            said = Path(name.rpartition(":")[0])
            found[f"reward:{said.name if said.is_absolute() else said.as_posix()}"] = file.path
    return found
