"""Which rows a text is, or is like: by the definitions in plain Python, over real and made-up questions."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whet.core.errors import DataError
from whet.core.recipe import DataSettings
from whet.data.look.trace import _named, _names, _Turns, find
from whet.data.look.view import Prepared, joined
from whet.data.manifest import read_manifest
from whet.data.prepare import prepare
from whet.data.texts.canonical import FEWEST_PLAIN_WORDS, Masker, canonical, shingles
from whet.data.texts.words import name_hashes, names_of, word_tables

ALICE = "Alice has 3 apples and then buys 2 more at the market. How many now?"
BEN = "Ben has 31 apples and then buys 20 more at the market. How many now?"


def prepared(rows: list[dict[str, Any]], folder: Path) -> Prepared:
    source = folder / "rows.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    prepare(DataSettings(source=str(source)), seed=0, out=folder / "data")
    return Prepared(folder / "data")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    colours = "red green blue old new small big round soft cold warm dry wet thin long short".split()
    rows: list[dict[str, Any]] = [
        {"prompt": f"Why would anybody buy such a {colour} lamp for the house?", "completion": f"It is {colour}."}
        for colour in colours
    ]
    rows += [
        {"prompt": ALICE, "completion": "5"},
        {"prompt": BEN, "completion": "51"},
        {"prompt": ALICE, "completion": "5"},
        {"prompt": ALICE, "completion": "Five apples, it seems to me."},
        {"messages": [], "prompt": "!?", "completion": "Nothing was asked."},
    ]
    return prepared(rows, tmp_path_factory.mktemp("trace"))


def found(data: Prepared, wanted: str) -> list[tuple[str, int]]:
    return [(row.kind, data.rows[row.place]["row"]) for row in find(data, wanted)]


def test_a_text_finds_itself_but_for_appearance_and_its_siblings(data: Prepared) -> None:
    assert found(data, ALICE.upper()) == [("exact", 16), ("exact", 18), ("exact", 19), ("template", 17)]
    assert (
        found(data, "  alice HAS \uff13 apples and\u200b then buys 2 more at the market. How many now? ")[0][0]
        == "exact"
    )


def test_near_means_what_the_views_mean(data: Prepared) -> None:
    # 11 words, 9 runs of 3; another colour changes 3 of them: 6 / 12 = 0.5, below 0.7
    assert found(data, "Why would anybody buy such a golden lamp for the house?") == []
    # a word more at the end: 9 of 10 runs
    (near,) = (row for row in find(data, "Why would anybody buy such a red lamp for the house today?"))
    assert (near.kind, data.rows[near.place]["row"]) == ("near", 0)
    assert near.score == pytest.approx(9 / 10)


def test_a_completion_is_found_too(data: Prepared) -> None:
    assert found(data, "five apples,  it seems to me.")[0] == ("completion", 19)


def test_a_text_without_words_may_still_be_the_same(data: Prepared) -> None:
    assert found(data, " !? ") == [("exact", 20)]
    assert found(data, "?!") == []


def test_a_row_is_found_by_its_id_and_what_is_like_it_follows(data: Prepared) -> None:
    ids = {row["row"]: row["id"] for row in data.rows}
    by_id = found(data, ids[17])
    assert by_id[0] == ("id", 17)
    assert set(by_id[1:]) == {("template", 16), ("template", 18), ("template", 19)}
    assert found(data, ids[17][:6]) == by_id
    # 16 and 18 are the same row, 19 asks the same and says something else
    assert found(data, ids[16]) == [("id", 16), ("id", 18), ("shared_prompt", 19), ("template", 17)]


def test_a_row_is_found_by_its_prompt_and_its_cluster(data: Prepared) -> None:
    prompt_id = data.views([16])[0].prompt_id
    assert {row for kind, row in found(data, prompt_id) if kind == "id"} == {16, 18, 19}
    cluster = next(row["cluster"] for row in data.rows if row["row"] == 16)
    assert {row for _, row in found(data, cluster)} == {16, 17, 18, 19}


def test_an_id_that_is_not_there_finds_nothing_and_a_short_one_may_be_a_text(data: Prepared) -> None:
    assert found(data, "0" * 16) == []
    assert found(data, "facade") == []


def test_digits_that_begin_two_ids_are_told(data: Prepared) -> None:
    other = Prepared(data.data_dir)
    for number, row in enumerate(other.rows):
        row["id"] = f"abcdef{number:010x}"
    turns = _Turns(places=(), starts=(0,), roles=(), contents=(), said=(), answers=())
    with pytest.raises(DataError, match=r"21 ids begin with 'abcdef', such as abcdef0000000000, .*; give more digits"):
        _named(other, turns, "abcdef")


def test_a_cluster_mate_over_other_rows_is_a_hit_without_a_score(tmp_path: Path) -> None:
    # A chain: each row has 11 runs in common with the next one, of 15 in both; the ends have none.
    names = [a + b for a in "bcdfghk" for b in ("ale", "ile", "ole", "une", "arm", "irl")]
    rows = [{"prompt": " ".join(names[start : start + 15]), "completion": str(start)} for start in range(0, 21, 2)]
    rows += [
        {"prompt": f"Is {a} a kind of {b}, or the {c}?", "completion": "no"}
        for a, b, c in zip(*[iter("abcdefghijklmno")] * 3, strict=True)
    ]
    chain = prepared(rows, tmp_path)
    hits = find(chain, chain.rows[0]["id"])
    assert {chain.rows[hit.place]["row"] for hit in hits} == set(range(11))
    assert (hits[0].kind, hits[-1].kind, hits[-1].score) == ("id", "cluster", None)


def test_files_that_are_not_the_manifests_are_told(data: Prepared, tmp_path: Path) -> None:
    for file in data.data_dir.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "final.parquet").write_bytes((tmp_path / "ft_train.parquet").read_bytes())
    with pytest.raises(DataError, match=r"final\.parquet: its rows are not those of the manifest"):
        find(Prepared(tmp_path), "some text")
    (tmp_path / "final.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataError, match=r"final\.parquet: damaged or altered"):
        find(Prepared(tmp_path), "some text")


def test_chats_are_asked_as_the_views_see_them(tmp_path: Path) -> None:
    turns = [
        {"role": "system", "content": "You are a careful and very polite assistant."},
        {"role": "user", "content": "What is the tallest hill of the old town?"},
        {"role": "assistant", "content": "The castle hill, they say."},
        {"role": "user", "content": "And how tall is it then?"},
        {"role": "assistant", "content": "300 m."},
    ]
    rows = [{"messages": turns}] + [
        {"messages": [{"role": "user", "content": f"Question {n} about it?"}, {"role": "assistant", "content": "Yes."}]}
        for n in range(20)
    ]
    chats = prepared(rows, tmp_path)
    place = next(place for place, row in enumerate(chats.rows) if row["row"] == 0)
    (view,) = chats.views([place])
    assert found(chats, view.id)[0] == ("id", 0)
    assert found(chats, view.prompt_id)[0] == ("id", 0)
    asked = "\n".join(f"{turn['role']}: {turn['content']}" for turn in turns[1:4])
    assert found(chats, asked)[0] == ("exact", 0)


def by_definition(data: Prepared, wanted: str) -> dict[int, tuple[str, float]]:
    """Every row compared in plain Python."""
    texts = [joined(view.prompt) for view in data.views(range(len(data.rows)))]
    masker = Masker(names_of([wanted, *texts]))

    def masked(text: str) -> set[tuple[str, ...]]:
        form, plain = masker.form(text)
        words = form.split()
        runs = {tuple(words[start : start + 3]) for start in range(len(words) - 2)} or {tuple(words)}
        return runs if plain >= FEWEST_PLAIN_WORDS else set()

    def jaccard(first: set[tuple[str, ...]], second: set[tuple[str, ...]]) -> float:
        return len(first & second) / max(1, len(first | second))

    kinds: dict[int, tuple[str, float]] = {}
    for place, text in enumerate(texts):
        near = jaccard(set(shingles(wanted, 3)), set(shingles(text, 3)))
        template = jaccard(masked(wanted), masked(text))
        if canonical(text) == canonical(wanted):
            kinds[place] = ("exact", 1.0)
        elif near >= 0.7:
            kinds[place] = ("near", near)
        elif template >= 0.7:
            kinds[place] = ("template", template)
    return kinds


def test_against_the_definitions_on_made_up_questions(tmp_path: Path) -> None:
    rng = random.Random(1)
    people, things = "Alice Ben Cora Dan Eve Finn".split(), "apples plums nails coins boats eggs".split()
    places = "at the market, in the harbour, on the hill, by the old river, at her desk, in May".split(", ")

    def draw() -> str:
        one, two, thing = rng.choice(people), rng.choice(people), rng.choice(things)
        first = f"{one} has {rng.randrange(90)} {thing} {rng.choice(places)}"
        second = f"{two} takes {rng.randrange(9)} of them {rng.choice(places)}"
        return f"{first}, and {second}. How many {thing} are left{rng.choice(['', ' now', ' for both of them'])}?"

    data = prepared(
        [{"prompt": draw(), "completion": "so"} for _ in range(120)] + [{"prompt": "3 + 4", "completion": "7"}],
        tmp_path,
    )
    kinds: set[str] = set()
    asked = [joined(view.prompt) for view in data.views(range(0, 120, 12))]
    longer = [f"{text} {'Please tell me now. ' * (place % 4)}" for place, text in enumerate(asked)]
    for wanted in [*(draw() for _ in range(15)), *longer, "5 + 6", "Eve has 3 apples."]:
        got = {
            row.place: (row.kind, row.score) for row in find(data, wanted) if row.kind in ("exact", "near", "template")
        }
        expected = by_definition(data, wanted)
        assert {place: kind for place, (kind, _) in got.items()} == {
            place: kind for place, (kind, _) in expected.items()
        }
        assert all(got[place][1] == pytest.approx(score) for place, (_, score) in expected.items())
        kinds |= {kind for kind, _ in expected.values()}
    assert kinds == {"exact", "near", "template"}
    assert found(data, "5 + 6") == []


def test_against_the_definitions_on_real_questions(shared_data: Path, tmp_path: Path) -> None:
    import gzip

    lines = gzip.decompress((shared_data / "gsm8k" / "train.jsonl.gz").read_bytes()).decode().splitlines()[:200]
    hard = gzip.decompress((shared_data / "gsm_hard" / "gsmhardv2.jsonl.gz").read_bytes()).decode().splitlines()
    questions = [json.loads(line)["question"] for line in lines]
    rows = [
        {"prompt": text, "completion": "so"} for text in questions + [json.loads(line)["input"] for line in hard[:80]]
    ]
    data = prepared(rows, tmp_path)
    test = [json.loads(line)["question"] for line in (shared_data / "gsm8k" / "test.jsonl").read_text().splitlines()]
    rng = random.Random(0)
    kinds: set[str] = set()
    for wanted in [*test[:6], *rng.sample(questions, 5)]:
        words = wanted.split()
        del words[rng.randrange(len(words))]
        for text in (wanted, " ".join(words)):
            got = {
                row.place: (row.kind, row.score)
                for row in find(data, text)
                if row.kind in ("exact", "near", "template")
            }
            wanted_kinds = by_definition(data, text)
            assert {place: kind for place, (kind, _) in got.items()} == {p: k for p, (k, _) in wanted_kinds.items()}
            assert all(got[place][1] == pytest.approx(score) for place, (_, score) in wanted_kinds.items())
            kinds |= {kind for kind, _ in got.values()}
    assert kinds == {"exact", "near", "template"}


def test_names_are_those_of_the_views(data: Prepared) -> None:
    texts = [joined(view.prompt) for view in data.views(range(len(data.rows)))] + [
        "On Monday the Bill was here; a bill."
    ]
    assert np.array_equal(_names(list(word_tables(texts))), name_hashes(list(names_of(texts))))
    assert len(_names(list(word_tables(texts)))) > 2


def test_manifest_rows_without_purpose_are_searched_too(data: Prepared) -> None:
    unused = next(row for row in read_manifest(data.data_dir)["rows"] if row["purpose"] is None)
    assert any(data.rows[row.place] == unused for row in find(data, unused["id"]))
