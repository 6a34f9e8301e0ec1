# ruff: noqa: T201  (this is the command line)
"""The verbs of `whet data`."""

import itertools
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import cyclopts

from whet.cli.app import AtLeastOne, Json, Quiet, Settings, data_app, read_recipe
from whet.core.errors import DataError, RecipeError
from whet.core.recipe.text import read_value

__all__ = ["data_check", "data_split", "data_trace", "data_view"]


@data_app.command(name="split", usage="whet data split SOURCE... --out DIR [--seed N] [--data.SETTING VALUE ...]")
def data_split(*source: Settings, out: Path, seed: str = "0", quiet: Quiet = False, as_json: Json = False) -> None:
    """Read the sources and write the eight purposes, the manifest and the rejected rows into a folder.

    A source that is read in its own way is written "{path: FILE, columns: {prompt: '{Body} {Question}'}}".
    Exit code 1 when a purpose for which `data.sizes` ask for rows has none; the files are written all the same.
    """
    sources = list(itertools.takewhile(lambda word: not word.startswith("--"), source))
    if not sources:
        raise RecipeError("a source was expected: whet data split SOURCE... --out DIR")
    flags = list(source[len(sources) :])
    given = [read_value(word) if word.startswith("{") else word for word in sources]
    loaded = read_recipe([*flags, "--data.source", json.dumps(given), "--seed", seed])
    from whet.data.prepare import prepare

    manifest = prepare(loaded.recipe.data, seed=loaded.recipe.seed, out=out)
    from whet.data.proof.shortfall import empty_purposes, shortfalls

    short = [line.replace(" DIR", f" {out}") for line in shortfalls(manifest)]
    if as_json:
        shown = {key: value for key, value in manifest.items() if key != "rows"}
        print(json.dumps({"shortfalls": short} | shown))
    elif quiet:
        print("".join(f"{line}\n" for line in short), end="", file=sys.stderr)
    else:
        from whet.core.files import read_json_lines
        from whet.core.terminal import Page
        from whet.data.proof.summary import show_split

        show_split(Page(), manifest, list(read_json_lines(out / "rejected.jsonl")), out=out)
    if empty_purposes(manifest):
        sys.exit(1)


def _data_dir(folder: Path) -> Path:
    """The folder itself, or `data` inside it when it is a run."""
    return folder / "data" if (folder / "data" / "manifest.json").is_file() else folder


@data_app.command(name="check")
def data_check(folder: Path, /, *, quiet: Quiet = False, as_json: Json = False) -> None:
    """Prove from the files alone that no cluster straddles and nothing was altered; exit code 1 when not."""
    from whet.core.terminal import Page
    from whet.data.proof.check import check
    from whet.data.proof.summary import show_proof

    proof = check(_data_dir(folder))
    if as_json:
        found = {"proven": proof.is_proven, "rows": proof.rows, "clusters": proof.clusters, "joins": dict(proof.edges)}
        print(json.dumps(found | {"problems": list(proof.problems)}))
    else:
        show_proof(Page(), proof, quiet=quiet)
    sys.exit(0 if proof.is_proven else 1)


@data_app.command(name="view", usage="whet data view FOLDER [PURPOSE] [--cluster ID | --pairs KIND | --rejected]")
def data_view(
    folder: Path,
    positional: str | None = None,
    /,
    *,
    purpose: str | None = None,
    cluster: str | None = None,
    pairs: str | None = None,
    rejected: bool = False,
    strongest: bool = False,
    count: AtLeastOne = 5,
    as_json: Json = False,
) -> None:
    """Rows of a purpose, a cluster side by side, pairs by what joined them, or what was refused.

    Parameters
    ----------
    folder
        A run, or what `whet data split` wrote.
    positional
        A purpose such as ft_train, or unused: the rows that serve none, by reason. The same as --purpose.
    cluster
        Its id, or the first digits of it; what differs from its first row is marked.
    pairs
        Rows joined by an edge of this kind, the weakest first: exact, shared_prompt, group, near, stop, template,
        paraphrase, or all.
    rejected
        The refused rows with file, row, field and reason.
    strongest
        Pairs of the highest score first.
    count
        How many rows or pairs; of unused rows, how many of each reason.
    """
    from whet.core.terminal import Page
    from whet.data.look import view, view_text

    if positional is not None and purpose is not None and positional != purpose:
        raise DataError(f"two purposes were given, {positional} and {purpose}; one was expected")
    purpose = positional or purpose
    asked_for = {"--purpose": purpose, "--cluster": cluster, "--pairs": pairs, "--rejected": rejected or None}
    given = [name for name, value in asked_for.items() if value is not None]
    if len(given) > 1:
        raise DataError(f"{' and '.join(given)} do not go together; give one of them")
    data_dir, page = _data_dir(folder), Page()
    show: Callable[[], None]
    if rejected:
        refused, lines = view.rejected_rows(data_dir, count=count)
        show = partial(view_text.show_rejected, page, refused, lines)
    elif cluster is not None:
        found = view.cluster_view(data_dir, cluster, count=count)
        lines = [row.as_json() for row in found.rows]
        show = partial(view_text.show_cluster, page, found)
    elif pairs is not None:
        total, edges = view.pair_views(data_dir, pairs, count=count, strongest=strongest)
        lines = [pair.as_json() for pair in edges]
        show = partial(view_text.show_pairs, page, pairs, total, edges)
    elif purpose == "unused":
        reasons = view.unused_views(data_dir, count=count)
        lines = [row.as_json() for _, rows in reasons.values() for row in rows]
        show = partial(view_text.show_unused, page, reasons)
    else:
        rows = view.purpose_view(data_dir, purpose or "ft_train", count=count)
        lines = [row.as_json() for row in rows]
        show = partial(view_text.show_rows, page, rows)
    _print_lines(lines) if as_json else show()


def _print_lines(lines: Iterable[Mapping[str, Any]]) -> None:
    for line in lines:
        print(json.dumps(line))


@data_app.command(name="trace", usage="whet data trace [FOLDER] WANTED [--runs FOLDER ...]")
def data_trace(
    *words: str,
    runs: Annotated[tuple[Path, ...], cyclopts.Parameter(consume_multiple=True)] = (),
    count: AtLeastOne = 5,
    as_json: Json = False,
) -> None:
    """Was this row, or a near copy of it, trained on, by which run, and what did it score? Exit code 1 when not found.

    Parameters
    ----------
    words
        FOLDER, which is prepared data, a run, or a folder of runs (runs/ when not given); then WANTED: the hash of a
        row, prompt or cluster, or its first 6 digits or more; or a text; or @FILE.
    runs
        Runs, or folders of runs, to look in as well.
    count
        How many rows of each prepared data, the likest first.
    """
    from whet.core.terminal import Page
    from whet.verbs.trace.runs import trace
    from whet.verbs.trace.text import show_trace

    if not 1 <= len(words) <= 2:
        raise DataError("an id or a text was expected: whet data trace [FOLDER] WANTED")
    folder = Path(words[0]) if len(words) == 2 else None
    if folder is None and Path(words[0]).is_dir():
        raise DataError(f"{words[0]} is a folder; what is looked for in it was expected: whet data trace FOLDER WANTED")
    traced = trace(folder, words[-1], runs=runs, count=count)
    if as_json:
        _print_lines(hit.as_json() for hit in traced.hits)
        for problem in traced.unread:
            print(f"not searched: {problem}", file=sys.stderr)
    else:
        show_trace(Page(), traced)
    if not traced.hits:
        sys.exit(1)
