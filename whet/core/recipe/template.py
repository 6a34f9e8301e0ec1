"""The section `template`: how messages become the text that the model reads."""

from typing import Annotated, Literal

from pydantic import Field

from whet.core.recipe.section import Section

__all__ = ["TemplateSettings"]


class TemplateSettings(Section):
    """How messages become the text that the model reads."""

    format: Annotated[
        Literal["auto", "plain", "chat"],
        Field(
            description="auto: the tokenizer's chat template if it has one, else plain; plain: prompt, newline, completion"
        ),
    ] = "auto"
    system: Annotated[str | None, Field(description="a system turn put before every prompt that has none")] = None
