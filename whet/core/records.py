"""The nouns of the whole system. Frozen, lists not tensors; a row's id is a hash of its content, wherever it came from.

raw row ──► Conversation | Prompt | Comparison | Ranking ──► (a purpose) ──► Rollout ──► Score
     └────► Rejected, with a reason
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal, get_args

from whet.core.files import content_id

__all__ = [
    "EVALUATION_PURPOSES",
    "PURPOSES",
    "TRAINING_PURPOSES",
    "Comparison",
    "Conversation",
    "Message",
    "Origin",
    "Prompt",
    "Purpose",
    "Ranking",
    "Record",
    "Rejected",
    "Role",
    "Rollout",
    "Score",
    "completions_in",
    "prompt_in",
    "texts_in",
]

Role = Literal["system", "user", "assistant", "tool"]
Purpose = Literal["ft_train", "ft_validation", "ft_test", "rm_train", "rm_test", "rl_train", "rl_test", "final"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
# What a training loop may open. Everything else is opened by `whet.evaluation` alone.
TRAINING_PURPOSES: frozenset[Purpose] = frozenset({"ft_train", "ft_validation", "rm_train", "rl_train"})
EVALUATION_PURPOSES: frozenset[Purpose] = frozenset(PURPOSES) - TRAINING_PURPOSES


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a row came from: `Origin(source="openai/gsm8k:main:train", row=17)`; never an absolute path."""

    source: str
    row: int  # 0-based, counting every row of the source, the rejected ones too


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn: `Message(role="user", content="Alice has 3 apples and buys 2 more. How many now?")`.

    `is_learned` is False for an answer that its row marks as mere context, wherever answers are trained.
    """

    role: Role
    content: str
    is_learned: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a model is asked: every turn before its answer, the known answer if there is one, and the row's columns.

    `Prompt(messages=(Message(role="user", content="3+2?"),), answer="5", slice="in_distribution", columns={...}, ...)`
    `slice` names the kind of row a score is broken down by; `columns` are the row's other fields, handed to rewards.
    """

    messages: tuple[Message, ...]
    origin: Origin
    answer: str | None = None
    slice: str = "all"
    columns: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Of what is asked and of the known answer: the same question with another answer is another row."""
        asked = [part for turn in self.messages for part in (turn.role, turn.content)]
        return content_id("prompt", *asked, *(() if self.answer is None else ("answer", self.answer)))

    @property
    def text(self) -> str:
        """All turns as plain text, for views, duplicates and rewards; a single user turn is its content alone."""
        if len(self.messages) == 1:
            return self.messages[0].content
        return "\n".join(f"{turn.role}: {turn.content}" for turn in self.messages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A prompt with the completion to imitate: `completion="<think>3+2=5</think><answer>5</answer>"`."""

    prompt: Prompt
    completion: str

    @property
    def id(self) -> str:
        return content_id("conversation", self.prompt.id, self.completion)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One preference: of two completions of a prompt, `chosen` is the better one, by `margin` if that is known."""

    prompt: Prompt
    chosen: str
    rejected: str
    margin: float | None = None

    @property
    def id(self) -> str:
        margin = () if self.margin is None else (repr(float(self.margin)),)
        return content_id("comparison", self.prompt.id, self.chosen, self.rejected, *margin)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Several completions of a prompt with their ranks, 0 the best; equal ranks are ties.

    `Ranking(prompt=..., completions=("good", "fair", "bad"), ranks=(0, 1, 2))`
    """

    prompt: Prompt
    completions: tuple[str, ...]
    ranks: tuple[int, ...]

    @property
    def id(self) -> str:
        return content_id("ranking", self.prompt.id, *self.completions, *map(str, self.ranks))

    def comparisons(self) -> list[Comparison]:
        """Every pair with different ranks, better one first; ties give no pair."""
        ranked = list(zip(self.ranks, self.completions, strict=True))
        pairs = [(a, b) if a[0] < b[0] else (b, a) for a, b in combinations(ranked, 2) if a[0] != b[0]]
        return [Comparison(prompt=self.prompt, chosen=better[1], rejected=worse[1]) for better, worse in pairs]


Record = Prompt | Conversation | Comparison | Ranking


def prompt_in(record: Record) -> Prompt:
    """The prompt of any kind of record."""
    return record if isinstance(record, Prompt) else record.prompt


def completions_in(record: Record) -> tuple[str, ...]:
    """What answers the prompt of any kind of record; of a comparison the chosen text first."""
    match record:
        case Conversation():
            return (record.completion,)
        case Comparison():
            return (record.chosen, record.rejected)
        case Ranking():
            return record.completions
        case Prompt():
            return ()


def texts_in(record: Record) -> list[str]:
    """Everything that a row says, turn by turn: its prompt, then what answers it."""
    return [*(turn.content for turn in prompt_in(record).messages), *completions_in(record)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A raw row that was not taken, and why: one line of `rejected.jsonl`."""

    origin: Origin
    field: str | None
    reason: str
    excerpt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One sampled completion, with everything needed to sample it again alone.

    `logprobs` are the sampler's own, one per completion token (nats, at its temperature); the last token is the stop
    token when `finish` is `"stop"`, and `"length"` means it was cut at the limit. With `"no_room"` nothing was sampled,
    because the prompt is as long as the model's context. `text` is without special tokens.
    """

    prompt: Prompt
    sample: int  # 0 .. G-1 within its group
    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    text: str
    finish: Literal["stop", "length", "no_room"]

    @property
    def is_truncated(self) -> bool:
        return self.finish == "length"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a reward said of one completion: `Score(value=1.2, parts={"answer": 1.0, "format": 0.2}, ...)`.

    `value` is None when no part could judge; then `unscorable` says why. A failed grader is never a 0.
    """

    value: float | None
    parts: Mapping[str, float | None]
    unscorable: str | None = None
    seconds: float = 0.0
