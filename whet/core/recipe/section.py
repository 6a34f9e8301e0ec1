"""What every section of the recipe is, and the kinds of numbers that several use."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Count", "Rows", "Section", "Share"]

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Rows = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """Unknown keys are errors, values are never changed after validation, NaN and infinity are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)
