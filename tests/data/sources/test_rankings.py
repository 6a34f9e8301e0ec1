"""Rankings from demonstrations."""

from whet.core.records import Conversation, Message, Origin, Prompt
from whet.data.sources.rankings import has_own_ranking, ranking_of, without_ranking


def demonstration(completion: str, *, answer: str | None = None, **columns: object) -> Conversation:
    prompt = Prompt(
        messages=(Message(role="user", content="Alice has 3 apples and buys 2 more. How many now?"),),
        origin=Origin(source="a", row=0),
        answer=answer,
        columns=columns,
    )
    return Conversation(prompt=prompt, completion=completion)


def test_derived_from_a_reasoned_demonstration_best_first() -> None:
    row = demonstration("<think>3+2=5, so five.</think><answer>5</answer>", answer="5")
    ranking = ranking_of(row, seed=1)
    assert ranking is not None
    full, bare, wrong, shuffled = ranking.completions
    assert ranking.ranks == (0, 1, 2, 3)
    assert (full, bare) == (row.completion, "<answer>5</answer>")
    assert wrong.startswith("<think>3+2=5, so five.</think><answer>")
    assert wrong != full
    assert sorted(shuffled.split()) == sorted(full.split())
    assert ranking_of(row, seed=1) == ranking


def test_the_wrong_number_is_never_the_right_one() -> None:
    for answer in ("0", "5", "-3", "1,250", "2.5"):
        row = demonstration(f"It is {answer}", answer=answer)
        for seed in range(40):
            ranking = ranking_of(row, seed=seed)
            assert ranking is not None
            assert ranking.completions[1].removeprefix("It is ") not in (answer, answer.replace(",", ""))


def test_a_wrong_demonstration_ranks_nothing() -> None:
    assert ranking_of(demonstration("<answer>6</answer>", answer="5"), seed=0) is None
    assert ranking_of(demonstration("That makes 6.", answer="5"), seed=0) is None


def test_without_a_known_answer_shuffled_words_are_worse() -> None:
    ranking = ranking_of(demonstration("a b c d e f g h"), seed=0)
    assert ranking is not None
    assert len(ranking.completions) == 2
    assert ranking_of(demonstration("yes"), seed=0) is None


def test_own_rankings_win_and_are_taken_out_of_the_columns() -> None:
    row = demonstration("5", answer="5", completions=["5", "6"], ranks=[0, 1], level=2)
    ranking = ranking_of(row, seed=0)
    assert ranking is not None
    assert has_own_ranking(row.prompt)
    assert (ranking.completions, ranking.ranks) == (("5", "6"), (0, 1))
    assert ranking.prompt.columns == without_ranking(row.prompt).columns == {"level": 2}
