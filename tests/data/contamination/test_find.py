"""Contaminated rows by rule, and the n-gram rules against all pairs compared one by one."""

import json
import random
import unicodedata
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whet.core.errors import DataError
from whet.core.recipe import DataSettings
from whet.core.records import Comparison, Conversation, Message, Origin, Prompt, Record, Role, prompt_in
from whet.data.contamination import find as module
from whet.data.contamination import row_runs
from whet.data.contamination.benchmark import KINDS, Benchmark, Hit
from whet.data.contamination.find import contamination
from whet.data.pairs import overlap
from whet.data.texts.canonical import Masker, canonical, shingles, words
from whet.data.texts.row_texts import asked
from whet.data.texts.words import name_hashes, names_of, word_tables

REAL = Path(__file__).parents[4] / "shared" / "data"
BENCHMARK = (
    "Alice walks nine miles along the old river path and then rests under a tall green tree for two hours. "
    "How far did she walk?"
)


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def hits(tmp_path: Path, train: list[str], benchmark: list[str]) -> list[Hit]:
    return list(
        contamination(
            write(tmp_path / "train.jsonl", [{"prompt": text, "completion": "none"} for text in train]),
            write(tmp_path / "bench.jsonl", [{"prompt": text} for text in benchmark]),
        )
    )


def test_each_rule_names_its_pair(tmp_path: Path) -> None:
    other = "What is the boiling point of pure water in degrees when measured at the level of the sea?"
    words = BENCHMARK.split()
    train = [
        "Nothing of this kind is asked anywhere in that file, is it?",
        BENCHMARK.upper().replace(" ", "\u00a0 "),  # looks different, says the same
        BENCHMARK.replace("Alice", "Ben").replace("nine", "12").replace("two", "7"),  # other names and numbers
        f"Here is one more example. {BENCHMARK} Now solve the next one. It is about pears.",  # inside a text
        " ".join(words[:14]) + " and then everything goes on in another way that has nothing to do with it",
    ]
    found = hits(tmp_path, train, [other, BENCHMARK])
    assert [(hit.row, hit.kind, hit.benchmark_row) for hit in found] == [
        (1, "exact", 1),
        (2, "template", 1),
        (3, "8-gram", 1),
        (4, "13-gram", 1),
    ]
    assert found[0].also == ("near", "template", "8-gram", "3-gram", "13-gram")
    # 25 words make 13 runs of 13; the first 14 words hold 2 of them
    assert found[3].score == 2 / 13
    assert found[2].score == 1.0


def test_clean_files_give_nothing_and_short_rows_match_only_themselves(tmp_path: Path) -> None:
    assert hits(tmp_path, ["What is 3+2?", "Tell me about the sea."], ["What is 4+2?", BENCHMARK]) == []
    assert [hit.kind for hit in hits(tmp_path, ["what is 4+2?"], ["What is 4+2?"])] == ["exact"]


def test_n_gram_rules_equal_brute_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 37)
    chance = random.Random(0)
    phrases = [" ".join(chance.choices("a b c d e f g h i j k l m n o p".split(), k=9)) for _ in range(12)]
    train, bench = ([" ".join(chance.choices(phrases, k=3)) for _ in range(count)] for count in (90, 30))
    train = [" ".join(word for word in text.split() if chance.random() < 0.97) for text in train]
    expected = {}
    for row, text in enumerate(train):
        mine = {size: set(shingles(f"{text} none", size)) for size in (3, 8, 13)}
        kinds = set()
        for question in bench:
            runs = {size: set(shingles(question, size)) for size in (3, 8, 13)}
            plain = set(shingles(text, 3))
            if len(plain & runs[3]) >= 0.7 * len(plain | runs[3]):
                kinds.add("near")
            if len(mine[3] & runs[3]) >= 0.6 * len(runs[3]) - 1e-9:
                kinds.add("3-gram")
            if len(mine[8] & runs[8]) > 0.5 * len(runs[8]):
                kinds.add("8-gram")
            if mine[13] & runs[13]:
                kinds.add("13-gram")
        if kinds:
            expected[row] = kinds
    found = hits(tmp_path, train, bench)
    assert [hit.row for hit in found] == sorted(expected)
    assert {hit.row: {hit.kind, *hit.also} - {"exact", "template"} for hit in found} == expected


WORDS = "a b c d e f g h walks buys sells old new Alice Ben Carla 3 7 12 + - two many , . ?".split()


