"""The ConvNeXt V2 block behind its depthwise convolution as two kernels, on a GPU that computes in bf16.

Operation by operation a block reads and writes some 37 maps of its width forwards and 110 with the way back. All of
this is local to a frame, and recomputing it costs less than the memory: `block_kernels` reads two maps and writes one
forwards. Operations of torch's own registry, so that `torch.compile` and CUDA graphs take them as they are; nothing
here waits for the GPU, and no choice depends on time: results repeat bit for bit.

The plain form in `model.Block` is what is meant; the kernels equal it but for rounding.
"""

from importlib.util import find_spec
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

HAS_TRITON = find_spec("triton") is not None
LARGEST_FRAME = 256  # positions of a map that one program can hold
LARGEST_WIDTH = 320


class Tile(NamedTuple):
    """What one program computes: `frames` frames, each of `padded` rows, `hidden` channels at a time; E in pieces."""

    frames: int
    padded: int
    pieces: tuple[int, int]
    hidden: int
    warps: int
    stages: int


# width up to: rows of a tile, hidden channels at a time, warps. Set by measurement: benchmarks/fused_block.py.
FORWARD = {24: (256, 32, 8), 48: (256, 32, 8), 96: (64, 32, 4), 192: (64, 64, 4), LARGEST_WIDTH: (64, 32, 8)}
BACKWARD = {24: (256, 16, 8), 48: (256, 16, 8), 96: (64, 32, 4), 192: (64, 32, 4), LARGEST_WIDTH: (64, 32, 8)}


def tile_of(width: int, frame: int, way: str) -> Tile:
    """Return the tile for maps of `frame` positions and `width` channels, `way` forward or backward."""
    given = FORWARD if way == "forward" else BACKWARD
    return make_tile(width, frame, *next(given[most] for most in given if width <= most))


