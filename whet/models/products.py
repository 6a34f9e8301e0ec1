"""The one place that chooses how a matrix product with weights is computed; nothing else knows.

On AMD processors with a full-width AVX-512 unit (family 26, Zen 5) oneDNN, which is in every x86 wheel of torch, is up
to twice as fast as MKL; on Zen 4 the two are within 20 % and oneDNN's cache of primitives doubles the memory. The
choice follows from the processor, never from a timing, because two runs of a recipe must be equal bit for bit.
`WHET_PRODUCTS=torch` or `WHET_PRODUCTS=onednn` overrides it.
"""

import functools
import os
import platform
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from whet.core.errors import RecipeError

__all__ = ["chosen_products", "linear"]


@functools.cache
def chosen_products() -> str:
    """`onednn` or `torch`: what `linear` uses for float32 on the CPU of this machine."""
    asked = os.environ.get("WHET_PRODUCTS", "")
    if asked not in ("", "torch", "onednn"):
        raise RecipeError(f"WHET_PRODUCTS is {asked!r}; it must be 'torch' or 'onednn'")
    if asked == "torch" or not _onednn_is_right():
        return "torch"
    return "onednn" if asked == "onednn" or _is_wide_amd() else "torch"


def _is_wide_amd() -> bool:
    """AMD family 26 or later."""
    cpuinfo = Path("/proc/cpuinfo")
    if platform.machine() != "x86_64" or not cpuinfo.is_file():
        return False
    first = cpuinfo.read_text().split("\n\n")[0]
    family = re.search(r"cpu family\s*:\s*(\d+)", first)
    return "AuthenticAMD" in first and family is not None and int(family[1]) >= 26


def _onednn_is_right() -> bool:
    """The operator is private to torch: it must exist and agree with `F.linear`."""
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    x, weight = torch.linspace(-1, 1, 96).view(4, 24), torch.linspace(-2, 1, 192).view(8, 24)
    try:
        found = _onednn(x, weight, None)
    except (RuntimeError, TypeError, NotImplementedError):
        return False
    return bool(torch.allclose(found, F.linear(x, weight), rtol=1e-5, atol=1e-5))


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    result: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return result


class _OneDnnLinear(torch.autograd.Function):
    """x W^T with both gradients by oneDNN; dW as (x^T dy)^T, the orientation that needs no copies."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _onednn(x, weight, None)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        dy = gradients[0].contiguous()
        dx = _onednn(dy, weight.t(), None) if ctx.needs_input_grad[0] else None
        dweight = _onednn(x.t(), dy.t(), None).t() if ctx.needs_input_grad[1] else None
        return dx, dweight


def linear(module: nn.Module, x: Tensor) -> Tensor:
    """`module(x)` for a (rows, features) input; a plain float32 `nn.Linear` on a CPU goes the faster way.

    Anything that wraps or replaces a linear layer (an adapter, a quantised layer) is called as it is.
    """
    if type(module) is not nn.Linear or x.dtype != torch.float32 or x.is_cuda or chosen_products() == "torch":
        result: Tensor = module(x)
        return result
    if torch.is_grad_enabled():
        product: Tensor = _OneDnnLinear.apply(x, module.weight)  # type: ignore[no-untyped-call]
        return product if module.bias is None else product + module.bias
    return _onednn(x, module.weight, module.bias)
