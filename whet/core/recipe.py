"""The recipe: one strict schema that is the single truth for the file, the flags, the Python keywords, the docs and every default.

A stage runs when its section stands in the recipe. Names follow TRL's where the thing is the same. Each field's
description is its only documentation; `--help` and the docs table print it.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from whet.core.records import Purpose

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

Stage = Literal["data", "sft", "reward_model", "rl", "evaluation", "report"]
STAGES: tuple[Stage, ...] = ("data", "sft", "reward_model", "rl", "evaluation", "report")

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Rows = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """Unknown keys are errors, values are never changed after validation, NaN and infinity are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)


class ArithmeticSettings(Section):
    """What `whet:arithmetic` generates."""

    rows: Annotated[Count, Field(description="word problems to generate")] = 6000
    reasoning_share: Annotated[
        Share,
        Field(
            description="average share of demonstrations that think before they answer, more of the long ones; the rest answer directly"
        ),
    ] = 0.4
    wrong_share: Annotated[
        Share, Field(description="share of demonstrations whose answer is wrong, as people's are")
    ] = 0.03
    long_tail_share: Annotated[Share, Field(description="share of rows about rare things and actions")] = 0.08
    out_of_distribution_share: Annotated[
        Share,
        Field(
            description="share of rows with unseen sentence forms, larger numbers or more steps; they are only ever evaluated"
        ),
    ] = 0.06
    steps: Annotated[
        tuple[float, float, float, float], Field(description="relative frequency of problems of 1, 2, 3 and 4 steps")
    ] = (0.3, 0.35, 0.25, 0.1)

    @field_validator("steps")
    @classmethod
    def _some_step(cls, value: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        if min(value) < 0 or sum(value) <= 0:
            raise ValueError("must be four frequencies of at least 0 with a sum above 0")
        return value


class SizeSettings(Section):
    """Rows for each purpose: whole numbers are row counts, or ratios that sum to at most 1."""

    ft_train: Annotated[float, Field(ge=0, description="fine-tuning: rows to train on")] = 0.40
    ft_validation: Annotated[
        float, Field(ge=0, description="fine-tuning: rows that choose hyperparameters and the best checkpoint")
    ] = 0.05
    ft_test: Annotated[float, Field(ge=0, description="fine-tuning: rows for its own final score")] = 0.05
    rm_train: Annotated[float, Field(ge=0, description="reward model: rows to train on")] = 0.15
    rm_test: Annotated[float, Field(ge=0, description="reward model: rows for its accuracy")] = 0.05
    rl_train: Annotated[float, Field(ge=0, description="reinforcement learning: prompts to roll out")] = 0.15
    rl_test: Annotated[float, Field(ge=0, description="reinforcement learning: prompts for its own final score")] = 0.05
    final: Annotated[float, Field(ge=0, description="strictly unseen prompts that compare base, SFT and RL")] = 0.10

    @model_validator(mode="after")
    def _counts_or_ratios(self) -> "SizeSettings":
        values = self.model_dump().values()
        if sum(values) <= 1 + 1e-9:
            return self
        if any(value != int(value) for value in values):
            raise ValueError(
                f"must be either whole numbers of rows or ratios with a sum of at most 1 (got a sum of {sum(values):.9g}); "
                "a size that is not given keeps its ratio, so give all eight numbers of rows"
            )
        return self


class DataSettings(Section):
    """Where the rows come from and how they are prepared."""

    source: Annotated[
        str | tuple[str, ...],
        Field(
            description="whet:arithmetic, a file (.jsonl .json .csv .tsv .parquet .arrow, the text ones also .gz and .zst), a folder, or a hub id; several are mixed"
        ),
    ] = "whet:arithmetic"
    weights: Annotated[
        tuple[Annotated[float, Field(gt=0)], ...] | None,
        Field(
            description="relative share of rows from each source when several are mixed; the others are thinned by hash to keep it. Without it every row of each is taken"
        ),
    ] = None
    columns: Annotated[
        Mapping[str, str],
        Field(
            description="which column is what, where a source names them otherwise: {question: Problem, answer: Solution}"
        ),
    ] = Field(default_factory=dict)
    config: Annotated[str | None, Field(description="configuration of a hub data set, such as main")] = None
    split: Annotated[str, Field(description="split of a hub data set")] = "train"
    preferences: Annotated[
        str | None,
        Field(
            description="a further source of chosen/rejected or ranked rows for the reward model; without it rankings are derived from the demonstrations"
        ),
    ] = None
    limit: Annotated[Count | None, Field(description="take only this many rows, chosen by hash, after reading")] = None
    completion: Annotated[
        Literal["think", "as_is"],
        Field(
            description="think: question/answer rows become <think>reasoning</think><answer>N</answer>; as_is: the answer text is the completion"
        ),
    ] = "think"
    sizes: Annotated[SizeSettings, Field(description="rows or ratios for the eight purposes")] = SizeSettings()
    pinned: Annotated[
        Mapping[Purpose, str],
        Field(
            description="sources that are a purpose's rows as they are, such as a published test set: {final: test.jsonl}; rows like theirs go nowhere else"
        ),
    ] = Field(default_factory=dict)
    earlier: Annotated[
        str | None, Field(description="a folder prepared earlier; rows that were in it keep their purposes")
    ] = None
    stratify: Annotated[
        tuple[str, ...],
        Field(
            description="columns whose values every purpose shall have in the same proportions; length stands for the prompt's length"
        ),
    ] = ()
    time: Annotated[
        str | None,
        Field(
            description="column with a date or number: evaluation purposes take the newest rows, training none that is later"
        ),
    ] = None
    group: Annotated[
        str | None,
        Field(description="column whose rows of one value are never parted, such as a document or an author"),
    ] = None
    long_tail: Annotated[
        Literal["auto", "off"],
        Field(
            description="auto: rows that bring no slice are searched for rare words, templates, lengths and sources, which final then mixes in"
        ),
    ] = "auto"
    out_of_distribution: Annotated[
        tuple[str, ...],
        Field(description="sources, or column=value, whose rows are only ever evaluated, as a slice of final"),
    ] = ()
    near_duplicates: Annotated[
        Literal["drop", "keep"],
        Field(
            description="drop: of near duplicates with the same numbers and answer inside a purpose one is kept; rows that are merely alike are never parted, and never dropped"
        ),
    ] = "drop"
    paraphrase: Annotated[
        str,
        Field(
            description="words: rephrased prompts are found by their rare words and numbers; off; or a sentence encoder by name (needs whet[embed])"
        ),
    ] = "words"
    benchmarks: Annotated[
        tuple[str, ...],
        Field(description="benchmark files or folders; rows that hold one of their questions leave every purpose"),
    ] = ()
    workers: Annotated[
        Rows, Field(description="0: this process; more: that many workers of Ray Data (needs whet[ray]), the same bits")
    ] = 0
    max_rejected_share: Annotated[Share, Field(description="stop when more than this share of the rows is refused")] = (
        0.05
    )
    arithmetic: Annotated[ArithmeticSettings, Field(description="settings of whet:arithmetic")] = ArithmeticSettings()


class TemplateSettings(Section):
    """How messages become the text that the model reads."""

    format: Annotated[
        Literal["auto", "plain", "chat"],
        Field(
            description="auto: the tokenizer's chat template if it has one, else plain; plain: prompt, newline, completion"
        ),
    ] = "auto"
    system: Annotated[str | None, Field(description="a system turn put before every prompt that has none")] = None


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


class SftSettings(OptimizerSettings):
    """Supervised fine-tuning."""

    num_train_epochs: Annotated[int, Field(ge=1, description="passes over ft_train")] = 3
    max_steps: Annotated[Count | None, Field(description="stop after this many steps, whatever the epochs")] = None
    batch_size: Annotated[Count, Field(description="conversations in one optimizer step")] = 16
    max_length: Annotated[
        Count, Field(description="tokens of prompt and completion; longer rows are dropped, listed and counted")
    ] = 1024
    completion_only_loss: Annotated[bool, Field(description="train on the completion alone, not on the prompt")] = True
    eval_steps: Annotated[Count, Field(description="steps between validation losses")] = 25


class RewardModelSettings(OptimizerSettings):
    """Bradley-Terry reward model."""

    learning_rate: Annotated[float, Field(gt=0, le=1, description="peak learning rate of AdamW")] = 1e-4
    num_train_epochs: Annotated[int, Field(ge=1, description="passes over rm_train")] = 1
    max_steps: Annotated[Count | None, Field(description="stop after this many steps, whatever the epochs")] = None
    batch_size: Annotated[Count, Field(description="comparisons in one optimizer step")] = 16
    max_length: Annotated[
        Count, Field(description="tokens of prompt and completion; longer rows are dropped, listed and counted")
    ] = 1024
    center_rewards_coefficient: Annotated[
        float, Field(ge=0, description="weight of (r_chosen + r_rejected)^2, which keeps rewards around zero")
    ] = 0.01
    start_from: Annotated[Literal["sft", "base"], Field(description="whose weights the reward model starts from")] = (
        "sft"
    )


class RewardSettings(Section):
    """One reward and its weight in the sum."""

    name: Annotated[
        str, Field(min_length=1, description="a name in the table REWARDS, `reward_model`, or file.py:function")
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


class EvaluateSettings(Section):
    """Final evaluation: the same prompts for base, SFT and RL."""

    reward: Annotated[
        str, Field(description="the verifier that decides what is correct: a name in REWARDS or file.py:function")
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
