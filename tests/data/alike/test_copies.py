"""What is a near copy and what is only alike."""

from whet.core.recipe import DataSettings
from whet.core.records import Conversation, Message, Origin, Prompt
from whet.data.alike.clusters import join
from whet.data.alike.copies import near_copies
from whet.data.alike.views import find
from whet.data.texts.row_texts import row_texts

QUESTION = "A train leaves the old station at 9 in the morning and drives for 3 hours to the sea. How far does it go?"
ANSWER = "It drives 3 hours at 60 km an hour, which makes 180 km in all before noon."


def row(prompt: str, completion: str = ANSWER, answer: str | None = "180") -> Conversation:
    message = Message(role="user", content=prompt)
    return Conversation(
        prompt=Prompt(messages=(message,), origin=Origin(source="a", row=0), answer=answer), completion=completion
    )


def copies(rows: list[Conversation]) -> dict[int, int]:
    texts = row_texts(rows)
    return near_copies(rows, texts, join(len(rows), find(texts, DataSettings(paraphrase="off"))))


def test_a_word_more_is_a_copy_of_the_first() -> None:
    assert copies([row(QUESTION), row("Well. " + QUESTION), row(QUESTION + " Please.")]) == {1: 0, 2: 0}


def test_other_numbers_answers_or_ways_to_the_answer_are_no_copies() -> None:
    assert copies([row(QUESTION), row(QUESTION.replace("9", "8"))]) == {}
    assert copies([row(QUESTION), row("Well. " + QUESTION, answer="181")]) == {}
    assert copies([row(QUESTION), row("Well. " + QUESTION, "One hundred and eighty, as anyone can see.")]) == {}


def test_exact_copies_are_left_to_the_rule_for_them() -> None:
    assert copies([row(QUESTION), row(QUESTION.upper(), ANSWER.upper())]) == {}


def test_the_ends_of_a_chain_are_compared_themselves() -> None:
    # Each text is near the one before: 8 of 40 words move on, so runs of 3: 32 of 38 common; the ends share few.
    words = [f"w{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(120)]
    chain = [row(" ".join(words[start : start + 40])) for start in range(0, 25, 5)]
    assert copies(chain) == {1: 0, 3: 2}
