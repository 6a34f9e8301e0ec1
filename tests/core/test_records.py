from collections.abc import Callable

from whet.core.records import EVALUATION_PURPOSES, PURPOSES, TRAINING_PURPOSES, Conversation, Prompt, Ranking


def test_an_id_follows_the_content_not_the_origin(make_prompt: Callable[..., Prompt]) -> None:
    assert make_prompt("a").id == make_prompt("a", answer="5").id
    assert make_prompt("a").id != make_prompt("b").id
    assert (
        Conversation(prompt=make_prompt("a"), completion="x").id
        != Conversation(prompt=make_prompt("a"), completion="y").id
    )


def test_a_ranking_gives_every_pair_but_ties(make_prompt: Callable[..., Prompt]) -> None:
    # ranks 0 1 1 2: good>fair, good>also, good>bad, fair>bad, also>bad; fair = also gives none
    ranking = Ranking(prompt=make_prompt(), completions=("good", "fair", "also", "bad"), ranks=(0, 1, 1, 2))
    pairs = {(pair.chosen, pair.rejected) for pair in ranking.comparisons()}
    assert pairs == {("good", "fair"), ("good", "also"), ("good", "bad"), ("fair", "bad"), ("also", "bad")}


def test_training_and_evaluation_share_no_purpose() -> None:
    assert set(PURPOSES) == TRAINING_PURPOSES | EVALUATION_PURPOSES
    assert not TRAINING_PURPOSES & EVALUATION_PURPOSES
