"""The ConvNeXt V2 block behind its depthwise convolution as a few kernels, on a GPU that computes in bf16.

Operation by operation a block reads and writes some 37 maps of its width forwards and 110 with the way back. All but
GRN is local to a position, and GRN to a frame, so that `block_kernels` keep the hidden maps, four times as wide, in
registers; on the way back two are written, for the gradients of the matrices. Wide blocks write them, for cuBLAS.

They are operations of torch's own registry, so that `torch.compile` and CUDA graphs take them as they are. Nothing here
waits for the GPU, and no choice depends on time: results repeat bit for bit.

The plain form in `model.Block` is what is meant; the kernels equal it but for rounding.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .devices import has_kernels

# Width from which on cuBLAS makes the products, and the hidden maps are written. By count of FLOPs and bytes, not yet
# by measurement (benchmarks/fused_block.py times both).
WIDE = 128
VALUES = 4096  # of a tile of kernels without products
KERNELS = ("energies", "outputs", "scale_gradients", "input_gradients")


class Tile(NamedTuple):
    """What one program computes: so many rows, so many hidden channels at a time.

    registers : at most so many a thread, so that more programs run at once
    """

    rows: int
    hidden: int
    warps: int
    registers: int | None = None
    stages: int = 2


# By width up to, the tile of each of KERNELS. By registers and instructions as compiled for sm_90, not yet by
# measurement (`benchmarks.fused_block --tiles` times others).
TILES = {
    48: (Tile(128, 32, 4), Tile(128, 32, 4), Tile(128, 32, 4), Tile(64, 32, 4, 168)),
    96: (Tile(64, 64, 4), Tile(64, 32, 4), Tile(128, 64, 8), Tile(64, 32, 4, 168)),
    128: (Tile(64, 64, 4), Tile(64, 32, 4), Tile(64, 64, 4), Tile(64, 32, 4)),
    192: (Tile(128, 64, 8), Tile(128, 64, 8), Tile(128, 64, 8), Tile(64, 32, 4)),
}


def tile_of(kernel: str, width: int) -> Tile:
    """Return the tile of one of KERNELS for maps of a width."""
    of_width = next(TILES[most] for most in sorted(TILES) if width <= most or most == max(TILES))
    return of_width[KERNELS.index(kernel)]


ELEMENTWISE = Tile(64, 64, 4)  # of the kernels of wide maps


def has_hooks(*modules: nn.Module) -> bool:
    """Return whether one of the modules has a hook of its own way forwards: then it must be called."""
    return any(m._forward_hooks or m._forward_pre_hooks for m in modules)


def fuses(block: Any, y: Tensor) -> bool:
    """Return whether a block goes on from its depthwise convolution y (N, H, W, E) by the kernels.

    The one place of that decision. Not where a submodule has a hook, which is to see what the plain form computes.
    """
    return (
        has_kernels(y.device)
        and y.dtype == torch.bfloat16
        and not has_hooks(block.norm, block.widen, block.grn, block.narrow)
    )


def fused(block: Any, x: Tensor, y: Tensor) -> Tensor:
    """Return x plus what follows the depthwise convolution y; both (N, H, W, E). In y's type, sums in float32."""
    norm, widen, grn, narrow = block.norm, block.widen, block.grn, block.narrow
    weights = norm.weight, norm.bias, widen.weight, widen.bias, grn.gamma, grn.beta, narrow.weight, narrow.bias
    return block_forward(x, y, *weights)[0]


class Shape(NamedTuple):
    """Of a block: frames, positions of each, width, hidden width; and the width and one more in two powers of two."""

    frames: int
    positions: int
    width: int
    hidden: int
    pieces: tuple[int, int]
    wide: bool

    @classmethod
    def of(cls, y: Tensor, hidden: int) -> "Shape":
        """Return that of a map and a hidden width."""
        n, height, across, width = y.shape
        return cls(n, height * across, width, hidden, pieces_of(width + 1), width >= WIDE)

    @property
    def padded(self) -> int:
        """The width of the map that enters the first product."""
        return sum(self.pieces)


def pieces_of(width: int) -> tuple[int, int]:
    """Return two powers of two that hold a width, each at least 16, the second 0 if one is enough."""
    whole = power_of_two(width)
    half = whole // 2
    left = power_of_two(width - half)
    return (half, left) if half >= 16 and half + left < whole else (whole, 0)


def power_of_two(least: int) -> int:
    """Return a power of two, 16 or more."""
    return max(16, 1 << (least - 1).bit_length())