def asked_rows(chance: random.Random, phrases: list[str], count: int) -> list[Record]:
    """Prompts, chats with a system turn, answers, comparisons; some short, some long."""

    def text(longest: int = 4) -> str:
        words = " ".join(chance.choices(phrases, k=chance.randint(1, longest))).split()
        return " ".join(word for word in words if chance.random() < 0.97) or "x"

    rows: list[Record] = []
    for row in range(count):
        roles: tuple[Role, ...] = chance.choice([("user",), ("system", "user"), ("user", "assistant", "user")])
        turns = tuple(Message(role=role, content=text()) for role in roles)
        prompt = Prompt(messages=turns, origin=Origin(source="t", row=row))
        kind = chance.randrange(3)
        if kind == 0:
            rows.append(prompt)
        elif kind == 1:
            rows.append(Conversation(prompt=prompt, completion=text(9)))
        else:
            rows.append(Comparison(prompt=prompt, chosen=text(), rejected=text()))
    return rows


def runs(words: list[str], size: int, *, whole: bool) -> set[tuple[str, ...]]:
    if len(words) < size:
        return {tuple(words)} if whole and words else set()
    return {tuple(words[start : start + size]) for start in range(len(words) - size + 1)}


class Masked(Masker):
    """Remembers what it masked."""

    def __init__(self, names: Mapping[str, float]) -> None:
        super().__init__(names)
        self.form = cache(super().form)  # type: ignore[method-assign]


words_in, canonical_of = cache(words), cache(canonical)


def by_hand(row: Record, question: str, masker: Masker) -> dict[str, float]:
    """Every rule but the paraphrases as its docstring has it, in plain Python."""
    turns = prompt_in(row).messages
    asking = [asked(row)] + ([turn.content for turn in turns if turn.role == "user"] if len(turns) > 1 else [])
    others = [turn.content for turn in turns if turn.role == "system"] if len(turns) > 1 else []
    others += [getattr(row, name) for name in ("completion", "chosen", "rejected") if hasattr(row, name)]
    wanted, found = words_in(question), dict[str, float]()
    if any(canonical_of(text) == canonical_of(question) for text in asking):
        found["exact"] = 1.0
    three, held = runs(wanted, 3, whole=True), set[tuple[str, ...]]()
    for text in asking:
        mine = runs(words_in(text), 3, whole=True)
        held |= mine
        if len(mine & three) >= 0.7 * len(mine | three) - 1e-9:
            found["near"] = max(found.get("near", 0), len(mine & three) / len(mine | three))
        (form, plain), (other, enough) = masker.form(text), masker.form(question)
        one, two = runs(form.split(), 3, whole=True), runs(other.split(), 3, whole=True)
        if min(plain, enough) >= 6 and len(one & two) >= 0.7 * len(one | two) - 1e-9:
            found["template"] = max(found.get("template", 0), len(one & two) / len(one | two))
    for text in others:
        held |= runs(words_in(text), 3, whole=False)
    if len(wanted) >= 8 and len(held & three) >= 0.6 * len(three) - 1e-9:
        found["3-gram"] = len(held & three) / len(three)
    for size in (8, 13):
        long, mine = runs(wanted, size, whole=False), set[tuple[str, ...]]()
        for text in asking + others:
            mine |= runs(words_in(text), size, whole=False)
        if size == 8 and len(mine & long) > 0.5 * len(long):
            found["8-gram"] = len(mine & long) / len(long)
        if size == 13 and mine & long:
            found["13-gram"] = len(mine & long) / len(long)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_every_rule_equals_brute_force(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_runs, "_CHARACTERS", 2500)
    monkeypatch.setattr(overlap, "_MEETINGS", 50)
    chance = random.Random(seed)
    phrases = [" ".join(chance.choices(WORDS, k=chance.randint(1, 9))) for _ in range(14)]
    questions, rows = asked_rows(chance, phrases, 30), asked_rows(chance, phrases, 90)
    sample = [asked(row) for row in rows[:60]]
    texts = [asked(question) for question in questions]
    masker = Masked(names_of([*texts, *sample]))
    benchmark = Benchmark(questions, sample, paraphrase="off")
    expected = [[by_hand(row, text, masker) for text in texts] for row in rows]
    found: dict[tuple[int, int, str], float] = {}
    for kind, pairs in benchmark.resembling(rows):
        for row, question, score in zip(pairs.row.tolist(), pairs.question.tolist(), pairs.score.tolist(), strict=True):
            found[row, question, kind] = max(score, found.get((row, question, kind), 0))
    wanted = {
        (row, question, kind): score
        for row, of_row in enumerate(expected)
        for question, kinds in enumerate(of_row)
        for kind, score in kinds.items()
    }
    assert found == pytest.approx({pair: score for pair, score in wanted.items() if pair[2] != "13-gram"})
    assert len({kind for _, _, kind in found}) == 5
    hits = dict(benchmark.hits(rows))
    for row, of_row in enumerate(expected):
        kinds = {kind for each in of_row for kind in each}
        strongest = next((kind for kind in KINDS if kind in kinds), None)
        assert (hits[row].kind if row in hits else None) == strongest
        if strongest is None:
            continue
        assert {hits[row].kind, *hits[row].also} == kinds
        if strongest == "13-gram":  # the first question that shares one
            best = next(place for place, each in enumerate(of_row) if "13-gram" in each)
        else:
            best = max(range(len(texts)), key=lambda place: (of_row[place].get(strongest, 0), -place))
        assert hits[row].question == best
        assert hits[row].score == pytest.approx(of_row[best][strongest])


