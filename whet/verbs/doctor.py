"""Whether this machine is ready, found out by doing."""

import importlib.util
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from whet.core.runfolder import environment

__all__ = ["examine"]

# An optional package that stands for each extra.
EXTRAS = {"test": "pytest", "peers": "trl"}


def examine() -> bool:
    """Print one line per check; True when nothing is wrong."""
    console = Console(highlight=False)
    healthy = True
    for name, check in CHECKS.items():
        try:
            text, is_fine = check()
        except Exception as error:  # whatever is broken is what the doctor is asked to name
            text, is_fine = f"{type(error).__name__}: {error}", False
        healthy = healthy and is_fine
        mark = "[green]ok[/]  " if is_fine else "[red]bad[/] "
        console.print(f"{mark} [bold]{name:<12}[/]", end=" ")
        console.print(text, markup=False, soft_wrap=True)
    return healthy


def _versions() -> tuple[str, bool]:
    found = environment()
    packages = ", ".join(f"{name} {version}" for name, version in found["packages"].items() if version)
    return f"python {found['python']}, {packages}", sys.version_info >= (3, 11)


def _processor() -> tuple[str, bool]:
    import torch

    from whet.models.products import chosen_products

    capability = torch.backends.cpu.get_cpu_capability()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = torch.get_num_threads()
    return f"{usable} processors, {capability}, {threads} threads, matrix products by {chosen_products()}", True


def _memory() -> tuple[str, bool]:
    """The machine's, or what a container is allowed of it."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = Path("/sys/fs/cgroup/memory.max")
    allowed = limit.read_text().strip() if limit.is_file() else "max"
    gigabytes = min(total, int(allowed) if allowed.isdecimal() else total) / 2**30
    return f"{gigabytes:.1f} GiB (the demo needs 2)", gigabytes >= 2


def _disk() -> tuple[str, bool]:
    """Free space where runs/ would be, tried with a real file."""
    free = shutil.disk_usage(".").free / 2**30
    with tempfile.NamedTemporaryFile(dir="."):
        return f"{free:.1f} GiB free here", free >= 0.5


def _extras() -> tuple[str, bool]:
    """What is not needed but used where it is there."""
    found = [extra for extra, module in EXTRAS.items() if importlib.util.find_spec(module) is not None]
    missing = [f"whet[{extra}]" for extra in EXTRAS if extra not in found]
    return "; ".join(
        [f"installed: {', '.join(found) or 'none'}", *([f"to be had: {', '.join(missing)}"] if missing else [])]
    ), True


def _gpu() -> tuple[str, bool]:
    import torch

    if not torch.cuda.is_available():
        return "none; whet runs on the processor", True
    return f"{torch.cuda.get_device_name()}, {torch.cuda.get_device_properties(0).total_memory / 2**30:.0f} GiB", True


def _step() -> tuple[str, bool]:
    """One real forward and backward pass of whet:tiny, compared with the model's own forward."""
    from whet.models.decoder import Decoder
    from whet.models.load import load_model
    from whet.tokens.batches import TokenGroup, flat_batch

    loaded = load_model("whet:tiny")
    decoder = Decoder(loaded.model)
    ids = tuple(loaded.tokenizer("Alice has 3 apples and buys 2 more. Now she has 5.")["input_ids"])
    batch = flat_batch([TokenGroup(prompt_ids=ids[:1], completions=(ids[1:],), loss_masks=((True,) * len(ids[1:]),))])
    began = time.perf_counter()
    loss = -decoder.logprobs(batch).logprobs_BT.mean()
    loss.backward()
    took = time.perf_counter() - began
    return (
        f"whet:tiny, {decoder.kind} forward, loss {float(loss.detach()):.3f}, {1000 * took:.0f} ms",
        decoder.reason is None,
    )


CHECKS: dict[str, Callable[[], tuple[str, bool]]] = {
    "versions": _versions,
    "processor": _processor,
    "memory": _memory,
    "disk": _disk,
    "gpu": _gpu,
    "extras": _extras,
    "a real step": _step,
}
