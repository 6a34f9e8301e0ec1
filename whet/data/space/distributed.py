"""The steps of preparation over Ray Data: on this machine's processors or on a cluster, bit for bit the same.

Blocks are rows of Arrow tables in Ray's object store, one list a column, which steps read without a copy; what the
store cannot hold it spills to disk. Every row carries the number of the block it was made from, so that an order that
was lost would be seen. A value that all steps need (the sets, the bands) is put once, and all workers of a machine read
it from the same memory.

A Ray that runs already is used: one that this process has joined, else the cluster at RAY_ADDRESS, whose machines need
this package installed. Otherwise one is started for as long as it is needed, with `workers` processes, without a
dashboard and without usage statistics. Ray pickles functions and arrays on their way between its own processes; that is
its transport. Nothing pickled is read from a file or written to one by this package.
"""

import importlib.util
import logging
import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import numpy as np

from whet.core.errors import DataError
from whet.data.space.where import HERE, Arrays, Blocks, Ref, Step, Where

__all__ = ["OnRay", "require_ray", "working"]

Value = TypeVar("Value")
_ROWS, _FEWEST_ROWS, _CHARACTERS = 1 << 16, 1 << 10, 1 << 25  # of a block of texts
_ANSWER_S = 5
_PIECES = 4  # for each worker, so that none waits long for the last
_NUMBER, _TEXTS = "_block", "_texts"  # columns of our own


def require_ray(workers: int) -> None:
    """`DataError` when workers are asked for and Ray Data is not installed; Ray is not loaded."""
    if workers and any(importlib.util.find_spec(name) is None for name in ("ray", "pyarrow", "pandas")):
        raise DataError(f"data.workers is {workers}, but Ray Data is not installed: pip install 'whet[ray]'")


@contextmanager
def working(workers: int) -> Iterator[Where]:
    """This process for 0 workers, else so many workers of Ray Data; what was started is stopped, whatever happens."""
    if not workers:
        yield HERE
        return
    require_ray(workers)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    is_ours = not ray.is_initialized()
    if is_ours:
        _start(workers)
    try:
        with _quiet():
            yield OnRay(workers)
    except (
        ray.exceptions.WorkerCrashedError,
        ray.exceptions.OutOfMemoryError,
        ray.exceptions.OutOfDiskError,
        ray.exceptions.ObjectStoreFullError,
        ray.exceptions.NodeDiedError,
        ray.exceptions.ObjectLostError,
    ) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(
            f"data.workers is {workers}, but Ray lost one ({reason}); use fewer, or larger machines"
        ) from error
    finally:
        if is_ours:
            ray.shutdown()


def _start(workers: int) -> None:
    import ray

    address = os.environ.get("RAY_ADDRESS")
    if address:
        _require_answer(address)
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except ConnectionError as error:
            reason = str(error.__cause__ or error).strip().splitlines()[-1]
            raise DataError(f"RAY_ADDRESS is {address}, but it cannot be joined: {reason}") from error
    else:
        ray.init(
            address="local",
            num_cpus=workers,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )


def _require_answer(address: str) -> None:
    """`DataError` when nothing listens at HOST:PORT: Ray itself would wait for minutes."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not (colon and port.isdecimal()):
        return
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()
    except OSError as error:
        raise DataError(
            f"RAY_ADDRESS is {address}, but no Ray cluster answers there ({error.strerror or error}); unset it to "
            "start one on this machine"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Blocks in order, and no progress bars or log lines from Ray Data; its settings afterwards are those before."""
    import ray.data

    context, logger = ray.data.DataContext.get_current(), logging.getLogger("ray.data")
    names = ("enable_progress_bars", "print_on_execution_start", "enable_auto_log_stats")
    before = [getattr(context, name) for name in names]
    preserve_order, level = context.execution_options.preserve_order, logger.level
    try:
        for name in names:
            setattr(context, name, False)
        context.execution_options.preserve_order = True
        logger.setLevel(logging.CRITICAL)
        yield
    finally:
        for name, value in zip(names, before, strict=True):
            setattr(context, name, value)
        context.execution_options.preserve_order = preserve_order
        logger.setLevel(level)


