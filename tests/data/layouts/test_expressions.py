"""What is nothing but an answer, and what is in the last box: by hand."""

import pytest

from whet.data.layouts.expressions import boxed_in, is_bare_answer, unwrapped


@pytest.mark.parametrize(
    "text",
    [
        "72",
        "-1,234.5",
        r"\frac{1}{7}",
        r"2\sqrt{2}",
        r"$\frac{3\sqrt{3}}{4}$",
        r"\boxed{\left( 3, \frac{\pi}{2} \right)}",
        r"\text{(B)}",
        r"\text{Evelyn}",
        r"90^\circ",
        r"5\text{ cm}",
        r"\$18.90",
        "$18.90",
        r"x \in [-2,7]",
        r"\begin{pmatrix} -1 & 0 \\ 0 & 2 \end{pmatrix}",
        "(C)",
        "C",
        "x^2 + 1",
        "p - q",
        "3:30",
        "12/5",
        "50%",
        "sin(x) = 1",
        "1{,}000",
        "{1, 2, 3}",
        r"[0, \infty)",
        "x=5",
    ],
)
def test_answers(text: str) -> None:
    assert is_bare_answer(text)


@pytest.mark.parametrize(
    "text",
    [
        "Because.",
        "two apples",
        "It is 5.",
        "5 apples",
        "So x = 5",
        "-",
        "x",
        "a, b",
        "no",
        "",
        "1\n2",
        r"\frac{1}{7",
        r"We get \frac{1}{7}",
        r"The answer is \boxed{5}",
        "print(5)",
        "3" * 500 + "+1",
    ],
)
def test_sentences_and_fragments(text: str) -> None:
    assert not is_bare_answer(text)


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("$5$", "5"),
        (r"\(5\)", "5"),
        (r"\[ 5 \]", "5"),
        ("$$5$$", "5"),
        (r"$\boxed{\frac{1}{2}}$", r"\frac{1}{2}"),
        (r"\boxed{1} + \boxed{2}", r"\boxed{1} + \boxed{2}"),
        ("$5$ and $6$", "$5$ and $6$"),
        ("$18.90", "$18.90"),
    ],
)
def test_what_is_around_the_whole_is_taken_off(text: str, inside: str) -> None:
    assert unwrapped(text) == inside


@pytest.mark.parametrize(
    ("text", "boxed"),
    [
        (r"So $x=\boxed{5}$.", "5"),
        (r"first \boxed{3}, no: \boxed{\frac{\sqrt{3}}{2}} it is", r"\frac{\sqrt{3}}{2}"),
        (r"\boxed {\text{a \} b}}", r"\text{a \} b}"),
        (r"\fbox{7}", "7"),
        (r"\boxed{5", None),
        (r"\boxed{ }", None),
        ("no box", None),
    ],
)
def test_the_last_box_with_its_nested_braces(text: str, boxed: str | None) -> None:
    assert boxed_in(text) == boxed
