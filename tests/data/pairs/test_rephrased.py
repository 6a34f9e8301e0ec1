import math
import random

import numpy as np
import pytest

from whet.core.recipe import DataSettings
from whet.core.records import Message, Origin, Prompt
from whet.data.alike import views
from whet.data.pairs import rephrased
from whet.data.pairs.near import Pairs
from whet.data.pairs.numbers import NumbersKnown
from whet.data.pairs.rephrased import Questions, rephrased_pairs
from whet.data.pairs.rephrasing import Rule, matches_of, pairs_of
from whet.data.pairs.tfidf import Alike
from whet.data.texts.row_texts import row_texts

# The same question twice, in other words.
REPHRASED = [
    (
        "Martha knits winter wear for her 3 grandchildren: a hat takes 2 skeins of wool, a scarf 4, a sweater 12. "
        "How many skeins of wool does she buy?",
        "For each of her three grandchildren Martha plans a scarf of 4 skeins, a hat of 2 skeins and a sweater of 12. "
        "Calculate the number of skeins she needs to purchase.",
    ),
    (
        "A bumper car rink has 12 red cars and 75 cars in total. How many cars are not red?",
        "At an arena for bumper cars, 12 of the 75 vehicles are painted red. Find the number painted otherwise.",
    ),
    (
        "Suzanne sold 80 cookies for $1.50 each and gave her sister $10. How much money is left?",
        "After selling 80 cookies at $1.50 apiece, Suzanne paid $10 to her sister. What amount remains?",
    ),
    (
        "Tom's train covers 360 miles in 5 hours. What is its speed?",
        "In five hours, a train with Tom on board travels 360 miles. At which speed does it go?",
    ),
    (
        "A farmer has 48 hens and each hen lays 6 eggs a week. How many eggs are that in 4 weeks?",
        "Every week each of the farmer's 48 hens lays six eggs. Work out the eggs laid over four weeks.",
    ),
]
UNRELATED = [
    "The library lends 31 books on Monday and 17 on Tuesday. How many books are lent?",
    "A baker fills 9 trays with 24 rolls. How many rolls are there?",
    "Nina runs 13 miles a week. How many miles is that in 52 weeks?",
    "A tank holds 640 liters and loses 8 liters an hour. When is it empty?",
    "Hassan has 15 marbles, Vera has twice as many. How many do they have?",
    "A concert hall with 22 rows of 35 seats sold 700 tickets. How many seats stay free?",
]


def set_of(pairs: Pairs) -> set[tuple[int, int]]:
    return set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))


def test_rephrased_questions_are_found_and_nothing_else() -> None:
    texts = [text for pair in REPHRASED for text in pair] + UNRELATED
    assert set_of(rephrased_pairs(texts)) == {(2 * pair, 2 * pair + 1) for pair in range(len(REPHRASED))}


def test_the_order_of_the_rows_changes_nothing() -> None:
    texts = [text for pair in REPHRASED for text in pair] + UNRELATED
    pairs = rephrased_pairs(texts)
    scores = {
        frozenset((texts[a], texts[b])): s for a, b, s in zip(pairs.first, pairs.second, pairs.score, strict=True)
    }
    for seed in range(3):
        mixed = random.Random(seed).sample(texts, len(texts))
        again = rephrased_pairs(mixed)
        assert scores == {
            frozenset((mixed[a], mixed[b])): s for a, b, s in zip(again.first, again.second, again.score, strict=True)
        }


