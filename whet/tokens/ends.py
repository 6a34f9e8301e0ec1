"""Where a chat template ends an answer: found from what it writes, not from what a tokenizer names.

A template may put the end right behind the answer (`<|im_end|>`), an end of the conversation behind that (Phi-3:
`<|end|>\\n<|endoftext|>`), two tokens of which the second stops (Cohere), another one in the last turn than in those
before it (gpt-oss: `<|return|>`, `<|end|>`), or nothing at all, so that the next turn's own first token is what a model
writes when it is done (GLM: `<|user|>`).
"""

from dataclasses import dataclass

from whet.core.errors import ModelError
from whet.tokens.controls import Controls
from whet.tokens.encode import spelt_in
from whet.tokens.render import ChatTemplate

__all__ = ["ASKED", "AnswerEnd", "answer_end"]

ASKED, ANSWERED, ASKED_AGAIN = "What is asked.", "What is answered.", "What is asked again."


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerEnd:
    """`AnswerEnd(text="<|im_end|>", tail="<|im_end|>\\n", written=...)`.

    `text` is what a completion ends with: its last token stops. `tail` is all that the template writes behind a
    conversation's last answer. `written` is what it wrote of a short conversation, for what else there is to see.
    """

    text: str
    tail: str
    written: str


def answer_end(template: ChatTemplate, controls: Controls, *, system: str | None, chosen: str | None) -> AnswerEnd:
    """Raises `ModelError` when the template takes no question, or leaves its answer out.

    Of the control tokens that stand behind an answer, the first that is known to end one does, else the first. Where
    the template writes none, the model's own end token is put there. `chosen` is what the user wants instead.
    """
    last, middle = _answered(template, system)
    tail = _behind(last, template.name)
    follows = "" if middle is None else _behind(middle, template.name).partition(ASKED_AGAIN)[0]
    shared = tail if middle is None else _shared(tail, follows)
    text = chosen
    for behind in (shared, tail, follows):
        if text is None and (found := spelt_in(behind, controls.possible)):
            place = next((end for token, end in found if token in controls.ends), found[0][1])
            text = behind[:place]
    return AnswerEnd(text=text or controls.default_end, tail=tail, written=middle or last)


def _answered(template: ChatTemplate, system: str | None) -> tuple[str, str | None]:
    """A short conversation that ends with an answer, and one that goes on, None where the template takes no more."""
    asked = [{"role": "user", "content": ASKED}, {"role": "assistant", "content": ANSWERED}]
    calls = [asked, [*asked, {"role": "user", "content": ASKED_AGAIN}]]
    refusal = ""
    for before in dict.fromkeys((system, None, "Be brief.")):  # some take no system turn, some nothing without one
        turns = [] if before is None else [{"role": "system", "content": before}]
        last, middle = template.render(
            [{"messages": [*turns, *call], "add_generation_prompt": False} for call in calls]
        )
        if last.refusal is None:
            return last.text, None if middle.refusal else middle.text
        refusal = refusal or last.refusal
    raise ModelError(f"{template.name}: its chat template {refusal}, though it is one question and its answer")


def _shared(a: str, b: str) -> str:
    """What both begin with."""
    return a[: next((place for place, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))]


def _behind(text: str, name: str) -> str:
    _, found, behind = text.partition(ANSWERED)
    if not found:
        raise ModelError(f"{name}: its chat template leaves an answer out, so none can be trained")
    return behind
