"""What is a near copy and what is only alike."""

from dataclasses import replace

from whet.core.recipe import DataSettings
from whet.core.records import Conversation, Message, Origin, Prompt
from whet.data.alike.clusters import join
from whet.data.alike.copies import near_copies
from whet.data.alike.views import find
from whet.data.texts.row_texts import row_texts

QUESTION = "A train leaves the old station at 9 in the morning and drives for 3 hours to the sea. How far does it go?"
NO_PARAPHRASE = DataSettings(paraphrase="off")
ANSWER = "It drives 3 hours at 60 km an hour, which makes 180 km in all before noon."


def row(prompt: str, completion: str = ANSWER, answer: str | None = "180") -> Conversation:
    message = Message(role="user", content=prompt)
    return Conversation(
        prompt=Prompt(messages=(message,), origin=Origin(source="a", row=0), answer=answer), completion=completion
    )


def copies(rows: list[Conversation]) -> dict[int, int]:
    texts = row_texts(rows)
    return near_copies(rows, texts, join(len(rows), find(texts, NO_PARAPHRASE)))


def test_a_word_more_is_a_copy_of_the_first() -> None:
    assert copies([row(QUESTION), row("Well. " + QUESTION), row(QUESTION + " Please.")]) == {1: 0, 2: 0}


def test_what_only_one_of_two_says_is_an_edit() -> None:
    assert copies([row(QUESTION), row(QUESTION + " Answer in one word please.")]) == {1: 0}


def test_other_numbers_answers_or_ways_to_the_answer_are_no_copies() -> None:
    assert copies([row(QUESTION), row(QUESTION.replace("9", "8"))]) == {}
    assert copies([row(QUESTION), row("Well. " + QUESTION, answer="181")]) == {}
    assert copies([row(QUESTION), row("Well. " + QUESTION, "One hundred and eighty, as anyone can see.")]) == {}


def test_exact_copies_are_left_to_the_rule_for_them() -> None:
    assert copies([row(QUESTION), row(QUESTION.upper(), ANSWER.upper())]) == {}


def test_the_ends_of_a_chain_are_compared_themselves() -> None:
    # Each text is near the one before: 2 of 40 words move on, so 36 of 40 runs are common. Of the one before that 4
    # words at its begin and 4 at its end are another's: it stays.
    words = [f"w{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(120)]
    chain = [row(" ".join(words[start : start + 40])) for start in range(0, 10, 2)]
    assert copies(chain) == {1: 0, 3: 2}


HEADER = """You read what customers write about a shop. Say in one word whether the writer is content or not, in lower
case and without a full stop, and do not explain the word. If you are not sure choose the more likely of the two"""


def test_a_shared_passage_makes_no_copies() -> None:
    # 45 words and 8: of 43 + 8 runs in each 43 are common, 43 of 59 or 0.73.
    notes = ["the shoes came late and one was torn", "it was solved at once by phone today"]
    rows = [row(f"{HEADER}. {note}", "unhappy", None) for note in notes]
    assert [len(cluster) for cluster in join(2, find(row_texts(rows), NO_PARAPHRASE)).members.values()] == [2]
    assert copies(rows) == {}
    # an edit of a note below it is one
    assert copies([*rows, row(f"{HEADER}. {notes[0]} sadly", "unhappy", None)]) == {2: 0}


def test_own_words_are_compared_and_not_what_very_many_share() -> None:
    # Of the 18 runs of 20 words 15 stay where one word is another: 15 / 21 = 0.71, and 12 / 24 where two are.
    letters = "abcdefghijklmnopqrst"
    notes = [[f"{letter}{place}{letter}" for letter in letters] for place in "uvwxyzklm"]
    first = [f"{letter}nn" for letter in letters]
    second = [*first[:5], "other", *first[6:]]
    third = [*second[:12], "another", *second[13:]]
    rows = [row(f"{HEADER}. {' '.join(note)}") for note in (first, second, third, *notes)]
    assert copies(rows) == {1: 0}


def test_what_fills_a_slot_is_no_edit() -> None:
    animals = "dog cat cow pig hen bee ant".split()
    rows = [row(f"{HEADER}. It is a {animal}", "content", None) for animal in animals]
    assert copies(rows) == {}
    # Of five texts none can be said to be what the others have.
    assert copies(rows[:5]) == {1: 0, 2: 0, 3: 0, 4: 0}
    # What six have and the seventh has not is an edit of that.
    edited = [
        row(HEADER.replace(word, word + "s"), "content", None) for word in "read shop word writer case stop".split()
    ]
    assert copies([row(HEADER, "content", None), *edited]) == dict.fromkeys(range(1, 7), 0)


def test_rows_under_other_system_turns_are_no_copies() -> None:
    said = Message(role="system", content="You are brief.")
    rows = [row(QUESTION), row("Well. " + QUESTION)]
    prompts = [replace(each.prompt, messages=(said, *each.prompt.messages)) for each in rows]
    assert copies([replace(rows[0], prompt=prompts[0]), replace(rows[1], prompt=prompts[1])]) == {1: 0}
    assert copies([replace(rows[0], prompt=prompts[0]), rows[1]]) == {}