def test_a_repeated_text_is_paired_with_its_first_row() -> None:
    texts = [*UNRELATED, REPHRASED[0][1], REPHRASED[0][0], UNRELATED[2].upper(), REPHRASED[0][1], ""]
    pairs = rephrased_pairs(texts)
    assert set_of(pairs) == {(2, 8), (6, 7), (6, 9)}
    assert (pairs.first < pairs.second).all()
    assert dict(zip(zip(pairs.first, pairs.second, strict=True), pairs.score, strict=True))[6, 9] == 1


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["", "", "?!"],
        [f"What is {a} + {b}?" for a in range(2, 12) for b in range(13, 23)],
        [f"Generate a sentence using the word '{word}'." for word in "harmony serene effort gregarious".split()],
        [f"def f{n}(x):\n    return x * {n} + {n + 1}" for n in range(30)],
        ["2 4 6", "2 5", "a", "b", "a b"],
    ],
    ids=["none", "no words", "arithmetic", "one word differs", "code", "short"],
)
def test_what_is_merely_of_one_form_is_not_joined(texts: list[str]) -> None:
    # empty texts and texts without words repeat nothing either
    assert set_of(rephrased_pairs(texts)) == set()


def test_the_rule_of_numbers_by_hand() -> None:
    known = NumbersKnown(["3 hats, 7 cats", "7 hats, 3 cats", "5"])
    alike = Alike(a=np.array([0, 1]), b=np.array([1, 0]), cosine=np.array([0.5, 0.5]))
    rule = Rule(least=0.1, score=np.multiply, enough=0.4, near=0.9, margin=0.5)
    # both numbers are in 2 of 3 rows: 2 (512 - 405) = 214 of the log2(1 + 3) - 1 = 1 bit that is enough
    a, b, score = pairs_of([alike], known.learnt, known, rule)
    assert (a.tolist(), b.tolist()) == ([0], [1])
    assert score.tolist() == pytest.approx([0.5 * 214 / 256])


def test_the_rule_of_the_margin_by_hand() -> None:
    known = NumbersKnown(["a"] * 5)
    rule = Rule(least=0.1, score=np.multiply, enough=0.1, near=0.6, margin=0.2)
    cosines = {(0, 1): 0.8, (0, 2): 0.5, (1, 2): 0.65, (3, 4): 0.7}
    both = {**cosines, **{(b, a): cosine for (a, b), cosine in cosines.items()}}
    a, b = map(np.array, zip(*sorted(both), strict=True))
    alike = Alike(a=a, b=b, cosine=np.array([both[pair] for pair in sorted(both)]))
    # 0 is nearer to 1 than to 2 by 0.3, but 1 is nearer to 0 than to 2 by 0.15 only; 3 and 4 have no third,
    # which counts as 0.1
    assert [part.tolist() for part in pairs_of([alike], known.learnt, known, rule)] == [[3], [4], [pytest.approx(0.6)]]
    # of a text it is asked in one direction
    found = matches_of([alike], known.learnt, known.learnt, known, rule)
    assert list(zip(found.row.tolist(), found.question.tolist(), strict=True)) == [(0, 1), (3, 4), (4, 3)]
    assert found.score.tolist() == pytest.approx([0.3, 0.6, 0.6])


def test_held_out_questions_are_found_in_a_stream() -> None:
    held_out = [UNRELATED[0], *(first for first, _ in REPHRASED), REPHRASED[0][0], ""]
    stream = [*UNRELATED[1:], *(second for _, second in REPHRASED), "", "Thanks!"]
    questions = Questions(held_out, stream)
    found = questions.matches(stream)
    assert found.row.tolist() == [5, 6, 7, 8, 9]
    assert found.question.tolist() == [1, 2, 3, 4, 5]  # of equal questions the first
    alone = [questions.matches([text]) for text in stream]
    assert [part.question.tolist() for part in alone if len(part.row)] == [[1], [2], [3], [4], [5]]
    assert np.concatenate([part.score for part in alone]).tolist() == found.score.tolist()


def test_held_out_questions_may_be_none() -> None:
    assert not len(Questions([], ["a"]).matches(["3 hats"]).row)
    assert not len(Questions(["3 hats"], []).matches([]).row)
    assert not len(Questions(["", "!"], []).matches(["3 hats", ""]).row)


