"""What the stages of a run did with a row, from their records: when it was trained on, its rewards, its verdicts."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from whet.core.errors import DataError
from whet.core.files import read_json, read_json_lines
from whet.core.order import steps_of_row
from whet.core.recipe.text import read_yaml
from whet.core.seeds import seed_for
from whet.data.look.view import RowView
from whet.data.manifest import manifest_hash

__all__ = ["Outcome", "RunRecord"]

# Which stage uses a purpose, and how the stages are called.
STAGE_OF = {
    "ft_train": "sft",
    "ft_validation": "sft",
    "rm_train": "reward_model",
    "rl_train": "rl",
    "ft_test": "evaluation",
    "rl_test": "evaluation",
    "rm_test": "evaluation",
    "final": "evaluation",
}
NAMES = {"sft": "SFT", "reward_model": "reward model", "rl": "RL", "evaluation": "evaluation", "base": "base"}
_STEPS_NAMED = 6
# A row's id and origin: copies have one id, and the branches of a conversation tree one origin.
Key = tuple[str, str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one stage did with a row: `Outcome(stage="sft", was_trained=True, text="trained on at step 4 of 36", ...)`.

    `was_trained` is None when the records cannot tell.
    """

    stage: str
    was_trained: bool | None
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"stage": self.stage, "trained_on": self.was_trained, **self.facts, "text": self.text}


