"""Questions with worked solutions, as GSM8K and MATH have them, or with a bare answer."""

import re
from dataclasses import dataclass
from decimal import Decimal

from whet.core.records import Conversation, Origin, Record
from whet.data.layouts.expressions import boxed_in, is_bare_answer, unwrapped
from whet.data.layouts.fields import BadRow, Row, answer_in, prompt_of, text_in
from whet.data.layouts.turns import asked_in

__all__ = ["question_answer"]

_NUMBER = re.compile(r"[-+]?[0-9][0-9,]*(\.[0-9]+)?")
_CALCULATOR = re.compile(r"<<[^<>]*>>")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Solved:
    """A solution taken apart; `answer` is None when there is none to be had for certain."""

    reasoning: str
    answer: str | None
    as_it_is: str


def question_answer(row: Row, origin: Origin, think: bool) -> Record:
    """GSM8K's rows: the reasoning, then `#### 72`. Calculator marks are taken out, thousands commas too.

    Without the mark the known answer is what stands in the last `\\boxed{}`, or the whole text when it is nothing but a
    number or an expression. Any other text is a demonstration without a known answer. A number that is no text is a
    prompt with a known answer.
    """
    asked = asked_in(row, "question")
    if isinstance(row["answer"], int | float | Decimal):
        return prompt_of(asked, origin, answer_in(row))
    solved = _solved(text_in(row, "answer"))
    prompt = prompt_of(asked, origin, solved.answer)
    if not think or solved.answer is None:
        return Conversation(prompt=prompt, completion=solved.as_it_is)
    thoughts = f"<think>{solved.reasoning}</think>" if solved.reasoning else ""
    return Conversation(prompt=prompt, completion=f"{thoughts}<answer>{solved.answer}</answer>")


def _solved(solution: str) -> _Solved:
    before, mark, last = solution.rpartition("####")
    if mark and not last.strip():
        raise BadRow("answer", "nothing stands after ####")
    if mark and "\n" not in last.strip():  # more lines behind it make it a heading
        reasoning, answer = _CALCULATOR.sub("", before).strip(), _plain(last)
        return _Solved(reasoning=reasoning, answer=answer, as_it_is=f"{reasoning}\n#### {answer}".lstrip())
    if is_bare_answer(solution):
        return _Solved(reasoning="", answer=_plain(unwrapped(solution)), as_it_is=solution.strip())
    boxed = boxed_in(solution)
    if boxed is not None:
        return _Solved(reasoning=solution.strip(), answer=boxed, as_it_is=solution.strip())
    return _Solved(reasoning="", answer=None, as_it_is=solution)


def _plain(answer: str) -> str:
    """The answer without spaces around it; a number without commas."""
    answer = answer.strip()
    return answer.replace(",", "") if _NUMBER.fullmatch(answer) else answer
