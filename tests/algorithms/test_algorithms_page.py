"""The page `docs/algorithms.md` says what is so."""

import math
import re
from itertools import takewhile
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from family import options
from torch import tensor
from torch.testing import assert_close

from whet.algorithms import ALGORITHMS, FAMILY
from whet.algorithms.algorithm import TokenBatch
from whet.algorithms.kl import k1, k2, k3
from whet.algorithms.parts.gae import gae
from whet.algorithms.preferences.dpo import dpo_losses
from whet.algorithms.preferences.ipo import ipo_losses
from whet.algorithms.preferences.kto import kto_losses
from whet.core.recipe import RlSettings

PAGE = (Path(__file__).parents[2] / "docs" / "algorithms.md").read_text(encoding="utf-8")


def test_the_recipe_offers_what_the_table_has() -> None:
    assert set(get_args(RlSettings.model_fields["algorithm"].annotation)) == set(ALGORITHMS)


def test_every_file_is_on_the_page() -> None:
    import whet.algorithms

    folder = Path(whet.algorithms.__file__).parent
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*.py") if path.name != "__init__.py"}
    assert files == set(re.findall(r"^\| `([\w/]+\.py)`", PAGE, flags=re.MULTILINE))


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


def table_after(heading: str) -> dict[str, list[str]]:
    """The rows of the first table below a line that starts so, by their first cell."""
    lines = PAGE[PAGE.index("\n" + heading) :].splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("| ---"))
    rows = [line.strip("| ").split(" | ") for line in takewhile(lambda line: line.startswith("|"), lines[start + 1 :])]
    return {row[0]: row[1:] for row in rows}


def test_the_family_on_the_page_is_the_table() -> None:
    assert list(table_after("`rl.algorithm` runs")) == list(FAMILY)
    runnable = re.search(r"`rl.algorithm` runs \*\*([\w, ]+)\*\* today", PAGE)
    assert runnable
    assert runnable[1].split(", ") == list(ALGORITHMS)


def test_what_the_page_says_of_each_is_what_its_record_says() -> None:
    told = table_after("What a run's record says of each")
    assert list(told) == list(FAMILY)
    for name, make in FAMILY.items():
        said = make(options()).conventions("own_detached")
        low, high = ("none" if bound is None else f"{bound:.6g}" for bound in said.clip)
        clip = "none" if low == high == "none" else f"{low} to {high}"
        assert told[name] == [said.advantage, said.ratio, clip, said.denominator], name


def test_the_divergences_of_the_page() -> None:
    table, p, q = table_after("Three estimates k"), tensor(0.5).log(), tensor(0.25).log()
    assert {name: float(table[name][1]) for name in table} == {
        "k1": round(float(k1(p, q)), 3),
        "k2": round(float(k2(p, q)), 3),
        "k3": round(float(k3(p, q)), 3),
    }


def test_the_gae_of_the_page() -> None:
    table = table_after("**GAE**, by hand")
    ones = torch.ones(1, 4, dtype=torch.bool)
    found = gae(
        tensor([[0.0, 0.0, 0.0, 1.0]]), tensor([[0.5, 0.6, 0.4, 0.8]]), torch.zeros(1), ones, gamma=1.0, lam=0.5
    )
    for values, row in zip((found.td_errors_BT, found.advantages_BT, found.returns_BT), table.values(), strict=True):
        assert_close(values[0], tensor([float(cell) for cell in row], dtype=torch.float64), atol=1e-6, rtol=0)


def test_the_preferences_of_the_page() -> None:
    table = {name: row[-1] for name, row in table_after("With h = log pi").items()}
    good, bad, point = tensor([5.0]), tensor([-5.0]), tensor(0.0)
    assert float(table["DPO"]) == pytest.approx(dpo_losses(good, bad, beta=0.1).item(), abs=5e-4)
    assert float(table["IPO"]) == pytest.approx(ipo_losses(good, bad, beta=0.1).item())
    losses = kto_losses(
        tensor([5.0, -5.0]), tensor([True, False]), point, beta=0.1, desirable_weight=1.0, undesirable_weight=1.0
    )
    assert [float(table["KTO"].split()[0])] * 2 == pytest.approx(losses.tolist(), abs=1e-3)


def test_the_algorithm_that_the_page_adds() -> None:
    # On policy it is the plain policy gradient: 4 / tau x sigmoid'(0) x tau = 1. At ratio 2 the loss is
    # -4 sigmoid(1) = -2.9242 for A = 1 and 4 / 1.05 sigmoid(1.05) = 2.8220 for A = -1.
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL) if "class" in block]
    names: dict[str, Any] = {}
    exec(code, names)
    logprobs_BT = tensor([[0.0, 0.0], [0.0, 0.0]], requires_grad=True)
    mask_BT = torch.ones(2, 2, dtype=torch.bool)
    batch = TokenBatch(
        logprobs_BT=logprobs_BT,
        old_logprobs_BT=tensor([[0.0, -math.log(2)]] * 2),
        advantages_BT=tensor([[1.0, 1.0], [-1.0, -1.0]]),
        mask_BT=mask_BT,
        beta=0.0,
    )
    losses = names["Sapo"](options()).losses(batch)
    assert_close(losses.losses_BT[:, 1].detach(), tensor([-2.9242, 2.8220]), atol=1e-4, rtol=0)
    losses.losses_BT[:, 0].sum().backward()
    assert_close(logprobs_BT.grad[:, 0], tensor([-1.0, 1.0]))
