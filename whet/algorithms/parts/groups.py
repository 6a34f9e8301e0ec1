"""Groups of rewards: their mean taken off without losing digits, and which of them can teach.

Legend: P prompt, G completion of the same prompt; a dimension named ... may be any.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Centred", "centred", "groups_with_signal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Centred:
    """Numbers minus the mean of their last dimension, in units of a power of two, float64; `values x unit` are they.

    Zero where there was no number, and exactly zero everywhere unless two of them differ.
    """

    values: Tensor  # (..., G)
    unit: Tensor  # (..., 1); divided by it exactly, 1e300 can be squared
    count: Tensor  # (..., 1)
    has_signal: Tensor  # (..., 1) at least two numbers, not all equal

    def deviation(self) -> Tensor:
        """The standard deviation with n - 1, in units, (..., 1)."""
        return (self.values.square().sum(-1, keepdim=True) / (self.count - 1).clamp_min(1)).sqrt()


def centred(numbers: Tensor) -> Centred:
    """Each number minus the mean of the finite ones of its last dimension; NaN and infinities are no numbers.

    The mean is taken of what lies above the lowest one: differences of near numbers are exact, and their mean is not.
    """
    is_number = torch.isfinite(numbers)
    count = is_number.sum(-1, keepdim=True)
    low = torch.where(is_number, numbers, torch.inf).amin(-1, keepdim=True)
    high = torch.where(is_number, numbers, -torch.inf).amax(-1, keepdim=True)
    has_signal = (count >= 2) & (high > low)
    unit = _unit(torch.maximum(low.abs(), high.abs()).double())
    above = torch.where(is_number & has_signal, numbers.double() / unit - low.double() / unit, 0.0)
    mean = above.sum(-1, keepdim=True) / count.clamp_min(1)
    values = torch.where(is_number & has_signal, above - mean, 0.0)
    return Centred(values=values, unit=unit, count=count, has_signal=has_signal)


def _unit(largest: Tensor) -> Tensor:
    """The power of two below each number, 1 for 0 and for what is not finite."""
    mantissa, _ = torch.frexp(largest)
    return torch.where((largest > 0) & torch.isfinite(largest), largest / (2 * mantissa), 1.0)


def groups_with_signal(rewards_PG: Tensor) -> Tensor:
    """(P,) True where at least two completions were scored, and not all alike (DAPO, arXiv:2503.14476, eq. 11).

    Of right-or-wrong rewards that is the paper's 0 < right < G. Where it is False the advantages are zero, so that
    leaving the group out, or sampling another in its place, changes nothing but the denominator.
    """
    return centred(rewards_PG).has_signal[:, 0]
