import pytest

from whet.rewards.unscorable import Unscorable
from whet.rewards.verifiers.closeness import closeness


@pytest.mark.parametrize(
    ("given", "known", "credit"),
    [
        # relative errors 0, 0.005, 0.05, 0.2, 0.4
        ("200", "200", 1.0), ("201", "200", 1.0), ("210", "200", 0.8), ("240", "200", 0.5), ("280", "200", 0.0),
        # the bounds themselves belong to the next step: 0.01, 0.1, 0.3
        ("202", "200", 0.8), ("220", "200", 0.5), ("260", "200", 0.0), ("256", "200", 0.5),
        ("-5", "5", 0.0), ("-200", "-210", 0.8), ("0", "0", 1.0), ("0.001", "0", 0.0), ("0", "5", 0.0),
        ("paris", "Paris", 1.0), ("rome", "Paris", 0.0), ("", "5", 0.0), ("about 5", "5", 0.0), ("5 or 6", "5", 0.0),
        # 9/5 and 14/5 are 1.8 and 2.8; 210 cm are 5 % more than 200
        (r"1\frac{4}{5}", "1.8", 1.0), (r"1\frac{4}{5}", "2.8", 0.0), (r"210\text{ cm}", r"\boxed{200}", 0.8),
    ],
)  # fmt: skip
def test_closeness(given: str, known: str, credit: float) -> None:
    assert closeness(f"<answer>{given}</answer>", answer=known) == credit


def test_no_known_answer_is_no_verdict_and_none_that_can_be_read_is_unscorable() -> None:
    assert closeness("<answer>5</answer>") is None
    for known in (r"\sqrt{3}", "", "5 km"):
        with pytest.raises(Unscorable):
            closeness("<answer>5 miles</answer>", answer=known)
