"""Chat templates rendered in a process that can be stopped: a stranger wrote them.

One process (`worker.py`) serves every template of this process. It starts with the first rendering and ends with its
parent; a template that uses more than its share of time or memory ends it, and the next rendering starts another.
"""

import atexit
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from whet.core.errors import ModelError, TemplateRefusalError
from whet.core.runlog import printable

__all__ = ["ChatTemplate", "RenderProcess", "Rendering"]

# Templates write each turn once or twice, and tools or dates beside them.
_FACTOR, _ROOM = 10, 1_000_000


class RenderProcess:
    """The worker, started when it is needed, by the process that needs it.

    A request has `cpu_s` seconds of processor time, however busy the machine is, and `memory` bytes of address space.
    """

    def __init__(self, *, cpu_s: float = 10.0, memory: int = 512 * 2**20) -> None:
        self._limits = [str(cpu_s), str(memory)]
        self._cpu_s = cpu_s
        self._running: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Its answer, or `{"broken": why}` when it died of the request."""
        with self._lock:
            running = self._started()
            assert running.stdin is not None
            assert running.stdout is not None
            try:
                running.stdin.write(json.dumps(request).encode() + b"\n")
                running.stdin.flush()
                line = running.stdout.readline()
            except OSError:
                line = b""
            except BaseException:  # an answer that nobody waited for would be taken for the next one
                self._ended(running)
                raise
            if line.endswith(b"\n"):
                found: dict[str, Any] = json.loads(line)
                return found
            return {"broken": self._cause(self._ended(running))}

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._running is None or self._owner != os.getpid():  # a forked child must not share its parent's pipe
            worker = Path(__file__).with_name("worker.py")
            self._running = subprocess.Popen(
                [sys.executable, "-P", str(worker), *self._limits],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONUTF8": "1"},
                start_new_session=True,  # a Ctrl-C is the parent's to handle
            )
            self._owner = os.getpid()
        return self._running

    def _ended(self, running: "subprocess.Popen[bytes]") -> int:
        self._running = None
        with running:
            running.kill()
        return running.returncode

    def _cause(self, status: int) -> str:
        if status == -signal.SIGPROF:
            return f"it does not end within {self._cpu_s:g} s of processor time"
        return f"its rendering ended the process that renders it ({status})"

    def close(self) -> None:
        if self._running is not None and self._owner == os.getpid():
            self._ended(self._running)


_PROCESS = RenderProcess()
atexit.register(_PROCESS.close)


class Rendering:
    """One call's text, or why the template did not give any."""

    def __init__(self, found: Mapping[str, str]) -> None:
        self.refusal = found.get("refusal")
        self._text = found.get("text", "")

    @property
    def text(self) -> str:
        """Raises `TemplateRefusalError` where the template refused."""
        if self.refusal is not None:
            raise TemplateRefusalError(f"the chat template {printable(self.refusal, limit=200)}".replace("\n", " "))
        return self._text


class ChatTemplate:
    """A template's source with its settings; every fault is one line that names `name`."""

    def __init__(
        self,
        source: str,
        *,
        name: str,
        date: str,
        variables: Mapping[str, Any],
        process: RenderProcess = _PROCESS,
    ) -> None:
        self.source = source
        self.name = name
        self._process = process
        self._date = date
        self._variables = variables
        self._id = hashlib.sha256(f"{date}\n{source}".encode(errors="surrogatepass")).hexdigest()
        self.reads: frozenset[str] = frozenset(self._sent()["variables"])

    def render(self, calls: Sequence[Mapping[str, Any]]) -> list[Rendering]:
        """One rendering a call; a call has `messages` and what else the template reads."""
        size = sum(len(part) for call in calls for turn in call["messages"] for part in turn.values())
        request = {
            "id": self._id,
            "source": None,
            "variables": self._variables,
            "calls": calls,
            "limit": _ROOM + _FACTOR * size,
        }
        answer = self._answer(request)
        if "unknown" in answer:
            self._sent()
            answer = self._answer(request)
        return [Rendering(found) for found in answer["renderings"]]

    def _sent(self) -> dict[str, Any]:
        return self._answer({"id": self._id, "source": self.source, "date": self._date})

    def _answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._process.ask(request)
        if "broken" in answer:
            reason = printable(str(answer["broken"]), limit=300).replace("\n", " ")
            raise ModelError(f"{self.name}: its chat template cannot be used: {reason}")
        return answer
