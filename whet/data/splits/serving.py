"""Which purposes each row can serve, which of several copies stays, and why a row serves none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from whet.core.records import PURPOSES, Comparison, Conversation, Purpose, Ranking, Record, prompt_in
from whet.data.sources.rankings import has_own_ranking, ranking_of
from whet.data.splits.pins import Pins
from whet.data.splits.places import RowPlace
from whet.data.texts.row_texts import RowTexts

__all__ = ["Serving", "row_name", "serving_of"]

# R row, C cluster, P purpose
_DEMONSTRATED: tuple[Purpose, ...] = ("ft_train", "ft_validation", "ft_test")
_RANKED: tuple[Purpose, ...] = ("rm_train", "rm_test")
_PROMPTED: tuple[Purpose, ...] = ("rl_train", "rl_test", "final")
# Purposes whose rows are scored by their answer, so rows without one are of no use there when others have one.
_ANSWERED: tuple[Purpose, ...] = ("ft_test", "rl_train", "rl_test", "final")


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """`can[r, p]`: row r can serve purpose p, in PURPOSES' order. A row that can serve none says why in `why_not`."""

    can: npt.NDArray[np.bool_]
    why_not: dict[int, RowPlace]


def serving_of(
    records: Sequence[Record],
    is_preference: Sequence[bool],
    texts: RowTexts,
    *,
    pins: Pins,
    cluster_R: npt.NDArray[np.int64],
    excluded: Mapping[int, RowPlace],
    contested: Mapping[int, int],
    seed: int,
) -> Serving:
    """`excluded` rows serve nothing, `contested` ones nothing by their answer, which another row contradicts.

    A row that keeps its purpose may serve it if it is of the right kind at all.
    """
    has_answers = any(prompt_in(record).answer is not None for record in records)
    has_preferences = any(is_preference)
    why_not = {**pins.why_not, **excluded}
    for row, kept in _exact_duplicates(records, texts, pins, set(why_not)).items():
        detail = f"of {row_name(records[kept])}"
        why_not[row] = RowPlace(purpose=None, category="exact duplicate", detail=detail)
    can = np.zeros((len(records), len(PURPOSES)), dtype=np.bool_)
    for row, record in enumerate(records):
        if row in why_not:
            continue
        is_ranked, is_contested = is_preference[row] or not has_preferences, row in contested
        purposes = _purposes_of(
            record, has_answers=has_answers, is_ranked=is_ranked, is_believed=not is_contested, seed=seed
        )
        if is_preference[row]:
            purposes = tuple(purpose for purpose in purposes if purpose in _RANKED)
        if pins.pinned_R[row] or (pins.kept_R[row] and not is_contested):
            kept = PURPOSES[pins.purpose_C[cluster_R[row]]]
            possible = _purposes_of(record, has_answers=False, is_ranked=True, seed=seed)
            purposes = (*purposes, kept) if kept in possible else purposes
        if not purposes:
            why_not[row] = RowPlace(purpose=None, category="no purpose can use it")
            if is_contested:
                detail = f"by {row_name(records[contested[row]])}"
                why_not[row] = RowPlace(purpose=None, category="its known answer is contradicted", detail=detail)
        can[row, [PURPOSES.index(purpose) for purpose in purposes]] = True
    _once_per_prompt(records, can, texts, pins, why_not)
    return Serving(can=can, why_not=why_not)


def _purposes_of(
    record: Record, *, has_answers: bool, is_ranked: bool, seed: int, is_believed: bool = True
) -> tuple[Purpose, ...]:
    """`is_believed`: nothing contradicts the known answer."""
    if isinstance(record, Ranking | Comparison):
        return _RANKED
    prompt = prompt_in(record)
    purposes: tuple[Purpose, ...] = _PROMPTED if prompt.messages else ()
    if isinstance(record, Conversation):
        # Deriving is cheap, but reading a row's own ranking is cheaper.
        may_rank = is_ranked and bool(prompt.messages)
        can_rank = may_rank and (has_own_ranking(prompt) or (is_believed and ranking_of(record, seed=seed) is not None))
        purposes = (*_DEMONSTRATED, *(_RANKED if can_rank else ()), *purposes)
    if has_answers and (prompt.answer is None or not is_believed):
        return tuple(purpose for purpose in purposes if purpose not in _ANSWERED)
    return purposes


def _exact_duplicates(records: Sequence[Record], texts: RowTexts, pins: Pins, unusable: set[int]) -> dict[int, int]:
    """Row -> the row that says the same and is kept: one that keeps its purpose, then one with an answer, smallest id.

    Pinned rows stay, copies of each other too: a published test set is taken as it is.
    """
    groups: dict[tuple[str, bytes, bytes], list[int]] = {}
    said = zip(records, texts.turns, texts.completion, strict=True)
    for row, (record, turns, completion) in enumerate(said):
        if row not in unusable:
            groups.setdefault((type(record).__name__, turns, completion), []).append(row)
    duplicates: dict[int, int] = {}
    for rows in groups.values():
        if len(rows) > 1:
            kept = min(
                rows,
                key=lambda row: (not pins.kept_R[row], prompt_in(records[row]).answer is None, texts.id[row], row),
            )
            duplicates |= {row: kept for row in rows if row != kept and not pins.pinned_R[row]}
    return duplicates


def _once_per_prompt(
    records: Sequence[Record],
    can: npt.NDArray[np.bool_],
    texts: RowTexts,
    pins: Pins,
    why_not: dict[int, RowPlace],
) -> None:
    """A purpose made of prompts takes each of them once, however many completions or answers it came with.

    Under another system turn it is another prompt.
    """
    for column in map(PURPOSES.index, _PROMPTED):
        seen: dict[bytes, int] = {}
        rows = np.flatnonzero(can[:, column])
        for row in rows[np.argsort(~pins.kept_R[rows], kind="stable")].tolist():
            first = seen.setdefault(texts.turns[row], row)
            if first != row and not pins.pinned_R[row]:
                can[row, column] = False
                if not can[row].any():
                    detail = f"as {row_name(records[first])}"
                    why_not[row] = RowPlace(purpose=None, category="the same prompt", detail=detail)


def row_name(record: Record) -> str:
    """How a row is called in reasons: `train.jsonl row 17`."""
    origin = prompt_in(record).origin
    return f"{origin.source} row {origin.row}"