def run(kernel: str, shape: Shape, tensors: tuple[Tensor, ...], tile: Tile | None = None) -> None:
    """Run one of KERNELS on its tensors, with another tile if it is given."""
    from . import block_kernels

    tile = tile or tile_of(kernel, shape.width)
    getattr(block_kernels, kernel)[(programs(shape, tile),)](
        *tensors,
        shape.frames,
        E=shape.width,
        P=shape.padded,
        P1=shape.pieces[0],
        P2=shape.pieces[1],
        PRECISION="ieee" if tensors[0].dtype == torch.float32 else "tf32",
        STAGES=tile.stages,
        **constants(shape, tile),
        **({} if tile.registers is None else {"maxnreg": tile.registers}),
    )


def run_wide(kernel: str, shape: Shape, tensors: tuple[Tensor, ...], tile: Tile = ELEMENTWISE) -> None:
    """Run one of the kernels of wide maps on its tensors."""
    from . import block_kernels

    grid = programs(shape, tile), -(-shape.hidden // tile.hidden)
    getattr(block_kernels, kernel)[grid](*tensors, shape.frames, **constants(shape, tile))


def constants(shape: Shape, tile: Tile) -> dict[str, Any]:
    """Return the constants and launch options that all kernels with tiles have."""
    span, parts = spans(shape, tile)
    in_a_tile = tile.rows // span
    return {
        "HIDDEN": shape.hidden,
        "T": tile.hidden,
        "FRAME": shape.positions,
        "SPAN": span,
        "K": in_a_tile,
        "PARTS": parts,
        "RAGGED": span * parts != shape.positions or shape.frames % in_a_tile > 0,
        "num_warps": tile.warps,
    }


def spans(shape: Shape, tile: Tile) -> tuple[int, int]:
    """Return how many positions of a frame a tile has, and in how many parts a frame comes."""
    span = min(1 << (shape.positions - 1).bit_length(), tile.rows)
    return span, -(-shape.positions // span)


def programs(shape: Shape, tile: Tile) -> int:
    """Return the number of tiles."""
    span, parts = spans(shape, tile)
    return -(-shape.frames // (tile.rows // span)) * parts


def partial_sums(kernel: str, shape: Shape, like: Tensor) -> Tensor:
    """Return room for the sums of each frame's parts: (N, parts, hidden)."""
    _, parts = spans(shape, ELEMENTWISE if shape.wide else tile_of(kernel, shape.width))
    return like.new_empty(shape.frames, parts, shape.hidden, dtype=torch.float32)


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
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the block's output (N, H, W, E), and what the way back needs: the norm of y (N, H, W, P); both matrices
    (4E, P) and (E, 4E); of a wide block what enters GELU and what GRN returns, (N H W, 4E); of GRN each channel's norm,
    one over their mean and the scale, (N, 4E), (N,), (N, 4E)."""
    from . import block_kernels

    with torch.autocast(y.device.type, enabled=False):
        shape = Shape.of(y, widen.shape[0])
        x, y = x.contiguous(), y.contiguous()
        out, n, wide, low, hidden, z, norm, inverse, scale = empty(y, widen, narrow)
        piece, whole = power_of_two(shape.padded), power_of_two(shape.hidden)
        sizes = {"E": shape.width, "P": shape.padded, "PIECE": piece}
        block_kernels.prepare[(-(-shape.hidden // 16),)](
            widen, widen_bias, narrow, wide, low, HIDDEN=shape.hidden, T=16, **sizes
        )
        count, rows = shape.frames * shape.positions, max(VALUES // piece, 1)
        block_kernels.normalise[(-(-count // rows),)](y, norm_weight, norm_bias, n, count, R=rows, **sizes)
        energy = partial_sums("energies", shape, y)
        if shape.wide:
            torch.mm(n.view(-1, shape.padded), wide.t(), out=hidden)
            run_wide("wide_energies", shape, (hidden, energy))
        else:
            run("energies", shape, (n, wide, energy))
        block_kernels.scales[(shape.frames,)](
            energy, gamma, norm, inverse, scale, HIDDEN=shape.hidden, PIECE=whole, PARTS=energy.shape[1]
        )
        if shape.wide:
            run_wide("wide_activations", shape, (hidden, scale, beta, z))
            torch.addmm(narrow_bias.to(y.dtype), z, low.t(), out=out.view(-1, shape.width))
            out += x
        else:
            run("outputs", shape, (n, x, wide, beta, low, narrow_bias, scale, out))
        return out, n, wide, low, hidden, z, norm, inverse, scale


def empty(y: Tensor, widen: Tensor, narrow: Tensor) -> tuple[Tensor, ...]:
    """Return tensors of the shapes and types that `block_forward` returns."""
    shape = Shape.of(y, widen.shape[0])
    of_frames = shape.frames, shape.hidden
    of_rows = shape.frames * shape.positions if shape.wide else 0, shape.hidden
    return (
        y.new_empty(y.shape),
        y.new_empty((*y.shape[:3], shape.padded)),
        y.new_empty(shape.hidden, shape.padded),
        y.new_empty(narrow.shape),
        y.new_empty(of_rows),
        y.new_empty(of_rows),
        y.new_empty(of_frames, dtype=torch.float32),
        y.new_empty(shape.frames, dtype=torch.float32),
        y.new_empty(of_frames, dtype=torch.float32),
    )


@block_forward.register_fake
def _(x: Tensor, y: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
    return empty(y, weights[2], weights[6])


@torch.library.custom_op("gbvnet::block_backward", mutates_args=())
def block_backward(
    dout: Tensor,
    y: Tensor,
    norm_weight: Tensor,
    gamma: Tensor,
    beta: Tensor,
    narrow: Tensor,
    n: Tensor,
    wide: Tensor,
    low: Tensor,
    hidden: Tensor,
    z: Tensor,
    norm: Tensor,
    inverse: Tensor,
    scale: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of y, of both matrices in the type of y, that of `widen` with its bias as column E, of gamma
    and beta, and those of LayerNorm's weight and bias and of the bias of `narrow`, (3, E)."""
    from . import block_kernels

    with torch.autocast(y.device.type, enabled=False):
        shape = Shape.of(y, wide.shape[0])
        y, dout = y.contiguous(), dout.to(y.dtype).contiguous()
        rows = dout.view(-1, shape.width)
        dscale = partial_sums("scale_gradients", shape, y)
        if shape.wide:
            da = torch.mm(rows, low)  # that of z, until its place is taken
            run_wide("wide_scale_gradients", shape, (hidden, da, dscale))
        else:
            run("scale_gradients", shape, (n, dout, wide, low, dscale))
        frames = 4  # of a program
        of_gamma = y.new_empty(-(-shape.frames // frames), shape.hidden, dtype=torch.float32)
        dy, pull = torch.empty_like(y), torch.empty_like(norm)
        block_kernels.norm_gradients[(len(of_gamma),)](
            dscale, gamma, norm, inverse, pull, of_gamma, shape.frames,
            HIDDEN=shape.hidden, PIECE=power_of_two(shape.hidden), PARTS=dscale.shape[1], FRAMES=frames,
        )  # fmt: skip
        if shape.wide:
            run_wide("wide_hidden_gradients", shape, (hidden, da, scale, pull))
            piece = power_of_two(shape.width)
            count, in_program = len(rows), max(VALUES // piece, 1)
            partial = y.new_empty(-(-count // in_program), 3, shape.width, dtype=torch.float32)
            block_kernels.normalise_back[(len(partial),)](
                y, torch.mm(da, wide), dout, norm_weight, dy, partial, count,
                E=shape.width, P=shape.padded, PIECE=piece, R=in_program,
            )  # fmt: skip
        else:
            da, z = y.new_empty(2, len(rows), shape.hidden)
            of_program = programs(shape, tile_of("input_gradients", shape.width))
            partial = y.new_empty(of_program, 3, shape.width, dtype=torch.float32)
            run("input_gradients", shape, (n, y, dout, norm_weight, wide, beta, low, scale, pull, dy, da, z, partial))
        vectors = partial.sum(0)
        of_wide = torch.mm(da.t(), n.view(-1, shape.padded))
        of_narrow = torch.mm(rows.t(), z)
        of_beta = torch.mv(narrow.t(), vectors[2].to(narrow.dtype))
        return dy, of_wide, of_narrow, of_gamma.sum(0), of_beta, vectors


@block_backward.register_fake
def _(dout: Tensor, y: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
    _, gamma, beta, narrow, _, wide, *_ = others
    like, vectors = torch.empty_like, y.new_empty(3, y.shape[3], dtype=torch.float32)
    return y.new_empty(y.shape), like(wide), y.new_empty(narrow.shape), like(gamma), like(beta), vectors


def _keep(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
    x, y, norm_weight, _, _, _, gamma, beta, narrow, _ = inputs
    ctx.save_for_backward(y, norm_weight, gamma, beta, narrow, *output[1:])
    ctx.x_dtype = x.dtype


def _gradients(ctx: Any, dout: Tensor, *_: Tensor | None) -> tuple[Tensor, ...]:
    width = dout.shape[3]
    dy, of_wide, of_narrow, of_gamma, of_beta, vectors = block_backward(dout, *ctx.saved_tensors)
    of_wide, of_narrow = of_wide.to(vectors.dtype), of_narrow.to(vectors.dtype)
    of_widen = of_wide[:, :width], of_wide[:, width]
    return dout.to(ctx.x_dtype), dy, vectors[0], vectors[1], *of_widen, of_gamma, of_beta, of_narrow, vectors[2]


block_forward.register_autograd(_gradients, setup_context=_keep)