class RunRecord:
    """A run folder's records, each read when it is first asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def manifest(self) -> str:
        """The hash of the manifest that is in the folder."""
        return manifest_hash(self.path / "data")

    @cached_property
    def recipe(self) -> dict[str, Any]:
        path = self.path / "resolved.yaml"
        if not path.is_file():
            return {}
        try:
            return dict(read_yaml(path.read_text(encoding="utf-8"), path.name)[0])
        except ValueError as error:
            raise DataError(f"{path}: damaged or edited ({error})") from error

    def outcomes(self, row: RowView, rows: Sequence[Mapping[str, Any]]) -> list[Outcome]:
        """What became of this row; `rows` is the manifest's list, in whose order the stages read their files."""
        if row.purpose is None:
            return []
        stage = STAGE_OF[row.purpose]
        section = "evaluate" if stage == "evaluation" else stage
        if self.recipe and self.recipe.get(section) is None:
            return [Outcome(stage=stage, was_trained=False, text=f"no stage of this run reads {row.purpose}")]
        trained_on = self._manifest_of(stage)
        if trained_on is not None and trained_on != self.manifest:
            text = (
                f"read another manifest ({trained_on[:12]}, the folder's is {self.manifest[:12]}): nothing can be told"
            )
            return [Outcome(stage=stage, was_trained=None, text=text, facts={"manifest": trained_on})]
        match row.purpose:
            case "ft_train" | "rm_train":
                return [self._supervised(stage, row, rows)]
            case "ft_validation":
                return [self._validated(row)]
            case "rl_train":
                return [self._rolled_out(row)]
            case "rm_test":
                return [self._judged(row, rows)]
            case _:
                return list(self._evaluated(row))

    @property
    def recorded(self) -> str:
        """Whether the stages that are done recorded the manifest that is in the folder, in words."""
        done = [stage for stage in ("sft", "reward_model", "rl", "evaluation") if self.complete(stage)]
        others = [NAMES[stage] for stage in done if self._manifest_of(stage) not in (None, self.manifest)]
        if others:
            return f"manifest {self.manifest[:12]}, but {', '.join(others)} recorded another"
        return f"manifest {self.manifest[:12]}{', as its stages recorded' * bool(done)}"

    def complete(self, stage: str) -> dict[str, Any] | None:
        path = self.path / stage / "complete.json"
        return dict(read_json(path)) if path.is_file() else None

    def _manifest_of(self, stage: str) -> str | None:
        """The manifest's hash as the stage recorded it; before it is complete, as preparation did."""
        if stage == "evaluation":
            return self._results.get("manifest")
        return (self.complete(stage) or self.complete("data") or {}).get("manifest")

    @cached_property
    def _results(self) -> dict[str, Any]:
        path = self.path / "evaluation" / "results.json"
        return dict(read_json(path)) if path.is_file() else {}

    def _steps_done(self, stage: str) -> int:
        if (done := self.complete(stage)) is not None:
            return int(done["steps"])
        path = self.path / stage / "metrics.jsonl"
        return max((int(line["step"]) for line in read_json_lines(path)), default=0) if path.is_file() else 0

    def _dropped(self, stage: str) -> dict[Key, str]:
        path = self.path / stage / "dropped.jsonl"
        lines = read_json_lines(path) if path.is_file() else ()
        return {_entry_key(line): line["reason"] for line in lines}

    def _dropped_keys(self, stage: str, entries: Sequence[Mapping[str, Any]]) -> dict[Key, str]:
        """The manifest's rows that the stage dropped. A derived ranking has an id of its own, and the row's origin."""
        dropped = self._dropped(stage)
        if not dropped:
            return {}
        known = {_entry_key(entry) for entry in entries}
        derived = {key[1:]: reason for key, reason in dropped.items() if key not in known}
        if stage != "reward_model":
            return dropped
        return dropped | {key: derived[key[1:]] for key in known if key not in dropped and key[1:] in derived}

    def _supervised(self, stage: str, row: RowView, rows: Sequence[Mapping[str, Any]]) -> Outcome:
        """The steps that had this row follow from the run's seed and the row's place among those not dropped."""
        steps, entries = self._steps_done(stage), [entry for entry in rows if entry["purpose"] == row.purpose]
        dropped = self._dropped_keys(stage, entries)
        if not steps:
            return Outcome(stage=stage, was_trained=False, text="has not trained yet")
        if reason := dropped.get(_key(row)):
            return Outcome(stage=stage, was_trained=False, text=f"dropped: {reason}", facts={"dropped": reason})
        kept = [key for entry in entries if (key := _entry_key(entry)) not in dropped]
        done = self.complete(stage) or {}
        if done.get("rows", len(kept)) != len(kept):
            text = f"trained on {done['rows']} rows, the files say {len(kept)}: nothing can be told of one row"
            return Outcome(stage=stage, was_trained=None, text=text)
        trained = steps_of_row(
            kept.index(_key(row)),
            steps=steps,
            examples=len(kept),
            batch_size=int(self.recipe[stage]["batch_size"]),
            seed=seed_for(int(self.recipe["seed"]), stage),
        )
        return _trained(stage, [step + 1 for step in trained], of=steps, kept=done.get("best_step"))

    def _validated(self, row: RowView) -> Outcome:
        if reason := self._dropped("sft").get(_key(row)):
            return Outcome(stage="sft", was_trained=False, text=f"dropped: {reason}", facts={"dropped": reason})
        if not self._steps_done("sft"):
            return Outcome(stage="sft", was_trained=False, text="has not trained yet")
        return Outcome(stage="sft", was_trained=False, text="not trained on; its loss helped to choose the weights")

    def _rolled_out(self, row: RowView) -> Outcome:
        steps = self._steps_done("rl")
        if reason := self._dropped("rl").get((row.prompt_id, row.source, row.row)):
            return Outcome(stage="rl", was_trained=False, text=f"dropped: {reason}", facts={"dropped": reason})
        by_step: dict[int, list[float | None]] = {}
        for line in _lines_of(sorted((self.path / "rl" / "rollouts").glob("step-*.jsonl")), row.prompt_id):
            by_step.setdefault(line["step"], []).append(line["reward"])
        if not by_step:
            text = f"not drawn in {steps} steps" if steps else "has not trained yet"
            return Outcome(stage="rl", was_trained=False, text=text)
        told = [
            {"step": step, "rollouts": len(rewards), "mean_reward": _mean(rewards)}
            for step, rewards in sorted(by_step.items())
        ]
        means = ", ".join(
            f"step {line['step']} ({line['rollouts']} times, mean reward {_number(line['mean_reward'])})"
            for line in told[:_STEPS_NAMED]
        )
        more = f" and {len(told) - _STEPS_NAMED} more steps" if len(told) > _STEPS_NAMED else ""
        return Outcome(stage="rl", was_trained=True, text=f"rolled out at {means}{more}", facts={"steps": told})

    def _evaluated(self, row: RowView) -> Iterator[Outcome]:
        whole = self.path / "evaluation" / "items.jsonl"
        files = [whole] if whole.is_file() else sorted((self.path / "evaluation" / "items").glob("*.jsonl"))
        seen = set()
        for item in _lines_of(files, row.prompt_id):
            if item["purpose"] != row.purpose or item["stage"] in seen:
                continue
            seen.add(item["stage"])
            names = ("purpose", "verdict", "correct", "samples", "samples_correct", "text")
            facts = {"model" if name == "stage" else name: item[name] for name in ("stage", *names)}
            sampled = f", {item['samples_correct']} of {item['samples']} samples right" if item["samples"] else ""
            yield Outcome(
                stage="evaluation",
                was_trained=False,
                text=f"{NAMES.get(item['stage'], item['stage'])}: {item['verdict']}{sampled}",
                facts=facts | {"completion": facts.pop("text")},
            )
        if not seen:
            why = "it has no known answer" if row.answer is None and files else "it has not run yet"
            yield Outcome(stage="evaluation", was_trained=False, text=f"not asked: {why}")

    def _judged(self, row: RowView, rows: Sequence[Mapping[str, Any]]) -> Outcome:
        """The scores of `rm_test` stand pair by pair in the order of its rows."""
        scores = self._results.get("reward_model")
        if not scores:
            return Outcome(stage="evaluation", was_trained=False, text="no reward model was tested on it")
        entries = [entry for entry in rows if entry["purpose"] == "rm_test"]
        place = [_entry_key(entry) for entry in entries].index(_key(row))
        counts = _pairs_of(self.path / "data" / "rm_test.parquet")
        if sum(counts) != scores["n"]:
            return Outcome(stage="evaluation", was_trained=False, text="its pairs cannot be told from the others")
        first = sum(counts[:place])
        pairs = slice(first, first + counts[place])
        chosen, rejected = scores["chosen_rewards"][pairs], scores["rejected_rewards"][pairs]
        right = sum(better > worse for better, worse in zip(chosen, rejected, strict=True))
        return Outcome(
            stage="evaluation",
            was_trained=False,
            text=f"reward model: {right} of {counts[place]} pairs in the right order",
            facts={"model": "reward_model", "pairs": counts[place], "pairs_right": right},
        )


