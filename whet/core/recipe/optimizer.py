"""What every training stage shares."""

from typing import Annotated, Literal

from pydantic import Field

from whet.core.recipe.section import Count, Section, Share

__all__ = ["OptimizerSettings"]


class OptimizerSettings(Section):
    """What every training stage shares."""

    learning_rate: Annotated[float, Field(gt=0, le=1, description="peak learning rate of AdamW")] = 5e-5
    weight_decay: Annotated[float, Field(ge=0, description="AdamW's decoupled weight decay, on matrices only")] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0, description="gradients are scaled down to this global norm")] = 1.0
    lr_scheduler_type: Annotated[
        Literal["cosine", "linear", "constant"], Field(description="decay to zero after the warm-up")
    ] = "cosine"
    warmup_ratio: Annotated[
        Share, Field(description="share of the steps in which the learning rate rises linearly")
    ] = 0.03
    max_tokens_per_micro_batch: Annotated[
        Count,
        Field(
            description="tokens that go through the model at once; lower it when memory runs out, the result stays the same"
        ),
    ] = 16384
    max_dropped_share: Annotated[
        Share, Field(description="stop when more than this share of the stage's rows had to be dropped")
    ] = 0.1
    save_steps: Annotated[Count, Field(description="steps between checkpoints")] = 50
    save_total_limit: Annotated[Count, Field(description="checkpoints kept besides the best one")] = 2
