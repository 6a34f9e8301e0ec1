import pytest

from whet.rewards.answers.compare import Expression, Words, judge, known_answer, read_answer, same_answer
from whet.rewards.answers.quantity import Quantity
from whet.rewards.unscorable import Unscorable


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("5", Quantity), (r"5\text{ cm}", Quantity), ("x=5", Quantity),
        ("Paris", Words), ("New York", Words), (r"\text{(B)}", Words), ("(B)", Words), ("l'eau", Words),
        ("Zürich", Words), ("पानी", Words), ("yes.", Words),
        # a number in words, a formula, a list, a choice with its text, a sentence, a count of things
        ("five", Expression), ("twenty-one", Expression), ("p - q", Expression), ("p-q", Expression),
        ("x y", Expression), ("red, blue", Expression), ("C Cecile", Expression), ("(A) Cecile", Expression),
        ("1/0", Expression),
        ("because of the force that acts", Expression), ("5 apples", Expression), (r"\frac{\sqrt{3}}{2}", Expression),
        ("1,2", Expression), ("", Expression), ("...", Expression),
    ],
)  # fmt: skip
def test_what_kind_of_answer_a_text_is(text: str, kind: type) -> None:
    assert isinstance(read_answer(text), kind)


@pytest.mark.parametrize(
    ("given", "known", "same"),
    [
        ("5", "5.0", True), ("1,200", "1200", True), ("$5", "5", True), ("5.", "5", True), ("−5", "-5", True),
        ("1/2", "0.5", True), ("+7", "7", True), ("0.30", ".3", True), ("-5", "5", False), ("5", "50", False),
        ("five", "5", False), ("1,2", "12", False), ("٣", "3", False), ("1/0", "1", False), ("5 or 6", "5", False),
        ("__import__('os')", "5", False), ("9**9**9", "5", False), ("32, 349", "32349", False),
        (r"1\frac{4}{5}", "14/5", False), (r"1\frac{4}{5}", "1.8", True), (r"\frac{1}{2}3", "1/23", False),
        # words, whatever their case; another word is wrong
        ("Paris.", "paris", True), ("New  york", "New York", True), ("B", r"\text{(B)}", True),
        ("Rome", "Paris", False), ("5", "Paris", False), (r"\text{Paris}", "Paris", True), ("yes or no", "yes", False),
        # units: the same, or one says nothing; else nobody can tell
        (r"5\text{ cm}", "5", True), ("5", r"5\text{ cm}", True), ("5 cm", "5 centimeters", True),
        ("90", r"90^\circ", True), ("6", r"5\text{ cm}", False), ("5 km", "5 cm", None), ("5 km",
        "5000 meters", None), ("$5", "5 €", None),
        ("28", r"28\%", True), ("0.28", r"28\%", None), (r"28\%", "0.28", None), ("0.29", r"28\%", False),
        ("28 %", "0.28%", False),
        # expressions: only the same text is the same answer
        (r"\dfrac{\sqrt3}{2}", r"\frac{\sqrt{3}}{2}", True), (r"\sqrt{3}/2", r"\frac{\sqrt{3}}{2}", None),
        ("(1, 2)", "(1,2)", True), ("(2, 1)", "(1,2)", None), ("5", "five", None), ("f(X)", "f(x)", None),
        ("12", "1 2", None), ("1,200", "1, 200", None), ("5", "5 apples", None), ("5 apples", "5 apples", True),
        ("x = 5", "y = 5", None), ("x = 5", "5", True), ("x = 6", "x = 5", False),
        ("Paris", "(1, 2)", None), ("", "(1, 2)", None), ("p-q", "p - q", True), (r"\sin x", r"\sinx", None),
        # no known answer that could be read at all
        ("5", "", None), ("5", "5" * 201, None),
    ],
)  # fmt: skip
def test_same_answer(given: str, known: str, same: bool | None) -> None:
    assert same_answer(given, known) is same


@pytest.mark.parametrize(
    ("text", "known"),
    [
        (r"\boxed{3}", "3"), ("#### 72", "72"), ("Add.\n#### 1,200", "1,200"), ("<answer>5</answer>", "5"),
        (r"Thus $\boxed{\frac{1}{2}}$.", r"\frac{1}{2}"), (" 5 ", "5"), (r"\boxed{3", ""), (r"\boxed{}", ""),
        ("<answer>5", ""), (r"\boxed{1} and \boxed{2}", "2; 1"), ("the box", "the box"),
    ],
)  # fmt: skip
def test_a_known_answer_may_be_marked_too(text: str, known: str) -> None:
    assert known_answer(text) == known


def test_nobody_can_tell_is_not_wrong() -> None:
    assert judge(r"\boxed{5}", r"\boxed{5}").is_same
    # the completion gives no answer, so it is not the right one, whatever that is
    assert not judge("I cannot say.", r"\sqrt{3}").is_same
    with pytest.raises(Unscorable, match=r"nobody can tell by rule whether '5' is the known answer '\\\\sqrt\{3\}'"):
        judge("<answer>5</answer>", r"\sqrt{3}")
    with pytest.raises(Unscorable, match=r"the known answer '\\\\boxed\{3' holds no answer that can be read"):
        judge("I cannot say.", r"\boxed{3")
    with pytest.raises(Unscorable) as caught:
        judge("<answer>x</answer>", "y = " * 99)
    assert len(str(caught.value)) < 250
