import pytest

from whet.rewards.verifiers.format import format_


@pytest.mark.parametrize(
    ("completion", "good"),
    [
        ("<think>a</think><answer>5</answer>", True),
        (" <think>a\nb</think>\n<answer>5</answer>\n", True),
        ("<answer>5</answer>", False),
        ("<answer>5</answer><think>a</think>", False),
        ("<think></think><answer>5</answer>", False),
        ("<think> </think><answer>5</answer>", False),
        ("<think>a</think><answer>\n</answer>", False),
        ("<think>a</think><answer>5</answer> and more", False),
        ("<think>a</think><think>b</think><answer>5</answer>", False),
        ("<think>a<answer>1</answer></think><answer>5</answer>", False),
        ("well <think>a</think><answer>5</answer>", False),
    ],
)
def test_format(completion: str, good: bool) -> None:
    assert format_(completion) == float(good)
