import time

import pytest

from whet.rewards.answers.extract import parse_answer

MANY = 100_000


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        ("<think>3+2=5</think><answer>5</answer>", "5"),
        ("<answer>4</answer> no, <answer> 5 </answer>", "5"),
        ("<answer><answer>5</answer></answer>", "5"),
        ("<answer>**72**</answer>", "72"),
        ("<answer></answer>", None),
        ("<answer>" + "1" * 201 + "</answer>", None),
        ("<ANSWER>5</ANSWER>", None),
        # a tag that is never closed: its answer, and what was said before it, was not the last word
        ("<answer>5</answer><answer>6", None),
        ("<answer>6 #### 5", None),
        (r"<answer>6 \boxed{5}", None),
        # a mark inside the tag
        (r"<answer>\boxed{72}</answer>", "72"),
        (r"<answer>The answer is $\boxed{\frac{1}{2}}$.</answer>", r"\frac{1}{2}"),
        ("<answer>#### 5</answer>", "5"),
        (r"<answer>\boxed{5</answer>", None),
        # where there is a tag nothing else counts
        (r"#### 8 and <answer>5</answer> and then \boxed{7}", "5"),
        ("the answer is 5", None),
        ("", None),
    ],
)
def test_tags(completion: str, expected: str | None) -> None:
    assert parse_answer(completion).text == expected


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        ("<think><answer>9</answer></think><answer>5</answer>", "5"),
        ("<think>it is <answer>9</answer>", None),
        ("<think>#### 5", None),
        ("<think>a</think><think>b <answer>8</answer></think><answer>5</answer>", "5"),
        # a prompt that ends in <think> leaves a completion that only closes it
        ("maybe <answer>9</answer> hm</think><answer>5</answer>", "5"),
        ("maybe <answer>9</answer> hm</think>", None),
        # what stands before a thinking that is opened is said aloud, its </think> notwithstanding
        ("<answer>5</answer><think>sure?</think>", "5"),
        ("#### 5\n<think>sure?</think> yes", "5"),
        (r"\boxed{5} <think>or \boxed{6}</think> <think>\boxed{7}", "5"),
    ],
)
def test_thinking_is_no_answer(completion: str, expected: str | None) -> None:
    assert parse_answer(completion).text == expected


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        (r"thus \boxed{7}", "7"),
        (r"\boxed{7} is wrong, thus $\fbox {8 cm}$", "8 cm"),
        (r"\boxed{1} so it is \boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        # braces two and three deep: the last box counts, not an earlier one whose braces are simpler
        (r"\boxed{4}. No, wait: \boxed{\frac{\sqrt{3}}{2}}", r"\frac{\sqrt{3}}{2}"),
        (r"\boxed{x^{2^{3}}}", "x^{2^{3}}"),
        (r"\boxed{\{1,2\}}", r"\{1,2\}"),
        (r"\boxed{a \\ b}", r"a \\ b"),
        (r"\boxed{\boxed{5}}", "5"),
        (r"\boxed{5 \text{ or } \boxed{6}", "6"),
        # retracted: what is never closed, empty or too long is the last word all the same
        (r"\boxed{5}, no wait, \boxed{6", None),
        (r"\boxed{5}. Hm, \boxed{\frac{1}{2}", None),
        (r"\boxed{5} is wrong, so \boxed{}", None),
        (r"\boxed{5} is wrong, so \boxed{" + "1" * 201 + "}", None),
        (r"\boxed 5", None),
    ],
)
def test_boxes(completion: str, expected: str | None) -> None:
    assert parse_answer(completion).text == expected


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        ("so #### 1,200", "1,200"),
        ("#### 18 dollars\n\nQuestion: How many? 9", "18 dollars"),
        ("#### Paris", "Paris"),
        ("#### 5 boxes", "5 boxes"),
        ("#### $18", "$18"),
        ("#### ", None),
        # headings
        ("#### Step 1\nAdd them.\n#### Step 2\n\\boxed{5}", "5"),
        ("#### Step 1\nAdd them: 5.", None),
        ("\\boxed{5}\n#### Note\nThis was easy.", "5"),
        ("\\boxed{5}\n#### Done", "5"),
        # the last of the two kinds
        ("#### 3\nI see a mistake.\n\\boxed{4}", "4"),
        ("\\boxed{4}\nI see a mistake.\n#### 3", "3"),
        (r"#### 3 \boxed{4}", "4"),
        ("#### 18\nNo, one more.\n#### 20", "20"),
    ],
)
def test_the_mark_of_gsm8k(completion: str, expected: str | None) -> None:
    assert parse_answer(completion).text == expected


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        (r"\boxed{4} or \boxed{5}", "5; 4"),
        (r"$\boxed{4}$, $\boxed{5}$", "5; 4"),
        (r"\boxed{4} papers and \boxed{5} bins", "5; 4"),
        (r"\boxed{4}/\boxed{5}", "5; 4"),
        ("\\boxed{4}\n\n\\boxed{5}", "5; 4"),
        (r"\boxed{3}, \boxed{4} and \boxed{5}", "5; 4; 3"),
        (r"It is \boxed{4}. Or perhaps \boxed{5}", "5; 4"),
        ("<answer>4</answer><answer>5</answer>", "5; 4"),
        ("<answer>4</answer> or <answer>5</answer>", "5; 4"),
        (r"<answer>\boxed{4} or \boxed{5}</answer>", "5; 4"),
        ("#### 18\n#### 20", "20; 18"),
        ("\\boxed{18}\n#### 20", "20; 18"),
        # an alternative without a mark
        (r"\boxed{5} or 6", "5; 6"),
        (r"$\boxed{5}$, or maybe it is $\frac{1}{2}$", r"5; \frac{1}{2}"),
        ("<answer>5</answer> (or 6)", "5; 6"),
        ("<answer>5</answer>, possibly 6", "5; 6"),
        (r"4 or \boxed{5}", "5; 4"),
        (r"either 4 or maybe \boxed{5}", "5; 4"),
        (r"\boxed{A} or B", "A; B"),
        ("#### 5 or 6", "5 or 6"),
        # the same answer again is one answer
        (r"\boxed{5} and \boxed{5.0}", "5.0"),
        (r"\boxed{\frac12} or 0.5", r"\frac12"),
        (r"\boxed{x^2} and \boxed{x^{2}}", "x^{2}"),
        # taken back, not side by side
        (r"\boxed{4} is wrong. So it is \boxed{5}", "5"),
        (r"\boxed{4}. And now with care: \boxed{5}", "5"),
        (r"\boxed{5} or so", "5"),
        (r"Add 3 and 2 or count: \boxed{5}", "5"),
    ],
)
def test_several_answers_are_none_of_them(completion: str, expected: str) -> None:
    assert parse_answer(completion).text == expected


@pytest.mark.parametrize(
    "text",
    [
        "<answer>",
        "</answer>",
        "<answer></answer>",
        "<answer>1</answer>",
        "<answer>1</answer> or ",
        "<think>",
        "<think></think>",
        "#",
        "####\n",
        "#### 1\n",
        r"\boxed{",
        r"\boxed{{",
        r"\boxed{}",
        r"\boxed{1}",
        r"\boxed{1} and \boxed{2} or ",
        "{",
        "}",
        "\\",
        "$",
        " ",
        "or ",
    ],
)
def test_no_text_stalls_it(text: str) -> None:
    began = time.process_time()
    for completion in (
        text * MANY,
        f"<answer>5{text * MANY}",
        f"{text * MANY}5</answer>",
        rf"\boxed{{4}}{text * MANY}5",
    ):
        parse_answer(completion)
    assert time.process_time() - began < 20  # a minute and more where it is not linear
