"""LayerNorm over the channels of a map, as one kernel, with its result in the map's own type and in patches.

Under bf16 autocast torch computes LayerNorm in float32 and leaves its result so: the widest maps are written in
float32, cast, and copied once more into patches. Here one kernel reads and writes bf16, with its sums in float32.
"""

from typing import Any

import torch
from torch import Tensor, nn

from .devices import has_kernels
from .fused_block import has_hooks

ROWS = 4096  # values of a tile


def fuses_norm(norm: nn.Module, x: Tensor, side: int = 1) -> bool:
    """Return whether the norm of a map (N, H, W, E) in patches of a side is computed by the kernel."""
    return (
        has_kernels(x.device)
        and x.dtype == torch.bfloat16
        and x.shape[1] % side == 0
        and x.shape[2] % side == 0
        and x.shape[3] <= ROWS
        and not has_hooks(norm)
    )


def fused_norm(norm: nn.LayerNorm, x: Tensor, side: int = 1) -> Tensor:
    """Return the norm of a map in patches: (N, H, W, E) -> (N, H/side, W/side, side side E), of each patch row by row.

    The same as LayerNorm with eps 1e-6, in x's type.
    """
    return norm_forward(x, norm.weight, norm.bias, side)


@torch.library.custom_op("gbvnet::norm_forward", mutates_args=())
def norm_forward(x: Tensor, weight: Tensor, bias: Tensor, side: int) -> Tensor:
    """See `fused_norm`."""
    from . import norm_kernels

    x = x.contiguous()
    out = x.new_empty(patches_shape(x, side))
    programs, constants = launch(x, side)
    norm_kernels.norm_forward[(programs,)](x, weight, bias, out, x[..., 0].numel(), **constants)
    return out


@norm_forward.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor, side: int) -> Tensor:
    return x.new_empty(patches_shape(x, side))


@torch.library.custom_op("gbvnet::norm_backward", mutates_args=())
def norm_backward(dout: Tensor, x: Tensor, weight: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Return the gradients of x, and of weight and bias one above the other (2, E)."""
    from . import norm_kernels

    dout, x = dout.contiguous(), x.contiguous()
    dx = torch.empty_like(x)
    programs, constants = launch(x, side)
    partial = x.new_empty(programs, 2, x.shape[-1], dtype=torch.float32)
    norm_kernels.norm_backward[(programs,)](x, weight, dout, dx, partial, x[..., 0].numel(), **constants)
    return dx, partial.sum(0)


@norm_backward.register_fake
def _(dout: Tensor, x: Tensor, weight: Tensor, side: int) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), x.new_empty(2, x.shape[-1], dtype=torch.float32)


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, int], output: Tensor) -> None:
    x, weight, _, ctx.side = inputs
    ctx.save_for_backward(x, weight)


def _gradients(ctx: Any, dout: Tensor) -> tuple[Tensor | None, ...]:
    dx, of_vectors = norm_backward(dout, *ctx.saved_tensors, ctx.side)
    return dx, of_vectors[0], of_vectors[1], None


norm_forward.register_autograd(_gradients, setup_context=_keep)


def patches_shape(x: Tensor, side: int) -> tuple[int, int, int, int]:
    """Return the shape of a map in patches."""
    n, height, width, channels = x.shape
    return n, height // side, width // side, side * side * channels


def launch(x: Tensor, side: int) -> tuple[int, dict[str, int]]:
    """Return the number of programs, and the kernels' constants and launch options."""
    n, height, width, channels = x.shape
    piece = max(1 << (channels - 1).bit_length(), 16)
    rows = max(ROWS // piece, 1)
    constants = {"E": channels, "PIECE": piece, "R": rows, "WIDTH": width, "SIDE": side}
    return -(-n * height * width // rows), {**constants, "num_warps": 4}
