"""The section `reward_model`."""

from typing import Annotated, Literal

from pydantic import Field

from whet.core.recipe.optimizer import OptimizerSettings
from whet.core.recipe.section import Count

__all__ = ["RewardModelSettings"]


class RewardModelSettings(OptimizerSettings):
    """Bradley-Terry reward model."""

    learning_rate: Annotated[float, Field(gt=0, le=1, description="peak learning rate of AdamW")] = 1e-4
    num_train_epochs: Annotated[int, Field(ge=1, description="passes over rm_train")] = 1
    max_steps: Annotated[Count | None, Field(description="stop after this many steps, whatever the epochs")] = None
    batch_size: Annotated[
        Count, Field(description="prompts in one optimizer step, each with all pairs of its completions")
    ] = 16
    max_length: Annotated[
        Count, Field(description="tokens of prompt and completion; longer rows are dropped, listed and counted")
    ] = 1024
    center_rewards_coefficient: Annotated[
        float, Field(ge=0, description="weight of (r_chosen + r_rejected)^2, which keeps rewards around zero")
    ] = 0.01
    start_from: Annotated[Literal["sft", "base"], Field(description="whose weights the reward model starts from")] = (
        "sft"
    )
