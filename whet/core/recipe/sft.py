"""The section `sft`."""

from typing import Annotated, Literal

from pydantic import Field

from whet.core.recipe.optimizer import OptimizerSettings
from whet.core.recipe.section import Count

__all__ = ["SftSettings"]


class SftSettings(OptimizerSettings):
    """Supervised fine-tuning."""

    num_train_epochs: Annotated[int, Field(ge=1, description="passes over ft_train")] = 3
    max_steps: Annotated[Count | None, Field(description="stop after this many steps, whatever the epochs")] = None
    batch_size: Annotated[Count, Field(description="conversations in one optimizer step")] = 16
    max_length: Annotated[
        Count, Field(description="tokens of prompt and completion; longer rows are dropped, listed and counted")
    ] = 1024
    completion_only_loss: Annotated[bool, Field(description="train on the completion alone, not on the prompt")] = True
    assistant_turns: Annotated[
        Literal["last", "all"],
        Field(
            description="last: the last answer of a conversation is trained; all: the earlier ones too, where the chat template writes them alike once others follow"
        ),
    ] = "last"
    eval_steps: Annotated[Count, Field(description="steps between validation losses")] = 25
