"""Rows that serve no purpose wherever their cluster goes: contradictory, contaminated or near copies of a row kept."""

from collections.abc import Sequence

from whet.core.recipe import DataSettings
from whet.core.records import Record
from whet.data.alike.clusters import Clusters
from whet.data.alike.copies import near_copies
from whet.data.contamination.benchmark import Benchmark
from whet.data.contamination.find import read_benchmarks, training_sample
from whet.data.splits.contradictions import contradictions
from whet.data.splits.places import RowPlace
from whet.data.splits.serving import row_name
from whet.data.texts.row_texts import RowTexts

__all__ = ["excluded_rows"]

_CHUNK = 8192


def excluded_rows(
    records: Sequence[Record],
    texts: RowTexts,
    clusters: Clusters,
    settings: DataSettings,
    *,
    pinned: Sequence[int],
) -> dict[int, RowPlace]:
    """Row -> why it serves nothing. Rows whose purpose is pinned stay what they are."""
    found = {
        row: RowPlace(purpose=None, category="contradictory preferences", detail=reason)
        for row, reason in contradictions(records).items()
    }
    found |= _contaminated(records, settings)
    if settings.near_duplicates == "drop":
        copies = near_copies(records, texts, clusters)
        found = {
            row: RowPlace(purpose=None, category="near duplicate", detail=f"of {row_name(records[kept])}")
            for row, kept in copies.items()
            if kept not in found
        } | found
    return {row: place for row, place in found.items() if pinned[row] < 0}


def _contaminated(records: Sequence[Record], settings: DataSettings) -> dict[int, RowPlace]:
    """Rows that hold a question of `data.benchmarks`; a run of 13 words alone is no reason."""
    if not settings.benchmarks:
        return {}
    questions = read_benchmarks(settings.benchmarks, settings)
    benchmark = Benchmark(questions, training_sample(iter(records)), paraphrase=settings.paraphrase)
    return {
        first + place: RowPlace(
            purpose=None,
            category=f"in a benchmark ({hit.kind})",
            detail=f"{hit.benchmark} row {hit.benchmark_row}, {hit.score:.2f}",
        )
        for first in range(0, len(records), _CHUNK)
        for place, hit in benchmark.hits(records[first : first + _CHUNK])
        if hit.is_gated
    }
