"""What preparation did, on the terminal: how sources were understood, where rows went, what is left out, what binds."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from whet.core.records import PURPOSES
from whet.core.runlog import printable
from whet.core.terminal import Page
from whet.core.told import told_lines
from whet.data.proof.check import Proof
from whet.data.proof.shortfall import shortfalls

__all__ = ["example_line", "show_proof", "show_split"]

Entry = Mapping[str, Any]
# So much is shown of sources, reasons and clusters; the manifest has the rest.
_SOURCES, _REASONS, _CLUSTERS = 3, 4, 3
_SHOWN_SLICES = ("long_tail", "out_of_distribution")
_WIDEST = 100


def example_line(source: Entry, *, width: int = 90) -> str:
    """The first row of a source as it was understood, in one line: `Alice has 3 … -> <answer>5</answer>`."""
    example = source["example"]
    said = next((text for name in ("completion", "chosen", "best", "answer") if (text := example.get(name))), None)
    parts = [" ".join(part.split()) for part in (example.get("prompt"), said) if part]
    room = width // max(1, len(parts))
    return printable(" -> ".join(part if len(part) <= room else f"{part[: room - 2]} …" for part in parts))


def show_split(page: Page, manifest: Entry, rejected: Sequence[Entry], *, out: Path) -> None:
    """About a screen of what the manifest holds, what fell short first; `rejected` are the lines of rejected.jsonl."""
    for line in shortfalls(manifest):
        page.line((line.replace(" DIR", f" {out}"), "bold yellow"))
    _show_sources(page, manifest["sources"])
    page.line()
    _show_purposes(page, manifest["purposes"])
    page.line()
    page.columns([*_left_out(manifest, rejected), *_bound(manifest), *_rules(manifest)], indent=0)
    page.line()
    page.line(f"{out / 'manifest.json'}", ("  prove it: whet data check; look at it: whet data view", "dim"))


def _show_sources(page: Page, sources: Sequence[Entry]) -> None:
    shown: list[Any] = []
    for source in sources[:_SOURCES]:
        columns = [
            f"{name} from {stated}" if (stated := source["stated"].get(name)) else name for name in _columns(source)
        ]
        what = f"{source['rows']:,} rows, read as {source['mapping']} ({', '.join(columns)})"
        page.line((f"{source['name']}:", "bold"), f" {what}")
        how = (source["mapping"], source["columns"], source["stated"])
        if source["example"] and how not in shown:
            _show_example(page, source["example"], lines=4 if len(sources) == 1 else 2)
            shown.append(how)
        for line in told_lines(source):
            page.line((f"  {line}", "dim"))
    if len(sources) > _SOURCES:
        rest = sources[_SOURCES:]
        others = f"and {len(rest)} more sources" if len(rest) > 1 else "and 1 more source"
        page.line(f"{others}, {sum(source['rows'] for source in rest):,} rows")


def _columns(source: Entry) -> list[str]:
    """The layout's columns, and those that only the recipe names."""
    return list(dict.fromkeys((*source["columns"], *source["stated"])))


def _show_example(page: Page, example: Entry, *, lines: int) -> None:
    """The first row as the model will be asked and answer, a few lines of each text behind a bar."""
    width = min(page.console.width, _WIDEST) - 18
    for name, text in sorted(example.items(), key=lambda pair: pair[0] == "answer"):
        if not text:
            continue
        wrapped = Text(printable(text)).wrap(page.console, width)
        for number, line in enumerate(wrapped[:lines]):
            is_cut = number == lines - 1 and len(wrapped) > lines
            label = name if number == 0 else ""
            page.line((f"  │ {label:<12}", "dim"), line.plain.rstrip() + (" …" if is_cut else ""))


