"""Real answers with published verdicts, and texts that mean harm."""

import gzip
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.rewards import REWARDS
from whet.rewards.verifiers.answer import answer, as_number, is_same_answer, parse_answer

MANY = 100_000


def read_rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]


def test_published_verdicts_on_real_answers(shared_data: Path) -> None:
    # 5,276 model solutions with their verdicts; the answer is the text after the last line-start "A:"
    right = total = 0
    with gzip.open(shared_data / "gsm8k" / "example_model_solutions.jsonl.gz", "rt", encoding="utf-8") as stream:
        for line in stream:
            row = json.loads(line)
            known = row["ground_truth"].rpartition("A:")[2].strip()
            for model in ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification"):
                given = re.split(r"^A:", row[model]["solution"], flags=re.MULTILINE)[-1].strip()
                total += 1
                right += answer(f"<answer>{given}</answer>", answer=known) == float(row[model]["is_correct"])
    assert (right, total) == (5276, 5276)


def test_every_gsm8k_gold_is_found_and_is_a_number(shared_data: Path) -> None:
    rows = read_rows(shared_data / "gsm8k" / "test.jsonl")
    assert len(rows) == 1319
    for row in rows:
        known = row["answer"].rpartition("#### ")[2]
        assert as_number(known) is not None
        assert answer(row["answer"], answer=known) == 1.0


def test_published_extractions_where_the_rule_applies(shared_data: Path) -> None:
    # The published rule takes the first "#### " and reads digits up to anything else; ours takes the last line so
    # marked, whole. They must agree where there is one mark with nothing but a number behind it.
    rows = [row for row in read_rows(shared_data / "answer_pairs" / "gsm8k_extraction.jsonl") if "####" in row["text"]]
    same = [row for row in rows if re.fullmatch(r"(?s)(?:(?!####).)*#### -?[0-9.,]+", row["text"])]
    assert len(same) > 15
    for row in same:
        assert answer(row["text"], answer=row["gold"]) == float(is_same_answer(row["strict"], row["gold"]))
    different = {row["text"]: answer(row["text"], answer=row["gold"]) for row in rows if row not in same}
    # a unit behind the number is not a number; of two marks the last counts; full-width digits are no digits
    assert different["#### $18"] == 1.0
    assert different["#### 5 apples"] == 0.0
    assert different["#### ７２"] == 0.0


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        # a prompt that ends in <think> leaves a completion that only closes it
        ("maybe <answer>9</answer> hm</think><answer>5</answer>", "5"),
        ("maybe <answer>9</answer> hm</think>", None),
        ("<answer>5</answer>", "5"),
        ("<think>a</think><think>b <answer>8</answer></think><answer>5</answer>", "5"),
        # nested and unclosed tags
        ("<answer><answer>5</answer></answer>", "5"),
        ("<answer>5</answer><answer>6", "5"),
        ("<answer>6 #### 5", None),
        (r"<answer>6 \boxed{5}", None),
        ("<ANSWER>5</ANSWER>", None),
        # fallbacks: the last of each, the one over the other
        ("#### 18\n#### 20", "20"),
        (r"\boxed{1} then \boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"#### 3 \boxed{4}", r"3 \boxed{4}"),
        ("#### ", None),
        (r"\boxed{}", None),
        ("<think>#### 5", None),
    ],
)
def test_what_counts_as_the_answer(completion: str, expected: str | None) -> None:
    assert parse_answer(completion).text == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5.", "5"), ("$-5", "-5"), ("-$5", "-5"), ("5€", "5"), ("$5$", "5"), (r"\$5.50", "11/2"), ("50%", "50"),
        (r"37.5\%", "75/2"), ("\u2212 5", "-5"), ("+5", "5"), ("1,000,000", "1000000"), ("1\u202f000", "1000"),
        (r"1\,000", "1000"), (".5", "1/2"), (r"-\frac{10}{9}", "-10/9"), ("4/-2", "-2"), ("007", "7"),
        ("1 000", None), ("1 1/2", None), ("12,34", None), ("1000,99", None), ("1e5", None), ("3/0", None),
        ("1/2/3", None), ("--5", None), ("1$2", None), ("5 apples", None), ("½", None), ("１２", None), ("٣", None),
        ("0x10", None), ("1_000", None), ("inf", None), ("nan", None), ("", None), (".", None), ("$", None),
        ("9" * 201, None), ("\\frac{1}{2}\\frac{3}{4}", None),
    ],
)  # fmt: skip
def test_numbers(text: str, value: str | None) -> None:
    found = as_number(text)
    assert (None if found is None else str(found)) == value


@settings(max_examples=100, deadline=None)
@given(number=st.integers(-(10**15), 10**15))
def test_every_spelling_of_an_integer_is_the_same_number(number: int) -> None:
    for spelling in (f"{number}", f"{number:,}", f"{number}.0", f"{number:,}.00", f" {number}. ", f"{2 * number}/2"):
        assert is_same_answer(spelling, str(number))
    assert not is_same_answer(str(number + 1), str(number))


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=60))
def test_no_text_breaks_a_reward(text: str) -> None:
    for name, reward in REWARDS.items():
        if name != "overlong":
            for completion in (text, f"<answer>{text}</answer>", f"<think>{text}</think><answer>5</answer>"):
                assert reward(completion, answer="5") in (0.0, 0.5, 0.8, 1.0)


@pytest.mark.parametrize(
    "text",
    [
        "<answer>" * MANY,
        "<answer>" + "x" * MANY,
        "<answer></answer>" * MANY,
        "</answer>" * MANY,
        "<think>" * MANY,
        "<think></think>" * MANY,
        "#" * MANY,
        "####\n" * MANY,
        "####" + "\n" * MANY,
        "####" + " " * MANY,
        r"\boxed{" * MANY,
        r"\boxed{{" * MANY,
        r"\boxed{" + "{}" * MANY,
        "<think>a</think><answer>b</answer>x" * MANY,
        "<think>" + " " * MANY + "</think>" + " " * MANY + "<answer> </answer>" + " " * MANY + "x",
        "<answer>" + "9" * MANY + "</answer>",
        "<answer>" + "9**" * 60 + "9</answer>",
        "<answer>" + "1/" * 90 + "1</answer>",
        "<answer>" + ",1" * 90 + "</answer>",
        "<answer>" + r"\frac{1" * 28 + "</answer>",
        "\ud800<answer>\udfff</answer>",
        "\0" * MANY,
    ],
    ids=range(22),
)
def test_no_text_stalls_a_reward(text: str) -> None:
    began = time.process_time()
    for name in ("answer", "closeness", "format"):
        assert REWARDS[name](text, answer="5") == 0.0
    assert time.process_time() - began < 1.0


def test_a_known_answer_that_is_hostile_stalls_nothing() -> None:
    assert answer("<answer>5</answer>", answer="9" * MANY) == 0.0
