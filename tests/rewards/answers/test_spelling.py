import time

import pytest

from whet.rewards.answers.spelling import canonical, unwrapped


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        (r"$\boxed{\text{(B)}}$.", "B"), ("**5**", "5"), ("`5`", "5"), ("__5__", "5"), (r"\[ 9 \]", "9"),
        (r"$$ 9 $$", "9"), (r"\mathrm{E}", "E"), (r"{\frac{1}{2}}", r"\frac{1}{2}"), (" 5. ", "5"),
        (r"\displaystyle x", "x"),
        # not one thing in something
        ("$1$ and $2$", "$1$ and $2$"), (r"\{1\} \cup \{2\}", r"\{1\} \cup \{2\}"), ("{1}+{2}", "{1}+{2}"),
        (r"\text{a}\text{b}", r"\text{a}\text{b}"), ("(AB)", "(AB)"), ("5...", "5..."), ("$", "$"), ("**", "**"),
        (r"$5\$", r"$5\$"), ("", ""),
    ],
)  # fmt: skip
def test_what_is_around_a_whole_answer(text: str, inner: str) -> None:
    assert unwrapped(text) == inner


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"\dfrac{1}{2}", r"\frac12"), (r"\frac1{2}", r"\tfrac 1 2"), (r"\sqrt3", r"\sqrt{3}"), ("x ^ {2}", "x^2"),
        (r"\left( 1, 2 \right)", "(1,2)"), (r"3 \sqrt{5}", r"3\sqrt{5}"), (r"x \leq 5", r"x\le5"), ("a - b", "a-b"),
        (r"\text{a} + 1", "a+1"), (r"2\,x", "2 x"), ("\u22125", "-5"), (r"\{ 1 \}", r"\{1\}"),
    ],
)  # fmt: skip
def test_spellings_of_one_expression(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1 2", "12"), ("a -2", "a-2"), ("x", "X"), (r"\frac{1}{2}", r"\frac{2}{1}"), (r"\sqrt{34}", r"\sqrt{3}4"),
        (r"\sin x", r"\sinx"), ("x^{23}", "x^23"), (r"\pi r", r"\pir"), (r"\sqrt34", r"\sqrt{34}"),
    ],
)  # fmt: skip
def test_different_expressions_stay_apart(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


def test_no_text_stalls_it() -> None:
    began = time.process_time()
    for piece in ("{", "}", "$", "\\", " ", "*", r"\text{", r"\frac", "^{", "("):
        canonical(piece * 50_000)
        unwrapped(piece * 50_000)
    assert time.process_time() - began < 20  # a minute and more where it is not linear
