# ruff: noqa: T201  (this is the command line)
"""The verbs of `whet data`."""

import itertools
import json
import sys
from pathlib import Path

from whet.cli.app import Json, Quiet, Settings, data_app, read_recipe
from whet.core.errors import RecipeError

__all__ = ["data_check", "data_contamination", "data_split", "data_trace", "data_view"]


@data_app.command(name="split", usage="whet data split SOURCE... --out DIR [--seed N] [--data.SETTING VALUE ...]")
def data_split(*source: Settings, out: Path, seed: int = 0, quiet: Quiet = False, as_json: Json = False) -> None:
    """Read the sources and write the eight purposes, the manifest and the rejected rows into a folder."""
    sources = list(itertools.takewhile(lambda word: not word.startswith("--"), source))
    if not sources:
        raise RecipeError("a source was expected: whet data split SOURCE... --out DIR")
    flags = list(source[len(sources) :])
    loaded = read_recipe([*flags, "--data.source", json.dumps(sources), "--seed", str(seed)])
    from whet.data.prepare import prepare

    manifest = prepare(loaded.recipe.data, seed=seed, out=out)
    if as_json:
        print(json.dumps({key: value for key, value in manifest.items() if key not in ("rows", "names")}))
    elif not quiet:
        for found in manifest["sources"]:
            print(f"{found['name']}: {found['rows']} rows, read as {found['mapping']}")
        for purpose, entry in manifest["purposes"].items():
            print(f"  {purpose:<14}{entry['rows']:>8} rows {entry['clusters']:>8} clusters")
        print(f"refused {manifest['rejected']['rows']}, unused {manifest['unused']['rows']}; {out / 'manifest.json'}")


def _data_dir(folder: Path) -> Path:
    """The folder itself, or `data` inside it when it is a run."""
    return folder / "data" if (folder / "data" / "manifest.json").is_file() else folder


@data_app.command(name="check")
def data_check(folder: Path, /, *, quiet: Quiet = False) -> None:
    """Prove from the files alone that no cluster straddles and nothing was altered; exit code 1 when not."""
    from whet.data.check import check

    proof = check(_data_dir(folder))
    for problem in proof.problems[:20]:
        print(problem)
    if len(proof.problems) > 20:
        print(f"and {len(proof.problems) - 20} more")
    if not quiet:
        verdict = "proven" if proof.is_proven else "NOT proven"
        print(f"{verdict}: {proof.rows} rows in {proof.clusters} clusters, {len(proof.problems)} problems")
    sys.exit(0 if proof.is_proven else 1)


@data_app.command(name="view")
def data_view(folder: Path, /, *, purpose: str = "ft_train", cluster: str | None = None, count: int = 5) -> None:
    """Rows of a purpose, or of one cluster side by side with what differs marked.

    Parameters
    ----------
    folder
        A run, or what `whet data split` wrote.
    """
    from whet.data.view import as_text, cluster_view, purpose_view

    data_dir = _data_dir(folder)
    views = cluster_view(data_dir, cluster) if cluster else purpose_view(data_dir, purpose, count=count)
    print("\n\n".join(as_text(view) for view in views))


@data_app.command(name="trace")
def data_trace(folder: Path, wanted: str, /, *, count: int = 5) -> None:
    """Where a row and its near copies went, by the id of a row, prompt or cluster, or by text."""
    from whet.data.view import as_text, trace

    found = trace(_data_dir(folder), wanted, count=count)
    for row in found:
        print(f"[{row.kind} {row.score:.2f}]\n{as_text(row.view)}\n")
    if not found:
        print("not in this data, nor a near copy of it")
        sys.exit(1)


@data_app.command(name="contamination")
def data_contamination(train: Path, /, *, against: Path, as_json: Json = False) -> None:
    """The rows of a training file that a benchmark file holds too: the same, nearly, or as a template."""
    from whet.data.contamination import contamination

    hits = contamination(train, against)
    for hit in hits:
        line = {"row": hit.row, "kind": hit.kind, "score": round(hit.score, 4), "benchmark_row": hit.benchmark_row}
        print(
            json.dumps(line)
            if as_json
            else f"row {hit.row}: {hit.kind} {hit.score:.2f}, benchmark row {hit.benchmark_row}"
        )
    if not as_json:
        print(f"{len(hits)} contaminated rows")
