from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.rewards.answers.quantity import as_number, quantity_in


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5.", "5"), ("$-5", "-5"), ("-$5", "-5"), ("5€", "5"), ("$5$", "5"), (r"\$5.50", "11/2"), ("50%", "50"),
        (r"37.5\%", "75/2"), ("\u2212 5", "-5"), ("+5", "5"), ("1,000,000", "1000000"), ("1\u202f000", "1000"),
        (r"1\,000", "1000"), (".5", "1/2"), (r"-\frac{10}{9}", "-10/9"), ("4/-2", "-2"), ("007", "7"),
        # thousands as LaTeX writes them
        (r"1{,}000", "1000"), (r"\$32,\!348", "32348"), (r"11,\! 111,\! 111,\! 100", "11111111100"),
        # fractions whose arguments have no braces, or numbers with commas in them
        (r"\frac12", "1/2"), (r"\frac9{19}", "9/19"), (r"\dfrac 59", "5/9"), (r"\frac{1{,}000}{3}", "1000/3"),
        (r"-\frac{-1}{2}", "1/2"), (r"\frac{1}{-2}", "-1/2"), (r"\frac{0.5}{2}", "1/4"),
        # mixed numbers: the whole and the fraction have one sign
        (r"1\frac{4}{5}", "9/5"), (r"-1\frac{4}{5}", "-9/5"), (r"1 \frac45", "9/5"), (r"137 \frac{1}{2}", "275/2"),
        ("1 4/5", "9/5"), (r"$1\tfrac{1}{2}$", "3/2"), ("-2 1/4", "-9/4"),
        # what is wrapped around
        (r"\boxed{5}", "5"), ("**72**", "72"), (r"\(\frac{1}{2}\)", "1/2"), (r"\text{13}", "13"), ("{5}", "5"),
        ("x = 5", "5"), ("$x=5$", "5"), (r"k=\frac{1}{3}", "1/3"), (r"\displaystyle 5", "5"),
        # units
        (r"5\text{ cm}", "5"), (r"15\mbox{ cm}^2", "15"), (r"5\,\text{cm}", "5"), (r"90^\circ", "90"), ("90°", "90"),
        (r"90^{\circ}", "90"), ("18 dollars", "18"), ("5 cm.", "5"), (r"\frac{1}{3} \textbf{meters}", "1/3"),
        (r"3\frac{1}{2}\text{ hours}", "7/2"), ("28 percent", "28"), (r"$28$ pct", "28"), (r"5\text{ apples}", "5"),
    ],
)  # fmt: skip
def test_numbers(text: str, value: str) -> None:
    assert as_number(text) == Fraction(value)


@pytest.mark.parametrize(
    "text",
    [
        # never another number: what a digit or a fraction before or behind would make of it
        r"\frac{1}{2}3", r"1\frac{7}{5}", r"1\frac{4}{-5}", r"1.5\frac{1}{2}", r"1,000\frac{1}{2}", r"\frac123",
        "1 7/5", r"\frac919", r"\frac{1}{2}\frac{3}{4}", r"2\frac{1.5}{2}", r"5\frac", "1-4/5", "1 1/2 3",
        "3/0", r"\frac{1}{0}",
        "1/2/3", "1$2", "$1$2$", "--5", "-+5", "$5€", r"5\sqrt{2}", r"5\pi", "5π", "5^2", "5!", "5i", "5x",
        "6 xy", "5ab", "2 5", "5, 6", "5 or 6", "5; 6", "32, 349", "0,111", "1,22", "12,34", "1000,99", "1234,567",
        "1 000", "1e5", "0x10", "1_000", "inf", "nan", "½", "１２", "٣", "", ".", "$", "-", "12:30", "52_8",
        "5 apples", "5 m", "5 k", "five", "5 million", r"5\text{ million}", r"5\text{ M}", r"5\text{ k}", r"5\text{j}",
        "5 dozen",
        r"5\text{ dozen}", r"5\text{ halves}", r"5\text{ thirds}", r"5\text{ squared}", r"5\text{ or six}",
        r"5\text{ less}", r"5\text{ to 6}", r"5\text{ cm} + 1", "5 feet 6 inches", "$5 cents", "$5 %", "9" * 201,
        r"5\text{ cm and } 3", "x = y = 5", "xy = 5", "= 5", r"\frac{a}{2}", r"\frac{1}{2}{3}", "5 percent of 6",
    ],
)  # fmt: skip
def test_what_could_be_another_number_is_unreadable(text: str) -> None:
    assert quantity_in(text) is None


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("5", None), ("$5", "$"), ("-$5", "$"), ("5 dollars", "$"), ("$5 dollars", "$"),
        ("5%", "%"), (r"5\%", "%"), ("5 pct", "%"),
        ("5 centimeters", "cm"), ("5 cm", "cm"), (r"5\text{ cm}", "cm"), ("5 cm^2", "cm2"), (r"5\mbox{ cm}^2", "cm2"),
        ("5 square cm", "cm2"), ("5 sq inches", "inch2"), ("5 cubic feet", "foot3"), ("5 cm³", "cm3"),
        (r"5\text{ apples}", "apple"), (r"5\text{ apple}", "apple"), (r"5^\circ", "°"), ("5 degrees", "°"),
        (r"5^\circ\text{C}", "°C"), ("60 miles per hour", "mile/ hour"), ("60 miles/hour", "mile/ hour"),
    ],
)  # fmt: skip
def test_units_have_one_name(text: str, unit: str | None) -> None:
    found = quantity_in(text)
    assert found is not None
    assert found.unit == unit


def test_numbers_are_exact() -> None:
    assert as_number("0.1") == as_number("1/10") == Fraction(1, 10)
    assert as_number("0.1000000000000000055511151231257827") != as_number("0.1")


@settings(max_examples=100, deadline=None)
@given(number=st.integers(-(10**15), 10**15))
def test_every_spelling_of_an_integer_is_the_same_number(number: int) -> None:
    latex = f"{number:,}".replace(",", "{,}")
    for spelling in (f"{number}", f"{number:,}", f"{number}.0", f" {number}. ", f"{2 * number}/2", latex):
        assert as_number(spelling) == number, spelling


@settings(max_examples=200, deadline=None)
@given(whole=st.integers(0, 999), above=st.integers(0, 99), below=st.integers(0, 99), sign=st.sampled_from(["", "-"]))
def test_a_mixed_number_is_its_sum_or_nothing(whole: int, above: int, below: int, sign: str) -> None:
    for text in (f"{sign}{whole}\\frac{{{above}}}{{{below}}}", f"{sign}{whole} {above}/{below}"):
        value = None if above >= below else (whole + Fraction(above, below)) * (-1 if sign else 1)
        assert as_number(text) == value, text


@settings(max_examples=100, deadline=None)
@given(above=st.integers(0, 99), below=st.integers(1, 99), digit=st.integers(0, 99))
def test_digits_behind_a_fraction_are_no_number(above: int, below: int, digit: int) -> None:
    for text in (f"\\frac{{{above}}}{{{below}}}{digit}", f"{above}/{below} {digit}", f"{above} {digit}"):
        assert quantity_in(text) is None, text