def test_the_fingerprint_hides_no_equal_text() -> None:
    """Every character that has another form, with that; signs of arithmetic with other spaces."""
    letters = [chr(code) for code in range(0x30000) if not 0xD800 <= code < 0xE000]
    folding = [letter for letter in letters if unicodedata.normalize("NFKC", letter).casefold() != letter]
    pairs = [(f"{letter}b 5", canonical(f"{letter}b 5")) for letter in folding]
    pairs += [
        ("3  -  4  /  2", "3 - 4 / 2"),
        ("\uff13 \u2212 4", "3 -  4"),
        ("A\u00a0b\u200bc", "a bc"),
        ("x\x1cy", "x y"),
    ]
    equal = [pair for pair in pairs if canonical(pair[0]) == canonical(pair[1])]  # but Greek that looks like Latin
    assert len(equal) > 6000
    pairs = equal
    left = np.concatenate([row_runs.fingerprints(table) for table in word_tables([plain for plain, _ in pairs])])
    right = np.concatenate([row_runs.fingerprints(table) for table in word_tables([other for _, other in pairs])])
    assert [pair for pair, same in zip(pairs, left == right, strict=True) if not same] == []


def test_names_are_those_of_the_corpus() -> None:
    chance = random.Random(2)
    pool = ["Alice", "alice", "Bob", "The", "the", "Monday", "I", "3", "Zo\u00eb", "cat", "Cat", "Rome"]
    texts = [" ".join(chance.choices(pool, k=9)) for _ in range(40)] + ["Only here Xavier"]
    texts += ["Mark " * 24 + "mark", "Bill " * 18 + "bill"]  # 4 % in lower case, which is a name; 5.3 %, which is none
    assert row_runs.common_names(list(word_tables(texts))).tolist() == name_hashes(list(names_of(texts))).tolist()


def prompt(*turns: tuple[Role, str]) -> Prompt:
    return Prompt(
        messages=tuple(Message(role=role, content=text) for role, text in turns), origin=Origin(source="t", row=0)
    )


def test_no_run_reaches_from_one_text_into_another() -> None:
    """A system turn and an answer have all six runs of 3 words of a question, in order, and no 8 words of it."""
    benchmark = Benchmark([prompt(("user", "red fox jumps over the lazy brown dog"))], [], paraphrase="off")
    asking = prompt(("system", "red fox jumps over the"), ("user", "Nothing"))
    found = benchmark.resembling([Conversation(prompt=asking, completion="over the lazy brown dog")])
    assert {kind: pairs.score.tolist() for kind, pairs in found if len(pairs.row)} == {"3-gram": [1.0]}


def test_a_13_gram_is_told_with_the_first_question_that_has_one() -> None:
    """The row has a run of 13 words of both questions, and behind it one of the second alone."""
    shared = " ".join(BENCHMARK.split()[:13])
    first = prompt(("user", f"{shared} and goes home by bus on a rainy day in spring with Tom and a dog"))
    second = prompt(("user", f"{shared} quite often or swims in cold seas for a very long while till noon has come"))
    row = prompt(("user", f"{shared} quite though nobody knew of it at that time or at any other"))
    for questions in ([first, second], [second, first]):
        ((_, hit),) = Benchmark(questions, [], paraphrase="off").hits([row])
        assert (hit.kind, hit.question) == ("13-gram", 0)


def test_a_later_turn_of_a_chat_is_a_question_too() -> None:
    later = BENCHMARK.replace("Alice", "Ben").replace("nine", "12").replace("two", "7")
    chat = prompt(("user", "Hello there"), ("assistant", "Hello! What can I do for you?"), ("user", later))
    question = prompt(("user", BENCHMARK))
    ((_, hit),) = Benchmark([question], [asked(chat)], paraphrase="off").hits([chat])
    assert (hit.kind, hit.score) == ("template", 1.0)