class OnRay:
    """Workers of Ray Data, so many at a time."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._sent_texts: tuple[Sequence[str], Blocks] | None = None
        self.pieces = _PIECES * workers

    def put(self, value: Value) -> Ref[Value]:
        return _RayRef(value)

    def texts(self, texts: Sequence[str]) -> Blocks:
        """Sent once, however many steps read the same texts."""
        if self._sent_texts is None or self._sent_texts[0] is not texts:
            rows = max(_FEWEST_ROWS, min(_ROWS, -(-len(texts) // self.pieces)))
            tables = (_text_table(number, block) for number, block in enumerate(_text_blocks(texts, rows)))
            self._sent_texts = texts, self._sent(tables)
        return self._sent_texts[1]

    def blocks(self, blocks: Iterable[Arrays]) -> Blocks:
        return self._sent(_table([number], [block]) for number, block in enumerate(blocks))

    def _sent(self, tables: Iterable[Any]) -> Blocks:
        import ray.data

        refs: Any = [ray.put(table) for table in tables]
        return _RayBlocks(ray.data.from_arrow_refs(refs), min(self._workers, len(refs))) if refs else HERE.blocks(())


class _RayRef(Generic[Value]):
    def __init__(self, value: Value) -> None:
        import ray

        self.object = ray.put(value)

    def get(self) -> Value:
        import ray

        value: Value = ray.get(self.object)
        return value


class _RayBlocks:
    def __init__(self, dataset: Any, workers: int) -> None:
        """`workers` are at most as many as there are blocks."""
        self._dataset = dataset
        self._workers = workers

    def __iter__(self) -> Iterator[Arrays]:
        last = 0
        for table in self._dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
            for number, block in _rows(table):
                assert number >= last, "Ray Data gave blocks out of order"
                last = number
                yield block

    def map(self, step: Step, *shared: Ref[Any]) -> Blocks:
        import ray.data

        objects = [value.object for value in shared if isinstance(value, _RayRef)]
        assert len(objects) == len(shared), "a value of another place"
        made = self._dataset.map_batches(
            _worked,
            batch_size=None,
            batch_format="pyarrow",
            fn_kwargs={"step": step, "shared": objects},
            compute=ray.data.TaskPoolStrategy(size=self._workers),
        )
        return _RayBlocks(made, self._workers)

    def kept(self) -> Blocks:
        return _RayBlocks(self._dataset.materialize(), self._workers)

    def emptied(self) -> Blocks:
        return self


def _worked(table: Any, *, step: Step, shared: Sequence[Any]) -> Any:
    """On a worker: what the step yields for each row of a table, a row for each block of arrays."""
    import ray

    values = ray.get(list(shared))
    numbers: list[int] = []
    made: list[Arrays] = []
    for number, block in _rows(table):
        for arrays in step(*values, block):
            numbers.append(number)
            made.append(arrays)
    return _table(numbers, made)


def _text_blocks(texts: Sequence[str], rows: int) -> Iterator[list[str]]:
    """About so many texts together, fewer where they are long."""
    block: list[str] = []
    size = 0
    for first in range(0, len(texts), _FEWEST_ROWS):
        part = list(texts[first : first + _FEWEST_ROWS])
        characters = sum(map(len, part))
        if block and (len(block) + len(part) > rows or size + characters > _CHARACTERS):
            yield block
            block, size = [], 0
        if characters > _CHARACTERS:
            together = max(1, len(part) * _CHARACTERS // characters)
            yield from (part[place : place + together] for place in range(0, len(part), together))
        else:
            block, size = block + part, size + characters
    if block:
        yield block


def _text_table(number: int, texts: list[str]) -> Any:
    import pyarrow as pa

    try:
        values = pa.array(texts, pa.large_binary())
    except UnicodeEncodeError:  # a lone surrogate
        values = pa.array([text.encode("utf-8", "surrogatepass") for text in texts], pa.large_binary())
    column = pa.LargeListArray.from_arrays(pa.array([0, len(texts)], pa.int64()), values)
    return pa.table({_NUMBER: pa.array([number], pa.int64()), _TEXTS: column})


def _table(numbers: Sequence[int], blocks: Sequence[Arrays]) -> Any:
    """A row for each block of arrays, a column of lists for each of its names."""
    import pyarrow as pa

    columns = {_NUMBER: pa.array(numbers, pa.int64())}
    for name in blocks[0] if blocks else ():
        arrays = [block[name] for block in blocks]
        ends = np.cumsum([0, *map(len, arrays)])
        values = pa.array(arrays[0] if len(arrays) == 1 else np.concatenate(arrays))
        columns[name] = pa.LargeListArray.from_arrays(pa.array(ends, pa.int64()), values)
    return pa.table(columns)


def _rows(table: Any) -> Iterator[tuple[int, Any]]:
    """The number and the arrays, or the texts, of each row."""
    columns = {name: table.column(name).combine_chunks() for name in table.column_names}
    for row, number in enumerate(columns.pop(_NUMBER).to_pylist()):
        lists = {name: column[row].values for name, column in columns.items()}
        if _TEXTS in lists:
            yield number, [text.decode("utf-8", "surrogatepass") for text in lists[_TEXTS].to_pylist()]
        else:
            yield number, {name: values.to_numpy() for name, values in lists.items()}