def test_the_highest_score_of_a_row_comes_first() -> None:
    first, second = REPHRASED[0]
    questions = Questions([second.replace("scarf", "shawl").replace("plans", "wants"), second, *UNRELATED], UNRELATED)
    found = questions.matches([first])
    assert found.row.tolist() == [0, 0]
    assert found.score[0] > found.score[1]
    assert found.question.tolist()[0] == 1


def prompts(texts: list[str]) -> list[Prompt]:
    return [
        Prompt(messages=(Message(role="user", content=text),), origin=Origin(source="t", row=row))
        for row, text in enumerate(texts)
    ]


def test_the_view_says_why_and_can_be_off() -> None:
    rows = row_texts(prompts([*REPHRASED[0], *REPHRASED[1], *UNRELATED]))
    found = views.paraphrase(rows, DataSettings())
    assert {pair[:2] for pair in found.pairs} == {(0, 1), (2, 3)}
    assert (found.kind, found.method) == ("paraphrase", "tf-idf")
    first, second, score = found.pairs[0]
    assert f"{score:.2f}" in found.evidence(first, second, score)
    assert views.paraphrase(rows, DataSettings(paraphrase="off")).pairs == []


def problem(rng: random.Random) -> tuple[str, str]:
    """A word problem, and the same with its sentences in other words and from last to first."""
    names, things = rng.sample(NAMES, 2), rng.sample(THINGS, 3)
    numbers = [str(rng.randint(2, 200)) for _ in things]
    parts = list(zip(rng.sample(FORMS, 3), things, numbers, strict=True))
    one, other = ([form[way].format(*names, thing, number) for form, thing, number in parts] for way in (0, 1))
    return " ".join(one), " ".join(reversed(other))


@pytest.mark.parametrize("seed", [0, 1])
def test_planted_paraphrases_among_problems_of_the_same_forms(seed: int) -> None:
    rng = random.Random(seed)
    told = [problem(rng) for _ in range(300)]
    texts = [one for one, _ in told] + [other for _, other in told[:100]]
    found, wanted = set_of(rephrased_pairs(texts)), {(place, 300 + place) for place in range(100)}
    assert len(found & wanted) >= 0.95 * len(wanted)
    assert len(found & wanted) >= 0.95 * len(found)


NAMES = "Alice Ben Carla Derek Elena Frank Gloria Hassan Irene Jamal Katya Liam".split()
THINGS = "apples books candles drums eggs flags gloves hats jars keys lamps mugs nails pens quilts rugs".split()
FORMS = [
    ("{0} has {3} {2} in a box.", "In a box {0} keeps {3} {2}."),
    ("{0} buys {3} {2} at the market.", "At the market, {3} {2} are bought by {0}."),
    ("{1} gives {3} {2} to {0}.", "{0} gets {3} {2} from {1}."),
    ("Each of the {3} {2} weighs a pound.", "There are {3} {2}, a pound each."),
    ("{0} sells {3} {2} on Monday.", "On Monday {3} {2} of {0} are sold."),
    ("{1} lost {3} {2} on the way home.", "Going home, {3} {2} of {1} went missing."),
    ("It takes {1} an hour to clean {3} {2}.", "Cleaning {3} {2} keeps {1} busy for an hour."),
]


def test_a_row_of_a_thousand_words_and_of_many_numbers() -> None:
    long = " ".join(f"w{number} {number}" for number in range(1000))
    pairs = rephrased_pairs([long, *UNRELATED, " ".join(reversed(long.split()))])
    assert set_of(pairs) == {(0, len(UNRELATED) + 1)}
    assert math.isfinite(float(pairs.score[0]))


def test_capped_terms_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whet.data.pairs.tfidf._MEETINGS", 10)
    monkeypatch.setattr("whet.data.pairs.tfidf._MEETINGS_PER_ROW", 1)
    assert rephrased_pairs([f"many common words {n} in row {n}" for n in range(30)]).capped
    assert rephrased.Questions(UNRELATED, UNRELATED * 3).capped
