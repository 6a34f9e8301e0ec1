"""Questions with worked solutions, as GSM8K has them."""

import re
from decimal import Decimal

from whet.core.records import Conversation, Origin, Record
from whet.data.layouts.fields import (
    BadRow,
    Row,
    answer_in,
    prompt_of,
    text_in,
    user_turn,
)

__all__ = ["question_answer"]

_BARE_NUMBER = re.compile(r"[-+]?[0-9][0-9,]*(\.[0-9]+)?")


_CALCULATOR = re.compile(r"<<[^<>]*>>")


def question_answer(row: Row, origin: Origin, think: bool) -> Record:
    """GSM8K's rows: the reasoning, then `#### 72`. Calculator marks are taken out, thousands commas too.

    A solution without the mark is a demonstration without a known answer, unless it is nothing but a number, as tables
    have it; a number that is no text is a prompt with a known answer.
    """
    asked, used = user_turn(text_in(row, "question")), ("question", "answer")
    if isinstance(row["answer"], int | float | Decimal):
        return prompt_of(row, asked, origin, ("question",), answer_in(row))
    solution = text_in(row, "answer")
    reasoning, mark, last = solution.rpartition("####")
    if not mark and not _BARE_NUMBER.fullmatch(solution.strip()):
        return Conversation(prompt=prompt_of(row, asked, origin, used, None), completion=solution)
    answer = last.strip()
    answer = answer.replace(",", "") if _BARE_NUMBER.fullmatch(answer) else answer
    if not answer:
        raise BadRow("answer", "nothing stands after ####")
    reasoning = _CALCULATOR.sub("", reasoning).strip()
    if think:
        completion = (f"<think>{reasoning}</think>" if reasoning else "") + f"<answer>{answer}</answer>"
    else:
        completion = f"{reasoning}\n#### {answer}".lstrip() if mark else solution.strip()
    return Conversation(prompt=prompt_of(row, asked, origin, used, answer), completion=completion)