def _key(row: RowView) -> Key:
    return row.id, row.source, row.row


def _entry_key(entry: Mapping[str, Any]) -> Key:
    return entry["id"], entry["source"], entry["row"]


def _trained(stage: str, steps: list[int], *, of: int, kept: int | None) -> Outcome:
    facts = {"steps": steps, "of_steps": of, "kept_step": kept}
    if not steps:
        text = f"not reached in {of} steps, less than an epoch"
        return Outcome(stage=stage, was_trained=False, text=text, facts=facts)
    text = f"trained on at {_named_steps(steps)} of {of}"
    if kept is not None and kept < of:
        inside = sum(step <= kept for step in steps)
        text += f"; the weights kept are of step {kept}, which has seen it {inside} time{'s' * (inside != 1)}"
    return Outcome(stage=stage, was_trained=kept is None or steps[0] <= kept, text=text, facts=facts)


def _named_steps(steps: Sequence[int]) -> str:
    shown = ", ".join(map(str, steps[:_STEPS_NAMED]))
    more = f" and {len(steps) - _STEPS_NAMED} more" if len(steps) > _STEPS_NAMED else ""
    return f"step{'s' * (len(steps) > 1)} {shown}{more}"


def _lines_of(files: Iterable[Path], id_: str) -> Iterator[Mapping[str, Any]]:
    """The lines with this prompt id; a file without it is not parsed, so that long runs are searched quickly."""
    pattern = re.compile(re.escape(f'"prompt_id": "{id_}"').encode())
    for file in files:
        if pattern.search(file.read_bytes()):
            yield from (line for line in read_json_lines(file) if line["prompt_id"] == id_)


def _pairs_of(path: Path) -> list[int]:
    """How many pairs of different ranks each row of a file of rankings and comparisons has."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        table = file.read(columns=["kind", "ranks"])
    return [
        1 if kind == "comparison" else sum(better < worse for better in ranks for worse in ranks)
        for kind, ranks in zip(table["kind"].to_pylist(), table["ranks"].to_pylist(), strict=True)
    ]


def _mean(rewards: Sequence[float | None]) -> float | None:
    known = [reward for reward in rewards if reward is not None]
    return sum(known) / len(known) if known else None


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"
