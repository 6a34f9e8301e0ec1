"""What is compared of rows, and by which key they may be parted or one of them may go."""

from collections.abc import Callable
from dataclasses import replace

from whet.core.records import Conversation, Message, Prompt
from whet.data.texts.row_texts import asked, row_texts

MakePrompt = Callable[..., Prompt]


def under(prompt: Prompt, system: str) -> Prompt:
    return replace(prompt, messages=(Message(role="system", content=system), *prompt.messages))


def test_another_system_turn_is_the_same_question_and_another_row(make_prompt: MakePrompt) -> None:
    bare = make_prompt("What is 3+2?")
    rows = row_texts(
        [bare, under(bare, "Be brief."), under(bare, "be  BRIEF."), under(bare, "Be kind."), make_prompt("3")]
    )
    assert len(set(rows.prompt)) == 2
    assert rows.turns[0] == rows.prompt[0]
    assert rows.turns[1] == rows.turns[2]
    assert len(set(rows.turns)) == 4
    assert rows.asked[:4] == ["What is 3+2?"] * 4


def test_where_very_many_ask_one_thing_the_system_turn_asks(make_prompt: MakePrompt) -> None:
    question = make_prompt("Which topic is this text about?")
    texts = [f"Text {number}: {'abcdefghi'[number]} and so on" for number in range(9)]
    rows = row_texts([Conversation(prompt=under(question, text), completion="art") for text in texts])
    # 9 different system turns are more than the 8 that a run of words may stand in
    assert list(rows.asked) == [f"system: {text}\nuser: Which topic is this text about?" for text in texts]
    assert rows.prompt == rows.turns
    assert len(set(rows.prompt)) == 9
    assert rows.words_R.tolist() == [14] * 9
    few = row_texts([Conversation(prompt=under(question, text), completion=x) for text in texts[:8] for x in "ab"])
    assert len(set(few.prompt)) == 1
    assert few.asked.with_system == 0
    assert rows.asked.with_system == 9
    other = make_prompt("Who wrote it?")
    # of 160 rows with turns of their own 16 are a tenth
    many = [f"Text number {number}" for number in range(17)]
    both = [*(under(question, text) for text in many), *(under(other, text) for text in many[:16])]
    assert row_texts([*both, *(make_prompt(f"Which is {n}?") for n in range(127))]).asked.with_system == 17


def test_copies_do_not_make_a_question_that_very_many_ask(make_prompt: MakePrompt) -> None:
    question = under(make_prompt("Which topic is this text about?"), "Be brief.")
    rows = row_texts([Conversation(prompt=question, completion=str(number)) for number in range(20)])
    assert set(rows.asked) == {"Which topic is this text about?"}


def test_taken_rows_keep_what_they_were_compared_by(make_prompt: MakePrompt) -> None:
    header = " ".join(f"rule{number}" for number in range(30))
    own = [f"{letter}first {letter}second {letter}third" for letter in "abcdefghijkl"]
    rows = row_texts([make_prompt(f"{header} {words}") for words in own])
    taken = rows.taken([7, 2])
    assert [text.split() for text in taken.own] == [own[7].split(), own[2].split()]
    assert taken.prompt == [rows.prompt[7], rows.prompt[2]]
    assert taken.turns == [rows.turns[7], rows.turns[2]]


def test_a_text_stands_for_its_prompt(make_prompt: MakePrompt) -> None:
    bare = replace(make_prompt(), messages=())
    assert asked(Conversation(prompt=bare, completion="Once upon a time")) == "Once upon a time"
    assert asked(bare) == ""
