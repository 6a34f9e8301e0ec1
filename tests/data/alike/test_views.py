"""Which rows count as the same, view by view."""

import random
from pathlib import Path

import numpy as np
import pytest

from whet.core.recipe import DataSettings
from whet.core.records import Comparison, Conversation, Message, Origin, Prompt
from whet.data.alike.clusters import join
from whet.data.alike.views import VIEWS, find
from whet.data.alike.views.template import masked_pairs
from whet.data.pairs.near import unite
from whet.data.sources.read import read_sources
from whet.data.texts.row_texts import asked, row_texts
from whet.data.texts.words import names_of

REAL = Path(__file__).parents[4] / "shared" / "data"


def prompt(text: str, *, system: str | None = None, answer: str | None = None) -> Prompt:
    turns = (Message(role="system", content=system),) if system else ()
    return Prompt(
        messages=(*turns, Message(role="user", content=text)), origin=Origin(source="a", row=0), answer=answer
    )


def edges(records: list[Prompt | Conversation | Comparison]) -> list[tuple[str, int, int]]:
    """What joins the rows by each view alone, but for the stop view, which sees most of what the near view sees."""
    views = [view for view in find(row_texts(records), DataSettings(paraphrase="off")) if view.kind != "stop"]
    return [(view.kind, first, second) for view in views for first, second, _ in view.pairs]


def test_exact_needs_the_same_completion_and_shared_prompt_does_not() -> None:
    rows = [
        Conversation(prompt=prompt("What is 3+2?"), completion="5"),
        Conversation(prompt=prompt("what  is \uff13+2?"), completion="5"),
        Conversation(prompt=prompt("What is 3+2?"), completion="six"),
        Conversation(prompt=prompt("What is 3+3?"), completion="5"),
    ]
    found = [edge for edge in edges([*rows]) if edge[0] in ("exact", "shared_prompt")]
    assert found == [("exact", 0, 1), ("shared_prompt", 0, 1), ("shared_prompt", 0, 2)]


def test_another_system_turn_makes_no_other_question() -> None:
    assert ("shared_prompt", 0, 1) in edges([prompt("What is 3+2?"), prompt("What is 3+2?", system="Be brief.")])


def test_template_joins_other_names_and_numbers_only() -> None:
    rows = [
        prompt("Alice has 3 apples and buys 2 more at the market. How many now?"),
        prompt("Bob has 40 apples and buys twelve more at the market. How many now?"),
        prompt("Bob has 40 pears and buys twelve more at the market. How many now?"),
    ]
    assert edges([*rows]) == [("template", 0, 1)]


def test_near_keeps_numbers_and_needs_most_runs() -> None:
    text = "A train leaves the old station at nine in the morning and drives for 3 hours to the sea."
    rows = [prompt(text), prompt(f"{text} How far?"), prompt(text.replace("3", "5").replace("nine", "six"))]
    # 19 words: 17 runs; two words more make 2 more of 19. Two numbers changed: 12 of 22 runs.
    assert edges([*rows]) == [("near", 0, 1), ("template", 0, 2), ("template", 0, 1)]


def test_near_sees_the_signs_of_arithmetic() -> None:
    assert edges([prompt("What is 3 + 2?"), prompt("What is 3 * 2?"), prompt("What is 3 - 2?")]) == []


def test_a_shared_header_neither_joins_nor_hides_rows() -> None:
    header = " ".join(f"rule{number}" for number in range(96))
    questions = [f"q{number} " + " ".join(f"w{number}x{place}" for place in range(11)) for number in range(80)]
    rows = row_texts([prompt(f"{header}. {question}") for question in questions] + [prompt(questions[0])])
    # 94 runs of the header are in 80 of 81 texts, the 10 of a question in one or two: they alone count.
    for kind in ("near", "stop"):
        assert [(first, second) for first, second, _ in VIEWS[kind](rows, DataSettings()).pairs] == [(0, 80)]


