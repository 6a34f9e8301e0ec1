"""What a stage of a run read and wrote, by content: recorded as it begins and ends, compared ever after.

STAGE/inputs.json      name -> SHA-256 of everything that the stage reads, from its first start on
STAGE/complete.json    what it did, the same `inputs`, and `outputs`: name -> SHA-256 of everything that it wrote

A name inside the run is a path from its folder, `sft/model/config.json`; what lies outside is named by what it is to
the run, `model:config.json`, `source:rows.jsonl`, `reward:mine.py`. Both files end in a seal over themselves.
Checkpoints are no outputs: nothing reads them once the stage is done, and until then they carry digests of their own.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from whet.core.digests import file_digest
from whet.core.errors import RunFolderError
from whet.core.files import is_leftover, read_json, read_sealed, write_sealed
from whet.core.recipe import Stage
from whet.core.runlog import printable

__all__ = ["StageRecord", "refuse_changes"]

Digests = Mapping[str, str]
_NO_OUTPUTS = ("checkpoints", "inputs.json", "complete.json")
_OUTSIDE = {"model": "{}, of the base model", "source": "the source {}", "reward": "the reward file {}"}
_MOST = 20


class StageRecord:
    """The record of one stage in a run's folder; each problem it finds is one line, by the name of the file."""

    def __init__(self, run: Path, stage: Stage) -> None:
        self.run, self.stage = run, stage
        self.folder = run / stage

    def complete(self) -> dict[str, Any] | None:
        """What `finish` wrote, None while the stage is not done. whet 0.1.0 recorded neither inputs nor outputs."""
        path = self.folder / "complete.json"
        if not path.exists():
            return None
        record = read_json(path)
        if isinstance(record, dict) and not {"outputs", "seal"} & record.keys():
            return record
        return read_sealed(path)

    def begin(self, inside: Sequence[str], outside: Digests) -> None:
        """Record what the stage is about to read; refused when a file is not as the stage that wrote it left it.

        `inside` are names in the run's folder, those of a folder ending in `/`. A stage that goes on must find what it
        began with.
        """
        written = self._written(inside)
        problems = self._changed(written)
        path, inputs = self.folder / "inputs.json", {**written, **outside}
        if path.exists():
            began = read_sealed(path)
            for name in sorted(began.keys() | inputs.keys()):
                if began.get(name) != inputs.get(name):
                    problems.setdefault(name, self._other(name, "began with"))
        refuse_changes(problems)
        if not path.exists():
            write_sealed(path, inputs)

    def finish(self, summary: Mapping[str, Any], *, inputs: Digests | None = None) -> None:
        """The stage is done; its inputs are those that it began with, unless they are given."""
        path = self.folder / "inputs.json"
        if inputs is None:
            inputs = read_sealed(path) if path.exists() else {}
        record = {**summary, "inputs": dict(inputs), "outputs": self._outputs()}
        write_sealed(self.folder / "complete.json", record)

    def problems(self, outside: Digests) -> dict[str, str]:
        """What a complete stage wrote or read and is another now.

        Of what lies outside only what is there is compared: a run that was moved away from its sources is as done as
        before.
        """
        done = self.complete()
        if done is None or "outputs" not in done:
            return {}
        problems, inputs = self._changed(done["outputs"]), done["inputs"]
        for name, digest in inputs.items():
            now = outside.get(name) if ":" in name else _digest(self.run / name)
            if now not in (None, digest):
                problems.setdefault(name, self._other(name, "was made from"))
        for name in outside.keys() - inputs.keys():
            problems[name] = self._other(name, "was made from")
        return problems

    def files(self) -> list[Path]:
        """Everything that the stage wrote, without its checkpoints."""

        def is_output(file: Path) -> bool:
            parts = file.relative_to(self.folder).parts
            return parts[0] not in _NO_OUTPUTS and not any(map(is_leftover, parts))

        return [file for file in sorted(self.folder.rglob("*")) if file.is_file() and is_output(file)]

    def _written(self, names: Sequence[str]) -> dict[str, str]:
        """The digests that these names had when the stages that wrote them were done."""
        found: dict[str, str] = {}
        for name in names:
            writer = StageRecord(self.run, _writer(name))
            outputs = (writer.complete() or {}).get("outputs") or writer._outputs()
            found |= {
                key: digest
                for key, digest in outputs.items()
                if key == name or (name.endswith("/") and key.startswith(name))
            }
        return found

    def _outputs(self) -> dict[str, str]:
        return {file.relative_to(self.run).as_posix(): file_digest(file) for file in self.files()}

    def _changed(self, written: Digests) -> dict[str, str]:
        problems = {}
        for name, digest in written.items():
            now, writer = _digest(self.run / name), _writer(name)
            if now != digest:
                what = "is gone" if now is None else f"is not what {writer} wrote"
                again = f"restore it, or delete {self.run / writer} to make {writer} again"
                problems[name] = f"{self._shown(name)} {what}; {again}"
        return problems

    def _other(self, name: str, how: str) -> str:
        """The line for a file that the stage began with, or was made from, and that is another now."""
        again = f"delete {self.folder} to make {self.stage} again"
        if ":" in name:
            again = f"put the former one back, choose another --run, or {again}"
        return f"{self._shown(name)} is not the one that {self.stage} {how}; {again}"

    def _shown(self, name: str) -> str:
        kind, colon, rest = name.partition(":")
        shown = _OUTSIDE.get(kind, f"{kind} {{}}").format(rest) if colon else str(self.run / name)
        return printable(shown).replace("\n", "\\n")


def _writer(name: str) -> Stage:
    return cast(Stage, name.partition("/")[0])


def _digest(path: Path) -> str | None:
    return file_digest(path) if path.is_file() else None


def refuse_changes(problems: Mapping[str, str]) -> None:
    """`RunFolderError` with a line for each, when there is any."""
    lines = [problems[name] for name in sorted(problems)]
    if lines:
        more = [f"and {len(lines) - _MOST} more files"] if len(lines) > _MOST else []
        raise RunFolderError("\n".join([*lines[:_MOST], *more]))
