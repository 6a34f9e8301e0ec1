"""Cross-entropy of the next token, written out: what the engine computes in chunks, small enough to check by hand."""

import torch
from torch import Tensor

__all__ = ["cross_entropy", "cross_entropy_gradient"]


def cross_entropy(logits_TV: Tensor, targets_T: Tensor) -> Tensor:
    """-log softmax(logits)[target] for each token (nats), (T,): 2.12 where the right token has probability 0.12."""
    return -torch.log_softmax(logits_TV.float(), dim=-1).gather(-1, targets_T[:, None])[:, 0]


def cross_entropy_gradient(logits_TV: Tensor, targets_T: Tensor) -> Tensor:
    """d loss / d logits = p - onehot(target), (T, V): the probabilities, with 1 taken from the right token's.

    The gradient of a head W (V, C) is this times the hidden state: the outer product of (V,) and (C,).
    """
    gradient_TV = torch.softmax(logits_TV.float(), dim=-1)
    return gradient_TV - torch.nn.functional.one_hot(targets_T, logits_TV.shape[-1])
