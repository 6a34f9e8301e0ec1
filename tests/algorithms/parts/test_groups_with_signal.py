import math

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from whet.algorithms.parts.groups import centred, groups_with_signal

NAN = math.nan


def test_the_rule() -> None:
    rewards_PG = tensor(
        [
            [1.0, 1.0, 1.0],
            [0.0, 0.0, 0.0],
            [1.0, 0.0, 0.0],
            [NAN, 0.5, 0.5],
            [NAN, NAN, 1.0],
            [NAN] * 3,
            [NAN, 1.0, 0.0],
        ]
    )
    assert groups_with_signal(rewards_PG).tolist() == [False, False, True, False, False, False, True]


def test_an_infinite_reward_is_no_score() -> None:
    assert groups_with_signal(tensor([[math.inf, 1.0], [-math.inf, math.inf]])).tolist() == [False, False]


def test_groups_of_one_have_none() -> None:
    assert groups_with_signal(tensor([[1.0], [0.0]])).tolist() == [False, False]


def test_centred_by_hand() -> None:
    # 8.5 6.8 4.2 2.5: mean 5.5, in units of 8; squares 21.38 / 3, root 2.6696
    found = centred(tensor([[8.5, NAN, 6.8, 4.2, 2.5, math.inf]], dtype=torch.float64))
    expected = tensor([[3.0, 0.0, 1.3, -1.3, -3.0, 0.0]], dtype=torch.float64)
    assert_close(found.values * found.unit, expected)
    assert found.unit.item() == 8.0
    assert found.count.item() == 4
    assert float(found.deviation() * found.unit) == pytest.approx(2.669581, abs=1e-6)


def test_no_number_at_all_is_zero_in_units_of_one() -> None:
    found = centred(torch.full((1, 3), math.nan))
    assert found.values.tolist() == [[0.0] * 3]
    assert (found.unit.item(), found.count.item(), found.deviation().item()) == (1.0, 0, 0.0)
