"""`whet:arithmetic`: word problems about someone's things, with demonstrations of mixed quality and rankings.

A problem is an opening, one to four steps, perhaps a distractor, and a question:

    Alice has 3 apples and buys 2 more. How many now?
    <think>Start with 3. Buys 2 => 3+2=5.</think><answer>5</answer>

Three slices. `in_distribution`: common things and actions. `long_tail`: a rare thing or a rare action, which
fine-tuning hardly sees. `out_of_distribution`: sentence forms that stand nowhere else, larger numbers, or five and six
steps; these rows are for evaluation only. `pretraining_documents` makes the plain text that the embedded base model
learns from: sums and stories without tags, never one of the prompts (a hash of the text decides whose it is) and never
an unseen form.
"""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from whet.core.recipe import ArithmeticSettings
from whet.core.seeds import seed_for
from whet.data.sources.arithmetic_words import (
    ACTIONS,
    CONTAINERS,
    DISTRACTORS,
    FRAMES,
    GROUP_OPENINGS,
    OPENINGS,
    PEOPLE,
    PLACES,
    QUALITIES,
    QUESTIONS,
    RARE_ACTIONS,
    RARE_THINGS,
    THINGS,
    UNSEEN_ACTIONS,
    UNSEEN_FRAMES,
    UNSEEN_OPENINGS,
    UNSEEN_QUESTIONS,
    Action,
    Operation,
)

__all__ = ["arithmetic_rows", "pretraining_documents"]

