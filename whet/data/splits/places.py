"""Where a row went, and why."""

from dataclasses import dataclass

from whet.core.records import Purpose

__all__ = ["RowPlace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPlace:
    """`RowPlace(purpose=None, category="exact duplicate", detail="of train.jsonl row 17")`."""

    purpose: Purpose | None
    category: str  # few different ones, to be counted
    detail: str = ""

    @property
    def reason(self) -> str:
        return f"{self.category} {self.detail}".rstrip()
