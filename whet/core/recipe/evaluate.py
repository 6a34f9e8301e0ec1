"""The section `evaluate`."""

from typing import Annotated

from pydantic import Field, model_validator

from whet.core.recipe.section import Count, Section

__all__ = ["EvaluateSettings"]


class EvaluateSettings(Section):
    """Final evaluation: the same prompts for base, SFT and RL."""

    reward: Annotated[
        str,
        Field(
            description="the verifier that decides what is correct: a name in REWARDS or file.py:function, looked for in the recipe's folder, then in the current one"
        ),
    ] = "answer"
    max_completion_length: Annotated[Count, Field(description="tokens a completion may have")] = 256
    samples: Annotated[
        int, Field(ge=0, description="completions per prompt for pass@k, besides the greedy one; 0 for none")
    ] = 8
    pass_at: Annotated[tuple[Count, ...], Field(description="the k of pass@k")] = (1, 4, 8)
    sample_prompts: Annotated[Count, Field(description="how many prompts of each slice are sampled for pass@k")] = 64
    temperature: Annotated[float, Field(gt=0, description="of the samples for pass@k")] = 1.0
    confidence: Annotated[float, Field(gt=0.5, lt=1, description="of every interval")] = 0.95
    contamination: Annotated[
        tuple[str, ...],
        Field(
            description="training data that a model may have seen: files, folders, runs or hub ids; scores are also reported apart for prompts that are in it, by rule"
        ),
    ] = ()

    @model_validator(mode="after")
    def _enough_samples(self) -> "EvaluateSettings":
        if self.samples and max(self.pass_at) > self.samples:
            raise ValueError(
                f"pass_at asks for k = {max(self.pass_at)}, but samples is {self.samples}; raise samples or lower k"
            )
        return self
