"""The section `rl`, and its rewards."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from whet.core.recipe.optimizer import OptimizerSettings
from whet.core.recipe.section import Count, Section

__all__ = ["RewardSettings", "RlSettings"]


class RewardSettings(Section):
    """One reward and its weight in the sum."""

    name: Annotated[
        str,
        Field(
            min_length=1,
            description="a name in the table REWARDS, `reward_model`, or file.py:function, looked for in the recipe's folder, then in the current one",
        ),
    ]
    weight: Annotated[float, Field(description="factor in the sum")] = 1.0
    timeout_s: Annotated[
        float,
        Field(
            gt=0,
            description="seconds one call of the function may take, then its completions are unscorable; a call judges one completion, or the whole step when the function takes lists",
        ),
    ] = 60.0


class RlSettings(OptimizerSettings):
    """Reinforcement learning from rollouts."""

    algorithm: Annotated[Literal["grpo"], Field(description="a name in the table ALGORITHMS")] = "grpo"
    learning_rate: Annotated[float, Field(gt=0, le=1, description="peak learning rate of AdamW")] = 1e-6
    lr_scheduler_type: Annotated[
        Literal["cosine", "linear", "constant"], Field(description="decay to zero after the warm-up")
    ] = "constant"
    steps: Annotated[Count, Field(description="rounds of sample, score, update")] = 100
    prompts_per_step: Annotated[Count, Field(description="different prompts in a round")] = 8
    num_generations: Annotated[int, Field(ge=2, description="G: completions sampled for each prompt")] = 8
    max_completion_length: Annotated[Count, Field(description="tokens a completion may have")] = 256
    max_prompt_length: Annotated[
        Count, Field(description="tokens a prompt may have; longer ones are dropped, listed and counted")
    ] = 512
    temperature: Annotated[
        float, Field(gt=0, description="of sampling; the policy's log-probabilities use the same")
    ] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1, description="nucleus; 1 keeps every token")] = 1.0
    top_k: Annotated[int, Field(ge=0, description="keep the k likeliest tokens; 0 keeps every token")] = 0
    num_iterations: Annotated[Count, Field(description="passes over the same rollouts")] = 1
    minibatches: Annotated[
        Count, Field(description="optimizer steps in one pass over the rollouts; groups stay whole")
    ] = 1
    epsilon: Annotated[float, Field(gt=0, lt=1, description="the ratio is clipped below 1 - epsilon")] = 0.2
    epsilon_high: Annotated[
        float | None, Field(gt=0, description="the ratio is clipped above 1 + epsilon_high; epsilon when not given")
    ] = None
    beta: Annotated[float, Field(ge=0, description="weight of the KL divergence from the reference model")] = 0.0
    scale_rewards: Annotated[
        Literal["group", "none"],
        Field(description="group: divide by the group's standard deviation (n - 1); none: subtract the mean only"),
    ] = "group"
    loss_type: Annotated[
        Literal["dapo", "grpo", "dr_grpo"],
        Field(
            description="how token losses are averaged: dapo over all tokens of the step, grpo within each completion first, dr_grpo by max_completion_length"
        ),
    ] = "dapo"
    mask_truncated_completions: Annotated[bool, Field(description="completions cut at the limit give no gradient")] = (
        False
    )
    rewards: Annotated[tuple[RewardSettings, ...], Field(min_length=1, description="rewards and their weights")] = (
        RewardSettings(name="answer"),
        RewardSettings(name="format", weight=0.2),
    )
    max_dead_steps: Annotated[
        Count, Field(description="stop after this many steps in a row in which no group had any reward variance")
    ] = 20

    @model_validator(mode="after")
    def _groups_for_every_minibatch(self) -> "RlSettings":
        if self.minibatches > self.prompts_per_step:
            raise ValueError(
                f"minibatches is {self.minibatches}, but a step has only {self.prompts_per_step} prompts, "
                "whose groups stay whole; lower minibatches or raise prompts_per_step"
            )
        return self
