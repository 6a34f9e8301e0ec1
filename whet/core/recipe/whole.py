"""A whole recipe: the sections, and what must hold between them."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from whet.core.recipe.data import DataSettings
from whet.core.recipe.evaluate import EvaluateSettings
from whet.core.recipe.reward_model import RewardModelSettings
from whet.core.recipe.rl import RlSettings
from whet.core.recipe.section import Count, Section
from whet.core.recipe.sft import SftSettings
from whet.core.recipe.template import TemplateSettings

__all__ = ["STAGES", "Recipe", "Stage"]


Stage = Literal["data", "sft", "reward_model", "rl", "evaluation", "report"]
STAGES: tuple[Stage, ...] = ("data", "sft", "reward_model", "rl", "evaluation", "report")


class Recipe(Section):
    """A whole run: which model, which data, which stages."""

    name: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="the run's name; its folder is runs/NAME")
    ] = "run"
    seed: Annotated[int, Field(ge=0, description="the one seed that every other random number follows from")] = 0
    model: Annotated[
        str, Field(min_length=1, description="base model: whet:tiny, a folder that from_pretrained reads, or a hub id")
    ] = "whet:tiny"
    device: Annotated[Literal["auto", "cpu", "cuda"], Field(description="auto: cuda when there is one")] = "auto"
    threads: Annotated[
        Count | None,
        Field(description="CPU threads; all cores when not given. A run is repeatable for the same number"),
    ] = None
    template: Annotated[TemplateSettings, Field(description="how messages become text")] = TemplateSettings()
    data: Annotated[DataSettings, Field(description="where the rows come from")] = DataSettings()
    sft: Annotated[SftSettings | None, Field(description="supervised fine-tuning; leave out to skip it")] = None
    reward_model: Annotated[RewardModelSettings | None, Field(description="reward model; leave out to skip it")] = None
    rl: Annotated[RlSettings | None, Field(description="reinforcement learning; leave out to skip it")] = None
    evaluate: Annotated[EvaluateSettings | None, Field(description="final evaluation; leave out to skip it")] = None

    def stages(self, last: Stage | None = None) -> tuple[Stage, ...]:
        """The stages that the recipe names, in order, up to and with `last`."""
        named: dict[Stage, bool] = {
            "data": True,
            "sft": self.sft is not None,
            "reward_model": self.reward_model is not None,
            "rl": self.rl is not None,
            "evaluation": self.evaluate is not None,
            "report": True,
        }
        wanted = STAGES if last is None else STAGES[: STAGES.index(last) + 1]
        return tuple(stage for stage in wanted if named[stage])

    @model_validator(mode="after")
    def _reward_model_is_there(self) -> "Recipe":
        uses = self.rl is not None and any(reward.name == "reward_model" for reward in self.rl.rewards)
        if uses and self.reward_model is None:
            raise ValueError(
                "rl.rewards names reward_model, but the recipe has no reward_model section; add one or drop that reward"
            )
        return self
