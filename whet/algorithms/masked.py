"""Means that know what they are a mean of."""

import torch
from torch import Tensor

__all__ = ["masked_mean"]


def masked_mean(values: Tensor, mask: Tensor) -> float | None:
    """The mean where the mask is True, as a float for the log; None when it is True nowhere, never 0 or NaN."""
    count = int(mask.sum())
    if count == 0:
        return None
    return float(torch.where(mask, values, 0).sum(dtype=torch.float64)) / count