def make_tile(width: int, frame: int, rows: int, hidden: int, warps: int, stages: int = 2) -> Tile:
    """Return a tile of so many rows, or of one frame if that has more."""
    padded = 1 << (frame - 1).bit_length()
    large = 1 << (width.bit_length() - 1)
    left = width - large
    pieces = max(large, 16), max(1 << (left - 1).bit_length(), 16) if left else 0
    return Tile(max(rows, padded) // padded, padded, pieces, hidden, warps, stages)


def is_available(device: torch.device) -> bool:
    """Return whether the kernels can run there: Triton, and a GPU that has bf16."""
    return device.type == "cuda" and HAS_TRITON and _computes_bf16()


@torch.compiler.assume_constant_result
def _computes_bf16() -> bool:
    return torch.cuda.get_device_capability() >= (8, 0)


def has_hooks(*modules: nn.Module) -> bool:
    """Return whether one of the modules has a hook of its own way forwards: then it must be called."""
    return any(m._forward_hooks or m._forward_pre_hooks for m in modules)


def fuses(block: Any, y: Tensor) -> bool:
    """Return whether a block goes on from its depthwise convolution y (N, H, W, E) by the kernels.

    The one place of that decision. Not where a submodule has a hook, which is to see what the plain form computes.
    """
    return (
        is_available(y.device)
        and y.dtype == torch.bfloat16
        and y.shape[1] * y.shape[2] <= LARGEST_FRAME
        and y.shape[3] <= LARGEST_WIDTH
        and not has_hooks(block.norm, block.widen, block.grn, block.narrow)
    )


class Weights(NamedTuple):
    """What of a block's weights the kernels read."""

    norm_weight: Tensor
    norm_bias: Tensor
    widen: Tensor
    widen_bias: Tensor
    gamma: Tensor
    beta: Tensor
    narrow: Tensor
    narrow_bias: Tensor

    @classmethod
    def of(cls, block: Any) -> "Weights":
        """Return those of a `model.Block`."""
        norm, widen, grn, narrow = block.norm, block.widen, block.grn, block.narrow
        return cls(norm.weight, norm.bias, widen.weight, widen.bias, grn.gamma, grn.beta, narrow.weight, narrow.bias)

    def of_type(self, dtype: torch.dtype) -> "Weights":
        """Return them with both matrices, the factors of products, in a type."""
        return self._replace(widen=self.widen.to(dtype), narrow=self.narrow.to(dtype))


def fused(block: Any, x: Tensor, y: Tensor) -> Tensor:
    """Return x plus what follows the depthwise convolution y; both (N, H, W, E). In y's type, sums in float32."""
    return block_forward(x, y, *Weights.of(block))[0]


def run_forward(x: Tensor, y: Tensor, weights: Weights, tile: Tile | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Run the kernel of the way forwards: see `block_forward`."""
    from . import block_kernels

    n, frame, width, hidden = sizes(y, weights)
    tile = tile or tile_of(width, frame, "forward")
    x, y = x.contiguous(), y.contiguous()
    out = torch.empty_like(y)
    norm, mean = y.new_empty(n, hidden, dtype=torch.float32), y.new_empty(n, dtype=torch.float32)
    block_kernels.block_forward[(-(-n // tile.frames),)](
        x, y, *weights.of_type(y.dtype), norm, mean, out, n, **constants(tile, y, hidden)
    )
    return out, norm, mean


def run_backward(
    dout: Tensor, y: Tensor, weights: Weights, norm: Tensor, mean: Tensor, tile: Tile | None = None
) -> tuple[Tensor, ...]:
    """Run the kernel of the way back. Result: dy and n (N, H, W, E); da and z (N H W, 4E); and the parts of vectors'
    gradients: see `block_kernels.block_backward`."""
    from . import block_kernels

    n, frame, width, hidden = sizes(y, weights)
    tile = tile or tile_of(width, frame, "backward")
    dout, y = dout.contiguous(), y.contiguous()
    dy, normed = torch.empty_like(y), torch.empty_like(y)
    da, z = y.new_empty(n * frame, hidden), y.new_empty(n * frame, hidden)
    programs = -(-n // tile.frames)
    partial = y.new_empty(programs, 2 * hidden + 3 * width, dtype=torch.float32)
    block_kernels.block_backward[(programs,)](
        y, dout, *weights.of_type(y.dtype)[:-1], norm, mean, torch.empty_like(norm), dy, normed, da, z, partial, n,
        **constants(tile, y, hidden),
    )  # fmt: skip
    return dy, normed, da, z, partial


@torch.library.custom_op("gbvnet::block_forward", mutates_args=())
def block_forward(
    x: Tensor,
    y: Tensor,
    norm_weight: Tensor,
    norm_bias: Tensor,
    widen: Tensor,
    widen_bias: Tensor,
    gamma: Tensor,
    beta: Tensor,
    narrow: Tensor,
    narrow_bias: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the block's output (N, H, W, E), and of GRN each channel's norm (N, 4E) and their mean (N,)."""
    weights = Weights(norm_weight, norm_bias, widen, widen_bias, gamma, beta, narrow, narrow_bias)
    return run_forward(x, y, weights)


@block_forward.register_fake
def _(x: Tensor, y: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
    n, _, _, hidden = sizes(y, Weights(*weights))
    empty = y.new_empty(y.shape)
    return empty, y.new_empty(n, hidden, dtype=torch.float32), y.new_empty(n, dtype=torch.float32)


@torch.library.custom_op("gbvnet::block_backward", mutates_args=())
def block_backward(
    dout: Tensor,
    y: Tensor,
    norm_weight: Tensor,
    norm_bias: Tensor,
    widen: Tensor,
    widen_bias: Tensor,
    gamma: Tensor,
    beta: Tensor,
    narrow: Tensor,
    narrow_bias: Tensor,
    norm: Tensor,
    mean: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of y, of both matrices, of the vectors side by side, and of beta."""
    weights = Weights(norm_weight, norm_bias, widen, widen_bias, gamma, beta, narrow, narrow_bias)
    dy, normed, da, z, partial = run_backward(dout, y, weights, norm, mean)
    width = y.shape[3]
    vectors = partial.sum(0)
    with torch.autocast(y.device.type, enabled=False):
        of_widen = torch.mm(da.t(), normed.view(-1, width))
        of_narrow = torch.mm(dout.to(y.dtype).reshape(-1, width).t(), z)
        of_beta = torch.mv(narrow.t(), vectors[-width:].to(narrow.dtype))
    return dy, of_widen.to(widen.dtype), of_narrow.to(narrow.dtype), vectors, of_beta


@block_backward.register_fake
def _(dout: Tensor, y: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
    weights = Weights(*others[:-2])
    _, _, width, hidden = sizes(y, weights)
    vectors = y.new_empty(2 * hidden + 3 * width, dtype=torch.float32)
    like = torch.empty_like
    return y.new_empty(y.shape), like(weights.widen), like(weights.narrow), vectors, like(weights.beta)


def _keep(ctx: Any, inputs: tuple, output: tuple[Tensor, Tensor, Tensor]) -> None:
    x, *kept = inputs
    ctx.save_for_backward(*kept, *output[1:])
    ctx.x_dtype = x.dtype


def _gradients(ctx: Any, dout: Tensor, *_: Tensor | None) -> tuple[Tensor, ...]:
    widen = ctx.saved_tensors[3]
    hidden, width = widen.shape
    dy, of_widen, of_narrow, vectors, of_beta = block_backward(dout, *ctx.saved_tensors)
    of_widen_bias, of_gamma, *of_norm, of_narrow_bias = vectors.split([hidden, hidden, width, width, width])
    dx = dout.to(ctx.x_dtype)
    return dx, dy, *of_norm, of_widen, of_widen_bias, of_gamma, of_beta, of_narrow, of_narrow_bias


block_forward.register_autograd(_gradients, setup_context=_keep)


def sizes(y: Tensor, weights: Weights) -> tuple[int, int, int, int]:
    """Return frames, positions of a frame, width and hidden width."""
    n, height, across, width = y.shape
    return n, height * across, width, weights.widen.shape[0]


def constants(tile: Tile, y: Tensor, hidden: int) -> dict[str, Any]:
    """Return the kernels' constants and launch options."""
    n, height, across, width = y.shape
    return {
        "E": width,
        "E1": tile.pieces[0],
        "E2": tile.pieces[1],
        "HIDDEN": hidden,
        "T": tile.hidden,
        "FRAME": height * across,
        "PADDED": tile.padded,
        "K": tile.frames,
        "RAGGED": tile.padded != height * across or n % tile.frames > 0,
        "PRECISION": "ieee" if y.dtype == torch.float32 else "tf32",
        "STAGES": tile.stages,
        "num_warps": tile.warps,
    }
