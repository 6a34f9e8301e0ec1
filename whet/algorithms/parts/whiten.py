"""Whitening: minus the mean, divided by the deviation, over what is trained and nothing else."""

import torch
from torch import Tensor

from whet.algorithms.parts.groups import centred

__all__ = ["WHITENED", "whiten"]

# For the run's record, of advantages.
WHITENED = "whitened over the step's tokens: deviation sqrt(variance (n - 1) + 1e-8)"


def whiten(values: Tensor, mask: Tensor, *, epsilon: float = 1e-8) -> Tensor:
    """(values - mean) / sqrt(variance + epsilon) where the mask is True, 0 elsewhere; any shape, the values' dtype.

    The variance has n - 1. The mean that is subtracted is the masked one and it is always subtracted; padding has no
    part in either. Fewer than two values, or values that are all equal, become exactly 0, and not the rounding error
    of a mean divided by 1e-4. A value that is not finite becomes NaN where it stands.
    """
    found = centred(torch.where(mask, values, torch.nan).flatten())
    whitened = found.values * (found.deviation().square() + epsilon / found.unit.square()).rsqrt()
    broken = torch.where(mask & ~torch.isfinite(values), torch.nan, 0.0)
    return (whitened.view_as(values) + broken).to(values.dtype)
