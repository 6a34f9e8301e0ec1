"""A stage whose rows are not there is refused, by the stages that a run has and the rows that were asked for."""

from pathlib import Path
from typing import Any

import pytest

from whet.core.errors import DataError
from whet.core.recipe import EvaluateSettings, Recipe, RewardModelSettings, RlSettings, SftSettings
from whet.core.records import PURPOSES
from whet.preflight.rows import refuse_empty

RUN = Path("runs/mine")
ALL = Recipe(sft=SftSettings(), reward_model=RewardModelSettings(), rl=RlSettings(), evaluate=EvaluateSettings())


def prepared(*empty: str, asked: int = 4, **more: Any) -> dict[str, Any]:
    rows = {name: 0 if name in empty else 5 for name in PURPOSES}
    return {"rows": rows, "requested": dict.fromkeys(PURPOSES, asked), **more}


def refusal(recipe: Recipe, record: dict[str, Any]) -> str:
    with pytest.raises(DataError) as caught:
        refuse_empty(recipe, recipe.stages(), record, RUN)
    return str(caught.value)


def test_what_no_stage_reads_may_be_empty() -> None:
    refuse_empty(ALL, ALL.stages(), prepared(), RUN)
    refuse_empty(Recipe(rl=RlSettings()), ("data", "rl"), prepared(*(set(PURPOSES) - {"rl_train"})), RUN)
    # rm_test judges a reward model, which this recipe has not
    recipe = Recipe(sft=SftSettings(), evaluate=EvaluateSettings())
    refuse_empty(recipe, recipe.stages(), prepared("rm_train", "rm_test", "rl_train"), RUN)


@pytest.mark.parametrize(
    ("empty", "said"),
    [
        (("ft_train",), "sft needs ft_train, which has no row"),
        (("ft_train", "ft_validation"), "sft needs ft_train and ft_validation, which have no row"),
        (("rm_train", "rm_test"), "reward_model needs rm_train, which has no row, evaluation needs rm_test, which"),
        (("rl_train",), "rl needs rl_train, which has no row"),
        (("final",), "evaluation needs final, which has no row"),
    ],
)
def test_what_a_stage_reads_and_was_asked_for_must_not(empty: tuple[str, ...], said: str) -> None:
    assert refusal(ALL, prepared(*empty)).startswith(said)


def test_what_was_not_asked_for_is_needed_where_a_stage_trains_on_it() -> None:
    refuse_empty(ALL, ALL.stages(), prepared("ft_validation", "rm_test", "ft_test", "rl_test", asked=0), RUN)
    assert refusal(ALL, prepared("rl_train", asked=0)) == "rl needs rl_train, which has no row"
    assert refusal(ALL, prepared("final", "ft_test", "rl_test", asked=0)) == (
        "evaluation needs prompts, and final, ft_test, rl_test have none"
    )


def test_the_cause_is_said_with_the_folder_to_look_at() -> None:
    record = prepared("rl_train", shortfalls=["rl_train has no row: see whet data view DIR unused", "another line"])
    assert refusal(ALL, record).endswith("; rl_train has no row: see whet data view runs/mine unused")