def _show_purposes(page: Page, purposes: Entry) -> None:
    slices = [name for name in _SHOWN_SLICES if any(entry["slices"].get(name) for entry in purposes.values())]
    heads = [
        "rows",
        "requested",
        "clusters",
        *(name.replace("_", " ").replace("distribution", "dist.") for name in slices),
    ]
    page.line((f"{'':<14}" + "".join(f"{head:>13}" for head in heads), "dim"))
    for purpose in PURPOSES:
        entry = purposes[purpose]
        rows = f"{entry['rows']:>13,}"
        rest = [entry["requested"], entry["clusters"], *(entry["slices"].get(name, 0) for name in slices)]
        is_short = entry["rows"] != entry["requested"]
        page.line(
            f"{purpose:<14}", (rows, "bold yellow" if is_short else ""), "".join(f"{count:>13,}" for count in rest)
        )


def _left_out(manifest: Entry, rejected: Sequence[Entry]) -> Iterator[tuple[str, list[Text | str]]]:
    read = sum(source["rows"] for source in manifest["sources"])
    refused = manifest["rejected"]
    share = f" ({refused['rows'] / read:.1%})" if refused["rows"] else ""
    yield "refused", [f"{refused['rows']:,} of {read:,} rows{share}"]
    yield from _reasons(refused["reasons"], {row["reason"]: _place(row) for row in reversed(rejected)})
    yield "not used", [f"{manifest['unused']['rows']:,} rows"]
    yield from _reasons(manifest["unused"]["reasons"], {})
    thinned, skipped = (sum(source[name] for source in manifest["sources"]) for name in ("thinned", "skipped"))
    if beyond := manifest.get("beyond_limit"):
        yield "limit", [f"{beyond:,} rows beyond data.limit left out"]
    if thinned:
        yield "thinned", [f"{thinned:,} rows left out to keep data.weights"]
    if skipped:
        yield "skipped", [f"{skipped:,} parts of rows that were taken; rejected.jsonl names them"]


def _reasons(reasons: Entry, places: Mapping[str, str]) -> Iterator[tuple[str, list[Text | str]]]:
    """The most frequent ones, each with the first place where it stands."""
    ordered = sorted(reasons.items(), key=lambda pair: -pair[1])
    width = max((len(f"{count:,}") for _, count in ordered[:_REASONS]), default=0)
    for reason, count in ordered[:_REASONS]:
        place = f"{', first' * (count > 1)}: {places[reason]}" if reason in places else ""
        yield "", [f"{count:>{width},}  {reason}{place}"]
    if rest := ordered[_REASONS:]:
        yield "", [f"{sum(count for _, count in rest):>{width},}  for {len(rest)} other reasons"]


def _place(row: Entry) -> str:
    field = f", field {row['field']}" if row["field"] else ""
    return f"{row['source']} row {row['row']}{field}"


def _bound(manifest: Entry) -> Iterator[tuple[str, list[Text | str]]]:
    """What joined rows, which buckets were not tried in full, and the largest clusters."""
    joins = [f"{kind.replace('_', ' ')} {count:,}" for kind, count in manifest["edges"].items() if count]
    clusters = manifest["clusters"]
    yield "joined by", [", ".join(joins) or "nothing: every row is a cluster of its own"]
    yield from _passages(manifest["passages"])
    for kind, view in manifest["views"].items():
        if view["capped"]["buckets"]:
            text = f"{view['capped']['buckets']:,} groups, the largest of {view['capped']['largest']:,} rows, were too "
            yield "capped", [f"{kind}: {text}large to compare every pair of rows"]
    largest = clusters["the largest"][:_CLUSTERS]
    heads = "; the largest, their lowest similarity and longest chain:" if largest else ""
    yield "clusters", [f"{clusters['count']:,}, none in two purposes{heads}"]
    for entry in largest:
        kinds = ", ".join(f"{kind.replace('_', ' ')} {count:,}" for kind, count in entry["kinds"].items())
        text = f"{entry['rows']:,} rows, {entry['lowest_score']:.2f}, {entry['longest_chain']}"
        yield "", [f"{entry['cluster']}  {text}; {kinds}"]