Slice = Literal["in_distribution", "long_tail", "out_of_distribution"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change: `Step(thought="Buys 2", before=3, operation="+", number=2)`, after which there are 5."""

    thought: str
    before: int
    operation: Operation
    number: int

    @property
    def after(self) -> int:
        if self.operation == "+":
            return self.before + self.number
        return self.before - self.number if self.operation == "-" else self.before * self.number

    @property
    def equation(self) -> str:
        return f"{self.before}{self.operation}{self.number}={self.after}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A word problem: its text in sentences, how many there are at first, and the steps to the answer."""

    sentences: tuple[str, ...]
    question: str
    name: str
    things: str
    start: int
    steps: tuple[Step, ...]

    @property
    def prompt(self) -> str:
        return " ".join((*self.sentences, self.question))

    @property
    def answer(self) -> int:
        return self.steps[-1].after


@dataclass(frozen=True, slots=True, kw_only=True)
class Difficulty:
    """The ranges that numbers are drawn from."""

    start: tuple[int, int]
    change: tuple[int, int]
    factor: tuple[int, int]
    largest: int


ORDINARY = Difficulty(start=(2, 20), change=(1, 20), factor=(2, 4), largest=100)
LARGER = Difficulty(start=(40, 99), change=(21, 60), factor=(2, 3), largest=300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forms:
    """The sentence forms and words that a problem is told in."""

    openings: Sequence[str]
    frames: Sequence[str]
    questions: Sequence[str]
    actions: Sequence[Action]
    things: Sequence[str]
    group_share: float


SEEN = Forms(openings=OPENINGS, frames=FRAMES, questions=QUESTIONS, actions=ACTIONS, things=THINGS, group_share=0.15)
RARE_FORMS = (
    Forms(openings=OPENINGS, frames=FRAMES, questions=QUESTIONS, actions=ACTIONS, things=RARE_THINGS, group_share=0.1),
    Forms(openings=OPENINGS, frames=FRAMES, questions=QUESTIONS, actions=RARE_ACTIONS, things=THINGS, group_share=0.1),
)
UNSEEN = Forms(
    openings=UNSEEN_OPENINGS,
    frames=UNSEEN_FRAMES,
    questions=UNSEEN_QUESTIONS,
    actions=UNSEEN_ACTIONS,
    things=THINGS,
    group_share=0.0,
)


def _step(random_: random.Random, actions: Sequence[Action], before: int, limits: Difficulty) -> tuple[Action, Step]:
    while True:
        action = random_.choice(actions)
        low, high = limits.factor if action.operation == "*" else limits.change
        if action.operation == "-":
            high = min(high, before)
        if low > high:
            low = 1
        if low > high:
            continue
        number = action.number or random_.randint(low, high)
        step = Step(
            thought=action.thought if action.number else f"{action.thought} {number}",
            before=before,
            operation=action.operation,
            number=number,
        )
        if 0 <= step.after <= limits.largest:
            return action, step


def _problem(random_: random.Random, forms: Forms, *, steps: int, limits: Difficulty) -> Problem:
    name, pronoun = random_.choice(PEOPLE)
    other = random_.choice([person for person, _ in PEOPLE if person != name])
    things = random_.choice(QUALITIES) + random_.choice(forms.things)
    words = {"name": name, "sub": pronoun, "Sub": pronoun.capitalize(), "other": other, "things": things}

    def tell(form: str, **more: object) -> str:
        return form.format(**words, place=random_.choice(PLACES), containers=random_.choice(CONTAINERS), **more)

    taken: list[Step] = []
    if random_.random() < forms.group_share and limits is ORDINARY:
        k, m = random_.randint(2, 5), random_.randint(2, 9)
        start = k * m
        sentences = [tell(random_.choice(GROUP_OPENINGS), k=k, m=m)]
        taken.append(Step(thought=f"{k} of {m}", before=k, operation="*", number=m))
    else:
        start = random_.randint(*limits.start)
        sentences = [tell(random_.choice(forms.openings), n=start)]
    current = start
    while len(taken) < steps:
        action, step = _step(random_, forms.actions, current, limits)
        # "lends 1 cups" is no English: a single one is told without its noun where the action can be.
        plain = [clause for clause in action.clauses if step.number != 1 or "{n} {things}" not in clause]
        clause = tell(random_.choice(plain or action.clauses), n=step.number)
        is_open = not sentences[-1].endswith(".")
        if is_open and forms is not UNSEEN and random_.random() < 0.35:
            sentences[-1] += f" and {clause}."
        else:
            if is_open:
                sentences[-1] += "."
            sentences.append(tell(random_.choice(forms.frames), clause=clause))
        taken.append(step)
        current = step.after
    if not sentences[0].endswith("."):
        sentences[0] += "."
    if random_.random() < 0.25:
        distractor = tell(random_.choice(DISTRACTORS), d=random_.randint(2, 30), others=random_.choice(THINGS))
        sentences.insert(random_.randint(1, len(sentences)), distractor)
    question = tell(random_.choice(forms.questions))
    return Problem(
        sentences=tuple(sentences), question=question, name=name, things=things, start=start, steps=tuple(taken)
    )


def _is_grouped(problem: Problem) -> bool:
    """The opening itself is a product: 4 bags with 6 apples in each."""
    first = problem.steps[0]
    return first.thought == f"{first.before} of {first.number}"


def _thought(problem: Problem) -> str:
    beginning = "" if _is_grouped(problem) else f"Start with {problem.start}. "
    return beginning + " ".join(f"{step.thought} => {step.equation}." for step in problem.steps)


def _tagged(thought: str | None, answer: int) -> str:
    return ("" if thought is None else f"<think>{thought}</think>") + f"<answer>{answer}</answer>"


def _slip(random_: random.Random, right: int) -> int:
    return (
        max(0, right + random_.choice((-10, -3, -2, -1, 1, 2, 3, 10))) if right > 3 else right + random_.randint(1, 4)
    )


def _wrong(random_: random.Random, problem: Problem, *, reasons: bool) -> str:
    """A slip in the last equation, or a wrong number given directly."""
    answer = _slip(random_, problem.answer)
    if not reasons:
        return _tagged(None, answer)
    last = problem.steps[-1]
    right = _thought(problem)
    return _tagged(right.removesuffix(f"={last.after}.") + f"={answer}.", answer)


def _junk(random_: random.Random, problem: Problem) -> str:
    """An answer nobody wants: shuffled words, no answer, an empty tag, or a repetition of the prompt."""
    words = problem.prompt.split()
    random_.shuffle(words)
    return random_.choice(
        (
            " ".join(words[:12]),
            "<answer></answer>",
            f"<think>{' '.join(words[:8])}</think>",
            problem.sentences[0],
            f"<answer>{problem.things}</answer>",
            f"{problem.answer}",
        )
    )


def _is_for_pretraining(prompt: str) -> bool:
    """One prompt in four belongs to the base model's pretraining text; the other three to the eight purposes."""
    return hashlib.sha256(prompt.encode()).digest()[0] % 4 == 0


def _reasoning_chance(steps: int, settings: ArithmeticSettings) -> float:
    """People show their work where it is hard: the chance grows with the steps, and is `reasoning_share` on average."""
    total = sum(settings.steps)
    mean_steps = sum(count * weight / total for count, weight in enumerate(settings.steps, 1))
    return min(1.0, settings.reasoning_share * steps / mean_steps)


def _row(random_: random.Random, problem: Problem, slice_: Slice, settings: ArithmeticSettings) -> dict[str, Any]:
    reasons = random_.random() < _reasoning_chance(len(problem.steps), settings)
    thought = _thought(problem)
    if random_.random() < settings.wrong_share:
        completion = _wrong(random_, problem, reasons=reasons)
    else:
        completion = _tagged(thought if reasons else None, problem.answer)
    return {
        "prompt": problem.prompt,
        "completion": completion,
        "answer": str(problem.answer),
        "slice": slice_,
        "completions": [
            _tagged(thought, problem.answer),
            _tagged(None, problem.answer),
            _wrong(random_, problem, reasons=random_.random() < 0.5),
            _junk(random_, problem),
        ],
        "ranks": [0, 1, 2, 3],
        "steps": len(problem.steps),
    }


def _out_of_distribution(random_: random.Random, steps: int) -> Problem:
    kind = random_.randrange(3)
    if kind == 0:
        return _problem(random_, UNSEEN, steps=steps, limits=ORDINARY)
    if kind == 1:
        return _problem(random_, SEEN, steps=steps, limits=LARGER)
    return _problem(random_, SEEN, steps=random_.choice((5, 6)), limits=ORDINARY)


def arithmetic_rows(settings: ArithmeticSettings, *, seed: int) -> Iterator[dict[str, Any]]:
    """`settings.rows` raw rows with different prompts, the same ones for the same settings and seed.

    A row holds `prompt`, `completion` (a demonstration of the asked-for mixed quality), `answer`, `slice`, `steps`, and
    four `completions` with `ranks`: correct and well formed, correct, wrong, junk.
    """
    random_ = random.Random(seed_for(seed, "arithmetic"))
    seen: set[str] = set()
    while len(seen) < settings.rows:
        steps = random_.choices((1, 2, 3, 4), weights=settings.steps)[0]
        draw = random_.random()
        slice_: Slice
        if draw < settings.out_of_distribution_share:
            slice_, problem = "out_of_distribution", _out_of_distribution(random_, steps)
        elif draw < settings.out_of_distribution_share + settings.long_tail_share:
            slice_, problem = "long_tail", _problem(random_, random_.choice(RARE_FORMS), steps=steps, limits=ORDINARY)
        else:
            slice_, problem = "in_distribution", _problem(random_, SEEN, steps=steps, limits=ORDINARY)
        if _is_for_pretraining(problem.prompt) or problem.prompt in seen:
            continue
        seen.add(problem.prompt)
        yield _row(random_, problem, slice_, settings)


def _sums(random_: random.Random) -> str:
    """A line of plain sums, some of them a chain in which each starts from the last result."""
    current = random_.randint(0, 60)
    parts = []
    for _ in range(random_.randint(3, 8)):
        if random_.random() < 0.4:
            current = random_.randint(0, 100)
        operation: Operation = random_.choice(("+", "+", "-", "-", "*"))
        if operation == "*" and current > 40:
            operation = "-"
        high = 9 if operation == "*" else 30
        number = random_.randint(0, min(high, current) if operation == "-" else high)
        step = Step(thought="", before=current, operation=operation, number=number)
        parts.append(f"{step.equation}.")
        current = step.after if step.after <= 200 else random_.randint(0, 60)
    return " ".join(parts)


def _story(random_: random.Random, problem: Problem) -> str:
    """The problem told as plain prose: with the running count, with a worked answer, or with a bare answer."""
    style = random_.random()
    if style < 0.25 and len(problem.sentences) == len(problem.steps) + 1:
        told = zip(problem.sentences[1:], problem.steps, strict=True)
        body = " ".join(f"{sentence} That makes {step.equation}." for sentence, step in told)
        return f"{problem.sentences[0]} {body} Now {problem.name} has {problem.answer} {problem.things}."
    if style < 0.7:
        worked = " ".join(f"{step.thought}: {step.equation}." for step in problem.steps)
        first = "" if _is_grouped(problem) else f"At first {problem.start}. "
        return f"{problem.prompt}\n{first}{worked} So {problem.answer}."
    return f"{problem.prompt}\n{problem.name} has {problem.answer} {problem.things}."


def pretraining_documents(*, seed: int) -> Iterator[str]:
    """Endless plain text: sums and stories, never with tags, never a prompt of `arithmetic_rows`, no unseen form."""
    random_ = random.Random(seed_for(seed, "pretraining"))
    while True:
        if random_.random() < 0.3:
            yield _sums(random_)
            continue
        forms = random_.choice(RARE_FORMS) if random_.random() < 0.02 else SEEN
        problem = _problem(
            random_, forms, steps=random_.choices((1, 2, 3, 4), weights=(3, 4, 3, 2))[0], limits=ORDINARY
        )
        if _is_for_pretraining(problem.prompt):
            yield _story(random_, problem)
