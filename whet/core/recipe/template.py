"""The section `template`: how messages become the text that the model reads."""

import datetime
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from whet.core.recipe.section import Section

__all__ = ["TemplateSettings"]

Tag = Annotated[str, Field(min_length=1)]
# What whet itself tells a template; the rest of the names are the user's.
_OURS = ("messages", "add_generation_prompt", "continue_final_message", "tools", "documents")


class TemplateSettings(Section):
    """How messages become the text that the model reads."""

    format: Annotated[
        Literal["auto", "plain", "chat"],
        Field(
            description="auto: the tokenizer's chat template if it has one, else plain; plain: prompt, newline, completion"
        ),
    ] = "auto"
    system: Annotated[str | None, Field(description="a system turn put before every prompt that has none")] = None
    name: Annotated[
        str | None,
        Field(description="which of the tokenizer's named chat templates; its `default` when not given"),
    ] = None
    kwargs: Annotated[
        Mapping[str, Any],
        Field(description="variables that the chat template reads, such as {enable_thinking: false}"),
    ] = {}
    date: Annotated[
        datetime.date,
        Field(description="today's date for chat templates that ask for it; fixed, so that a run can be repeated"),
    ] = datetime.date(2025, 1, 1)
    thinking: Annotated[
        tuple[Tag, Tag] | None,
        Field(
            description="the tags around thinking; those that the chat template writes when not given, else <think> and </think>"
        ),
    ] = None
    answer: Annotated[
        tuple[Tag, Tag] | None,
        Field(
            description="the tags around the answer; those that the chat template writes when not given, else <answer> and </answer>"
        ),
    ] = None
    ends: Annotated[
        tuple[Tag, ...] | None,
        Field(
            min_length=1,
            description="tokens that end an answer, the first is trained; when not given, what the chat template puts there, else the end token. All of the model's own end tokens stop it too",
        ),
    ] = None

    @field_validator("kwargs")
    @classmethod
    def _are_the_users(cls, kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        if taken := [name for name in kwargs if name in _OURS]:
            raise ValueError(f"{', '.join(taken)}: whet sets this itself")
        try:
            json.dumps(kwargs)
        except (TypeError, ValueError) as error:
            raise ValueError("must be texts, numbers, true, false, null, and lists and mappings of them") from error
        return kwargs
