"""Any reward over a file of completions, row by row; what cannot be scored says why."""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whet.core.errors import DataError
from whet.core.files import write_json_lines
from whet.core.recipe import TemplateSettings
from whet.core.records import Message, Origin, Prompt, Score
from whet.rewards import REWARDS
from whet.rewards.call import Verdict, call_reward
from whet.rewards.combine import finite_score, total_score
from whet.rewards.load import load_reward

__all__ = ["ScoreSummary", "score_file"]

_ROLES = ("system", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSummary:
    """How many rows there were, how many got a score, their mean, and why the first did not; None where there is none.

    `notes` are what a reader of the scores should know of how they came about.
    """

    rows: int
    scored: int
    mean: float | None
    first_reason: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def unscorable(self) -> int:
        return self.rows - self.scored

    @property
    def mean_text(self) -> str:
        return "none" if self.mean is None else f"{self.mean:.4f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the file: `Row(prompt=..., completion="<answer>5</answer>", completion_ids=(), columns={...})`."""

    prompt: Prompt
    completion: str
    completion_ids: tuple[int, ...]
    columns: Mapping[str, Any]


# A verdict for each of the rows, and the seconds that it took.
Judge = Callable[[Sequence[Row]], list[tuple[Verdict, float]]]
_ROWS_AT_ONCE = 512


def score_file(file: Path, rewards: Sequence[str], out: Path) -> ScoreSummary:
    """Write one line per row of `file`, in order: `score`, `parts`, `unscorable`, `seconds`.

    A row needs `completion`; `prompt` is a text or a list of messages, and its other columns go to the rewards. A
    reward is a name of the table, `file.py:function` or the folder of a reward model; several are summed with weight 1.
    A row that cannot be read or judged is unscorable, with file, line and field; blank lines are no rows.
    """
    if file.resolve() == out.resolve():
        raise DataError(f"{out}: the scores would overwrite the file they are of; choose another --out")
    notes: list[str] = []
    judges = {name: _judge(name, notes) for name in rewards}
    rows = list(_rows(file))
    if not rows:
        raise DataError(f"{file}: no rows; a JSONL file of rows with a `completion` was expected")
    pieces = [rows[start : start + _ROWS_AT_ONCE] for start in range(0, len(rows), _ROWS_AT_ONCE)]
    scores = [score for piece in pieces for score in _scored(piece, judges)]
    write_json_lines(out, [_line(score) for score in scores])
    values = [score.value for score in scores if score.value is not None]
    return ScoreSummary(
        rows=len(scores),
        scored=len(values),
        mean=math.fsum(values) / len(values) if values else None,
        first_reason=next((score.unscorable for score in scores if score.unscorable is not None), None),
        notes=tuple(notes),
    )


def _judge(name: str, notes: list[str]) -> Judge:
    if name not in REWARDS and (Path(name) / "config.json").is_file():
        return _learned(Path(name), notes)
    function = load_reward(name)

    def judge(row: Row) -> tuple[Verdict, float]:
        began = time.perf_counter()
        columns = {key: [value] for key, value in row.columns.items()}
        (verdict,) = call_reward(function, [row.prompt.text], [row.completion], [row.completion_ids], columns)
        return verdict, time.perf_counter() - began

    # One by one: a row that has not what another has is that row's failure alone.
    return lambda rows: [judge(row) for row in rows]


def _learned(folder: Path, notes: list[str]) -> Judge:
    """The model is loaded here, so that scoring by functions needs no torch."""
    import torch

    from whet.rewards.learned import LearnedReward
    from whet.tokens.recorded import recorded_template

    template = recorded_template(folder)
    if template is None:
        notes.append(f"{folder} does not say which template it was trained with; its tokenizer's own is used")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = LearnedReward(folder, template or TemplateSettings(), device=device)

    def judge(rows: Sequence[Row]) -> list[tuple[Verdict, float]]:
        began = time.perf_counter()
        verdicts: list[Verdict] = ["a reward model needs the field prompt"] * len(rows)
        groups: dict[str, list[int]] = {}
        for place, row in enumerate(rows):
            if row.prompt.text:
                groups.setdefault(row.prompt.id, []).append(place)
        prompts = [rows[places[0]].prompt for places in groups.values()]
        texts = [[rows[place].completion for place in places] for places in groups.values()]
        for places, scores in zip(groups.values(), model.scores(prompts, texts), strict=True):
            for place, score in zip(places, scores, strict=True):
                verdicts[place] = finite_score(score)
        seconds = (time.perf_counter() - began) / max(1, len(rows))
        return [(verdict, seconds) for verdict in verdicts]

    return judge


def _rows(file: Path) -> Iterator[Row | str]:
    """Rows in order; one that cannot be read, as the reason."""
    if not file.is_file():
        raise DataError(f"{file}: no such file; a JSONL file of rows with a `completion` was expected")
    for number, raw in enumerate(file.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")):
        if not raw.strip():
            continue
        where = f"{file.name}, line {number + 1}"
        try:
            row = json.loads(raw.decode("utf-8"))
        except (UnicodeDecodeError, ValueError, RecursionError) as error:
            yield f"{where}: not valid JSON ({error})"
            continue
        if not isinstance(row, dict):
            yield f"{where}: not an object"
            continue
        try:
            yield _row(row, Origin(source=file.name, row=number))
        except DataError as error:
            yield f"{where}, {error}"


def _row(row: Mapping[str, Any], origin: Origin) -> Row:
    """Raises `DataError` that begins with the field at fault."""
    completion, prompt, ids, answer = (row.get(key) for key in ("completion", "prompt", "completion_ids", "answer"))
    if not isinstance(completion, str):
        raise DataError(f"field completion: text was expected, {_found(completion)}")
    if isinstance(answer, bool) or not isinstance(answer, str | int | float | None):
        raise DataError(f"field answer: text or a number was expected, {_found(answer)}")
    if ids is not None and not (isinstance(ids, list) and all(type(token) is int for token in ids)):
        raise DataError(f"field completion_ids: a list of whole numbers was expected, {_found(ids)}")
    taken = ("completion", "prompt", "completion_ids")
    columns = {key: value for key, value in row.items() if key not in taken}
    return Row(
        prompt=Prompt(messages=_messages(prompt), origin=origin),
        completion=completion,
        completion_ids=tuple(ids or ()),
        columns=columns | {"answer": None if answer is None else str(answer)},
    )


def _messages(prompt: Any) -> tuple[Message, ...]:
    turns = prompt if isinstance(prompt, list) else [{"role": "user", "content": "" if prompt is None else prompt}]
    messages = []
    for turn in turns:
        role, content = (turn.get("role"), turn.get("content")) if isinstance(turn, dict) else (None, None)
        if role not in _ROLES or not isinstance(content, str):
            raise DataError(f"field prompt: text or a list of messages was expected, {_found(prompt)}")
        messages.append(Message(role=role, content=content))
    return tuple(messages)


def _found(value: Any) -> str:
    return "but there is none" if value is None else f"but it is {type(value).__name__}"


def _scored(rows: Sequence[Row | str], judges: Mapping[str, Judge]) -> list[Score]:
    readable = [row for row in rows if not isinstance(row, str)]
    judged = {name: judge(readable) for name, judge in judges.items()}
    weights = [(name, 1.0) for name in judges]
    scores = iter(
        total_score(
            weights,
            {name: timed[place][0] for name, timed in judged.items()},
            seconds=round(math.fsum(timed[place][1] for timed in judged.values()), 6),
        )
        for place in range(len(readable))
    )
    return [Score(value=None, parts={}, unscorable=row) if isinstance(row, str) else next(scores) for row in rows]


def _line(score: Score) -> dict[str, Any]:
    return {
        "score": score.value,
        "parts": dict(score.parts),
        "unscorable": score.unscorable,
        "seconds": score.seconds,
    }