def test_paraphrases_are_found_among_long_questions_and_can_be_off(tmp_path: Path) -> None:
    question = "A treasure hunter found a chest with 175 diamonds and 35 fewer rubies. How many gems were there?"
    other = "In a chest that a treasure hunter opened lay 175 diamonds, the rubies were 35 fewer; count the gems."
    filler = [f"Row {n} is about {word} and nothing else that one could think of" for n, word in enumerate(WORDS[:20])]
    train = write(tmp_path / "train.jsonl", [{"prompt": text, "completion": "1"} for text in [*filler, other]])
    bench = write(tmp_path / "bench.jsonl", [{"prompt": text} for text in (question, "What is 4+2?")])
    (hit,) = contamination(train, bench)
    assert (hit.row, hit.kind, hit.benchmark_row, hit.is_gated) == (20, "paraphrase", 0, True)
    assert contamination(train, bench, settings=DataSettings(paraphrase="off")) == []


INSTRUCTION = """You judge the work of students. Read the task below with care, write down what is known and what is
asked, and work towards the result in small steps. Close with one line that holds nothing but the answer."""


def notes(count: int, seed: int) -> list[str]:
    chance = random.Random(seed)
    words = [first + second for first in "bcdfghklmnprstvw" for second in ("ile", "oru", "ank", "esto", "umi", "ady")]
    return [" ".join(chance.choices(words, k=14)) for _ in range(count)]


@pytest.mark.parametrize("of_rows", ["", INSTRUCTION])
@pytest.mark.parametrize("of_questions", ["", INSTRUCTION])
def test_a_shared_instruction_neither_makes_nor_hides_contamination(
    of_rows: str, of_questions: str, tmp_path: Path
) -> None:
    rows, questions = notes(40, 0), notes(30, 1)
    rows[3], rows[5] = questions[7], f"{questions[8]} indeed"
    rows[7] = f"{rows[7]} {questions[9]} {rows[8]}"  # 14 words of 42: a question inside a long text
    found = hits(
        tmp_path, [f"{of_rows}\n{row}" for row in rows], [f"{of_questions}\n{question}" for question in questions]
    )
    exact = "exact" if of_rows == of_questions else "near"
    assert [(hit.row, hit.kind, hit.benchmark_row) for hit in found if hit.is_gated] == [
        (3, exact, 7),
        (5, "near", 8),
        (7, "8-gram", 9),
    ]


def test_what_stands_in_the_system_turn_below_one_question_is_the_question() -> None:
    texts, others = notes(12, 2), notes(40, 3)
    questions = [prompt(("system", text), ("user", "Which topic is this about?")) for text in texts]
    rows = [prompt(("system", text), ("user", "Which topic is this about?")) for text in [*others, texts[4].upper()]]
    found = dict(Benchmark(questions, [asked(row) for row in rows], paraphrase="off").hits(rows))
    assert {row: (hit.kind, hit.question) for row, hit in found.items()} == {40: ("exact", 4)}


def test_refused_rows_keep_their_numbers(tmp_path: Path) -> None:
    train = tmp_path / "train.jsonl"
    train.write_text('{"prompt": null}\n' + json.dumps({"prompt": BENCHMARK, "completion": "9"}) + "\n")
    bench = write(tmp_path / "bench.jsonl", [{"prompt": BENCHMARK}])
    assert [(hit.row, hit.benchmark_row) for hit in contamination(train, bench)] == [(1, 0)]


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        list(contamination(tmp_path / "a.jsonl", tmp_path / "b.jsonl"))


@pytest.mark.skipif(not REAL.is_dir(), reason="the real data sets are not beside the repository")
def test_number_changed_benchmark_is_found_by_template() -> None:
    found = contamination(REAL / "gsm_hard" / "gsmhardv2.jsonl.gz", REAL / "gsm8k" / "test.jsonl")
    assert sum("template" in (hit.kind, *hit.also) for hit in found) >= 1310


def test_a_benchmark_of_which_nothing_can_be_read_is_no_all_clear(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"prompt": "How far is the sea?", "answer": "3"}\n')
    (tmp_path / "bench.jsonl").write_text('{"question": 4, "answer": "4"}\n{"question": null, "answer": "5"}\n')
    with pytest.raises(DataError, match=r"bench\.jsonl: none of its 2 rows .* row 0, field question: not text"):
        contamination(tmp_path / "train.jsonl", tmp_path / "bench.jsonl")
