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

__all__ = ["chosen_products", "product", "use_chosen_products"]


@functools.cache
def chosen_products() -> str:
    """`onednn` or `torch`: what computes products in float32 on the CPU of this machine."""
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


def product(x_NI: Tensor, weight_OI: Tensor) -> Tensor:
    """x W^T, (N, O) of two matrices, without a gradient; a float32 one on a CPU goes the faster way."""
    if x_NI.dtype != torch.float32 or x_NI.is_cuda or chosen_products() == "torch":
        return F.linear(x_NI, weight_OI)
    return _onednn(x_NI, weight_OI, None)


class _Linear(torch.autograd.Function):
    """x W^T + b with both gradients by `product`; dW as (x^T dy)^T, the orientation that needs no copies."""

    @staticmethod
    def forward(ctx: Any, x_NI: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
        ctx.save_for_backward(x_NI, weight_OI)
        return _onednn(x_NI, weight_OI, bias_O)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x_NI, weight_OI = ctx.saved_tensors
        dy_NO = gradients[0].contiguous()
        dx = product(dy_NO, weight_OI.t()) if ctx.needs_input_grad[0] else None
        dweight = product(x_NI.t(), dy_NO.t()).t() if ctx.needs_input_grad[1] else None
        return dx, dweight, dy_NO.sum(0) if ctx.needs_input_grad[2] else None


def _linear_forward(module: nn.Linear, x: Tensor) -> Tensor:
    """What `nn.Linear.forward` gives, for input of any shape."""
    if x.dtype != torch.float32 or x.is_cuda:
        return F.linear(x, module.weight, module.bias)
    rows_NI = x.reshape(-1, x.shape[-1])
    if torch.is_grad_enabled():
        found: Tensor = _Linear.apply(rows_NI, module.weight, module.bias)  # type: ignore[no-untyped-call]
    else:
        found = _onednn(rows_NI, module.weight, module.bias)
    return found.view(*x.shape[:-1], found.shape[-1])


def use_chosen_products(model: nn.Module) -> None:
    """Let every plain linear layer of the model compute its products the chosen way, where that is not torch's own.

    The layers stay what they are: parameters, hooks and whatever wraps them are untouched.
    """
    if chosen_products() == "torch":
        return
    for module in model.modules():
        if type(module) is nn.Linear and "forward" not in vars(module):
            module.forward = functools.partial(_linear_forward, module)  # type: ignore[method-assign]