HEADERS = {
    "an instruction": """You judge the work of students. Read the task below with care, write down what is known and
    what is asked, and work towards the result in small steps. Close with a line that holds nothing but the answer. """,
    "examples": """Question: Ann has 3 plums and 4 figs, and eats 2 of the figs. How many plums and figs has she now?
    Answer: 3 + 4 - 2 = 5\n\nQuestion: A bus has 40 seats, of which 12 are free. How many people sit in it?
    Answer: 40 - 12 = 28\n\nQuestion: """,
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
@pytest.mark.parametrize("count", [16, 200])
def test_what_stands_before_every_row_changes_no_pair(header: str, count: int) -> None:
    """Copies, near ones, templates and paraphrases are found as without it, and nothing else is."""
    questions = _problems(count)
    for kind, view in VIEWS.items():
        bare, below = (
            {(first, second) for first, second, _ in view(row_texts(list(map(prompt, texts))), DataSettings()).pairs}
            for texts in (questions, [header + text for text in questions])
        )
        assert below == bare
        assert bare or kind in ("group", "stop")


def _problems(count: int) -> list[str]:
    """Word problems, no two alike but for the last of every 8: a copy, a near one, a twin and a reworded one."""
    rng = random.Random(count)
    things = "apples pears ropes chairs lamps books coins keys hats maps pens cups".split()
    made: list[str] = []
    for number in range(count // 8):
        name, other = _NAMES[number % 4 :: 4]
        words = [" ".join(rng.sample(_PLAIN, 6)) for _ in range(4)]
        numbers = rng.sample(range(20, 900), 3)

        def problem(who: str, whom: str, numbers: list[int], thing: str, words: list[str] = words) -> str:
            m, n, k = numbers
            first = f"{who} has {m} {thing} in the {words[0]} and {words[1]}, and gives {n} of them to {whom}."
            return f"{first} Then {words[2]} {k} more of the {words[3]}. How many has {who}?"

        first = problem(name, other, numbers, rng.choice(things))
        made += [first, first.upper(), first + " Say it.", problem("Ivan", "Jana", [5, 6, 7], first.split()[3])]
        reworded = (
            f"How many does {name} own, having owned {numbers[0]} {first.split()[3]}, when {numbers[1]} go to {other}"
        )
        made.append(f"{reworded}, and {numbers[2]} are added in the {words[3]} {words[2]}?")
        for who in rng.sample("Kurt Lena Mona Nils Olga Paul".split(), 3):
            made.append(problem(who, other, rng.sample(range(20, 900), 3), "spoons", rng.sample(_PLAIN, 4)))
    return made


_NAMES = "Alice Boris Clara Derek Emma Felix Greta Hanna".split()
_PLAIN = """river stone cloud tiger piano maple ocean candle mirror garden rocket velvet copper island thunder basket
lantern walnut harbor saddle pepper cactus marble ribbon falcon meadow cobalt tunnel jacket kettle beacon""".split()


def test_rows_of_one_document_stay_together() -> None:
    rows = [
        Prompt(messages=prompt(text).messages, origin=Origin(source="a", row=row), columns={"book": book})
        for row, (text, book) in enumerate([("one", "x"), ("two", "y"), ("three", "x"), ("four", None)])
    ]
    assert list(VIEWS["group"](row_texts(rows, "book"), DataSettings()).pairs) == [(0, 2, 1.0)]


def test_short_templates_join_nothing() -> None:
    assert edges([prompt("What is 3 + 2?"), prompt("What is 4 + 9?")]) == []


def test_preferences_are_compared_by_prompt_and_texts_by_text() -> None:
    rows = [
        Comparison(prompt=prompt("What is 3+2?"), chosen="5", rejected="6"),
        Conversation(prompt=prompt("What is 3+2?"), completion="5"),
        Conversation(prompt=Prompt(messages=(), origin=Origin(source="a", row=0)), completion="What is 3+2?"),
        Conversation(prompt=Prompt(messages=(), origin=Origin(source="a", row=1)), completion="Once"),
    ]
    found = [edge for edge in edges([*rows]) if edge[0] == "shared_prompt"]
    assert found == [("shared_prompt", 0, 1), ("shared_prompt", 0, 2)]


def test_joins_name_their_view_and_carry_evidence() -> None:
    text = "A train leaves the old station at nine and drives for 3 hours to the sea."
    rows = row_texts([prompt("What is 3+2?"), prompt("What is 3+2?"), prompt(text), prompt(text + " How far?")])
    clusters = join(len(rows), find(rows, DataSettings()))
    assert [(edge.kind, edge.score) for edge in clusters.joins] == [("exact", 1.0), ("near", pytest.approx(14 / 16))]
    assert [edge.evidence for edge in clusters.joins] == ["what is 3+2?", "0.88 of their runs of 3 words"]
    assert set(clusters.views) == set(VIEWS)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real data sets are not beside the repository")
def test_number_changed_questions_find_their_originals() -> None:
    test, hard = (
        [record for source in read_sources(str(REAL / name), DataSettings(), seed=0) for record in source.records]
        for name in ("gsm8k/test.jsonl", "gsm_hard/gsmhardv2.jsonl.gz")
    )
    # Names are learnt from a corpus of the size that is usual, not from the two files that are compared.
    train = read_sources(str(REAL / "gsm8k/train.jsonl.gz"), DataSettings(), seed=0)[0].records
    texts = [asked(record) for record in (*test, *hard, *train)]
    pairs = masked_pairs(texts, list(names_of(texts)))
    labels = np.arange(len(texts))
    unite(labels, pairs.first, pairs.second)
    originals = set(labels[: len(test)].tolist())
    assert sum(label in originals for label in labels[len(test) : len(test) + len(hard)].tolist()) >= 1318