def _passages(passages: Entry) -> Iterator[tuple[str, list[Text | str]]]:
    """What was left out of comparisons, as it tells no two rows apart."""
    if rows := passages["rows"]:
        first = passages["the commonest"][0]
        begin = " ".join(first["text"].split()[:8])
        what = f"{first['rows']:,} share one of {first['words']:,} words: {begin} …"
        yield "passages", [f"{rows:,} rows were compared without what very many share; {what}"]
    if rows := passages["by system turns"]:
        yield "system", [f"{rows:,} rows ask by their system turns, as very many ask the same below them"]


def _rules(manifest: Entry) -> Iterator[tuple[str, list[Text | str]]]:
    """Time, strata, pins and earlier purposes where they were used; how rare rows were found; control tokens."""
    splits, found = manifest["splits"], manifest["slices"]["found"]
    if time := splits.get("time"):
        lost = ", ".join(f"{count:,} {why}" for why, count in time["unused"].items() if count)
        border = f"training until {time['training_until']}, evaluation from {time['evaluation_from']}"
        yield "time", [f"{time['column']}: {border}{f'; not used: {lost}' if lost else ''}"]
    if strata := splits.get("strata"):
        off = strata["largest_deviation"]
        where = f"{abs(off['rows']):g} rows ({abs(off['points']):g} points) of {off['stratum']} in {off['purpose']}"
        yield "strata", [f"{', '.join(strata['columns'])}: at most {where} from its share"]
    if contested := splits["contested"]["rows"]:
        said = (f"{row['source']} row {row['row']} says {row['answer']}" for row in splits["contested"]["examples"][0])
        prompts = f"{splits['contested']['prompts']:,} prompt{'s' * (splits['contested']['prompts'] > 1)}"
        what = f"{contested:,} rows of {prompts} have more than one known answer"
        yield "two answers", [f"{what}; none is believed, they are imitated alone. First: {' and '.join(said)}"]
    if splits["pinned"]["rows"]:
        yield (
            "pinned",
            [f"{splits['pinned']['rows']:,} rows; {splits['pinned']['unused beside them']:,} like them not used"],
        )
    if manifest["settings"]["earlier"]:
        earlier = splits["earlier"]
        gone = f"; {earlier['not here']:,} earlier rows are not here" if earlier.get("not here") else ""
        yield "earlier", [f"{earlier['rows']:,} rows keep their purpose{gone}"]
    if found:
        yield "long tail", [", ".join(f"{reason} {count:,}" for reason, count in found.items())]
    tokens = dict(manifest["control_tokens"])
    if rows := tokens.pop("rows"):
        names = ", ".join(f"{token} {count:,}" for token, count in list(tokens.items())[:_REASONS])
        held = f"{rows:,} row{'s hold' if rows > 1 else ' holds'} text like control tokens"
        yield "tokens", [f"{held}, kept as text: {names}"]


def show_proof(page: Page, proof: Proof, *, quiet: bool = False, most: int = 20) -> None:
    """The problems, or view by view what was proven; the verdict last. Quiet leaves the problems."""
    for problem in proof.problems[:most]:
        page.line(problem)
    if len(proof.problems) > most:
        page.line(f"and {len(proof.problems) - most:,} more")
    if quiet:
        return
    if proof.is_proven:
        page.columns(list(_proven(proof)), indent=0)
    verdict = "proven" if proof.is_proven else "NOT proven"
    counted = f"{proof.rows:,} rows in {proof.clusters:,} clusters, {len(proof.problems):,} problems"
    page.line((verdict, "bold"), f": {counted}")


def _proven(proof: Proof) -> Iterator[tuple[str, list[Text | str]]]:
    yield "files", ["as the manifest says; every row that was read is in one of them, or refused with a reason"]
    for kind, joins in proof.edges.items():
        found = (
            f"{joins:,} join{'s' * (joins != 1)} found again, none between two purposes" if joins else "joins nothing"
        )
        yield kind.replace("_", " "), [found]
    yield "training", ["holds no out-of-distribution row"]
