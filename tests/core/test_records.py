from collections.abc import Callable
from dataclasses import replace

from whet.core.records import (
    EVALUATION_PURPOSES,
    PURPOSES,
    TRAINING_PURPOSES,
    Comparison,
    Conversation,
    Message,
    Origin,
    Prompt,
    Ranking,
)


def test_an_id_follows_the_content_not_the_origin(make_prompt: Callable[..., Prompt]) -> None:
    assert replace(make_prompt("a"), origin=Origin(source="b", row=9)).id == make_prompt("a").id
    assert make_prompt("a").id != make_prompt("b").id
    assert (
        Conversation(prompt=make_prompt("a"), completion="x").id
        != Conversation(prompt=make_prompt("a"), completion="y").id
    )


def test_an_id_covers_the_known_answer_and_the_margin(make_prompt: Callable[..., Prompt]) -> None:
    prompts = [make_prompt("a", answer=answer) for answer in (None, "", "5", "6")]
    # a turn that says what an answer would is another prompt
    turns = (Message(role="user", content="a"), Message(role="assistant", content="5"))
    assert len({prompt.id for prompt in (*prompts, replace(prompts[0], messages=turns))}) == 5
    assert len({Conversation(prompt=prompt, completion="x").id for prompt in prompts}) == 4
    margins = [
        Comparison(prompt=prompts[0], chosen="x", rejected="y", margin=margin).id for margin in (None, 0.0, 1, 1.0)
    ]
    assert margins[2] == margins[3]
    assert len(set(margins)) == 3


def test_a_ranking_gives_every_pair_but_ties(make_prompt: Callable[..., Prompt]) -> None:
    # ranks 0 1 1 2: good>fair, good>also, good>bad, fair>bad, also>bad; fair = also gives none
    ranking = Ranking(prompt=make_prompt(), completions=("good", "fair", "also", "bad"), ranks=(0, 1, 1, 2))
    pairs = {(pair.chosen, pair.rejected) for pair in ranking.comparisons()}
    assert pairs == {("good", "fair"), ("good", "also"), ("good", "bad"), ("fair", "bad"), ("also", "bad")}


def test_training_and_evaluation_share_no_purpose() -> None:
    assert set(PURPOSES) == TRAINING_PURPOSES | EVALUATION_PURPOSES
    assert not TRAINING_PURPOSES & EVALUATION_PURPOSES
