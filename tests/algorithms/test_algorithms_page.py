"""The page `docs/algorithms.md` says what is so."""

import re
from pathlib import Path
from typing import Any, get_args

import torch
from torch import tensor
from torch.testing import assert_close

from whet.algorithms import ALGORITHMS
from whet.core.recipe import RlSettings

PAGE = (Path(__file__).parents[2] / "docs" / "algorithms.md").read_text(encoding="utf-8")


def test_the_recipe_offers_what_the_table_has() -> None:
    assert set(get_args(RlSettings.model_fields["algorithm"].annotation)) == set(ALGORITHMS)


def test_every_file_is_on_the_page() -> None:
    import whet.algorithms

    files = {path.name for path in Path(whet.algorithms.__file__).parent.glob("*.py")} - {"__init__.py"}
    assert files == set(re.findall(r"^\| `(\w+\.py)`", PAGE, flags=re.MULTILINE))


def test_every_algorithm_offers_what_the_loop_asks_for() -> None:
    mask_BT = tensor([[True, True], [True, False], [True, True], [True, True]])
    logprobs_BT = torch.full((4, 2), -1.0)
    for make in ALGORITHMS.values():
        algorithm = make(RlSettings())
        advantages_PG = algorithm.advantages(tensor([[1.0, 0.0], [1.0, torch.nan]]))
        assert advantages_PG[1].tolist() == [0.0, 0.0]
        losses = algorithm.token_losses(logprobs_BT, logprobs_BT, logprobs_BT, advantages_PG.flatten(), mask_BT)
        assert losses.losses_BT.shape == algorithm.token_weights(mask_BT).shape == (4, 2)
        assert float(losses.losses_BT[1, 1]) == float(algorithm.token_weights(mask_BT)[1, 1]) == 0.0
        assert algorithm.denominator(mask_BT) > 0


def test_the_algorithm_that_the_page_adds() -> None:
    # 8.5 - (6.8 + 4.2 + 2.5) / 3 = 4.0; 6.8 - (8.5 + 4.2 + 2.5) / 3 = 1.7333
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL) if "class" in block]
    names: dict[str, Any] = {}
    exec(code, names)
    algorithm = names["Rloo"](RlSettings())
    found = algorithm.advantages(
        tensor([[8.5, 6.8, 4.2, 2.5, torch.nan], [torch.nan, 1.0, torch.nan, torch.nan, torch.nan]])
    )
    assert_close(found[0], tensor([4.0, 1.7333, -1.7333, -4.0, 0.0]), atol=1e-4, rtol=0)
    assert found[1].tolist() == [0.0] * 5
