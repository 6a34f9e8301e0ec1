"""What the model reads, token by token."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from whet.core.records import Message, Origin, Prompt
from whet.core.runlog import printable
from whet.tokens.template import Template

__all__ = ["ViewedToken", "show", "view"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewedToken:
    """One token: `ViewedToken(id=21, text="3", is_trained=True)`."""

    id: int
    text: str
    is_trained: bool


def view(template: Template, prompt: Prompt, completion: str | None) -> list[ViewedToken]:
    """The tokens of a prompt and, behind them, of its completion; only the completion's are trained."""
    prompt_ids = template.prompt_ids(prompt)
    completion_ids = () if completion is None else template.completion_ids(completion)
    return [
        ViewedToken(id=id_, text=template.token_text(id_), is_trained=place >= len(prompt_ids))
        for place, id_ in enumerate((*prompt_ids, *completion_ids))
    ]


def show(template: Template, text: str, *, completion: str | None) -> None:
    """Print the tokens, trained ones in colour, then how many there are."""
    prompt = Prompt(messages=(Message(role="user", content=text),), origin=Origin(source="command line", row=0))
    tokens = view(template, prompt, completion)
    console = Console(highlight=False)
    console.print(_coloured(tokens))
    console.print(" ".join(str(token.id) for token in tokens), style="dim")
    trained = sum(token.is_trained for token in tokens)
    console.print(f"{len(tokens)} tokens, {trained} trained, {len(text) / max(1, len(tokens)):.1f} characters a token")


def _coloured(tokens: Sequence[ViewedToken]) -> Text:
    """Tokens set apart by alternating shades; what is not trained is grey."""
    line = Text()
    for place, token in enumerate(tokens):
        shade = "on grey19" if place % 2 else "on grey27"
        colour = "bold bright_cyan" if token.is_trained else "grey70"
        line.append(printable(token.text).replace("\n", "\\n"), style=f"{colour} {shade}")
    return line
