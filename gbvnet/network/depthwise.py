"""The depthwise 7x7 convolution as kernels of its own, for NVIDIA GPUs; importable only where Triton is.

The libraries' kernels for maps with the channels last are slow on the small maps of faces, the gradient of the weights
above all. Here a thread goes down the rows of one channel of one map, and its registers hold what the next rows need.
Threads are numbered through frames and channels together, so that no width leaves threads idle. Sums are in float32,
and none is atomic: the same input gives the same result, bit by bit.

Shapes: N frames, H, W, E height, width and channels of a map; the filters are (49, E), tap 7 dy + dx. G groups
of frames.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

TAPS = 49
WIDEST = 16  # columns of a map that a thread computes, at most
WARPS = 4
PIXELS = 4  # of a channel that a thread sums over, at least, for each sum that it writes: else writing takes longer
THREADS = 132 * 512  # for the sums over frames, at most: what keeps a large GPU busy


class Plan(NamedTuple):
    """How a map is cut into strips of columns. A kernel is compiled for each."""

    H: int
    W: int
    E: int
    STRIPS: int
    TW: int  # columns of a strip
    C0: int  # the columns that it is computed from, relative to its first: C0 to C1 - 1
    C1: int
    RY: int  # taps from the middle that reach into the map
    RX: int
    BLOCK: int  # channels of maps in a program


def plan_of(height: int, width: int, channels: int) -> Plan:
    """Return how maps of this size are cut."""
    strips = -(-width // WIDEST)
    tw = -(-width // strips)
    columns = (0, width) if strips == 1 else (-3, tw + 3)  # of a map's only strip, none outside it
    several = 4 if height * width <= 4 else 1  # of a thread: small maps are few bytes
    return Plan(
        height, width, channels, strips, tw, *columns, min(3, height - 1), min(3, width - 1), 32 * WARPS * several
    )


@triton.jit
def _row(
    first, valid, row, column, H: tl.constexpr, W: tl.constexpr, E: tl.constexpr, C0: tl.constexpr, C1: tl.constexpr
):
    """Columns C0 to C1 - 1 of a row of maps, relative to `column`, in float32; zeros outside the map."""
    values = ()
    there = valid & (row >= 0) & (row < H)
    for c in tl.static_range(C0, C1):
        at = column + c
        value = tl.load(first + (row * W + at) * E, mask=there & (at >= 0) & (at < W), other=0.0)
        values = values + (value.to(tl.float32),)
    return values


@triton.jit
def _add_row(
    sums, values, taps, start, TW: tl.constexpr, C0: tl.constexpr, C1: tl.constexpr, RY: tl.constexpr
):  # fmt: skip
    """What a row of the input adds to the rows of the output that it reaches, RY above it to RY below it."""
    out = ()
    for k in tl.static_range(2 * RY + 1):
        for x in tl.static_range(TW):
            total = start
            if k < 2 * RY:
                total = sums[k * TW + x]
            for dx in tl.static_range(-3, 4):
                if x + dx >= C0 and x + dx < C1:
                    total += taps[(3 + RY - k) * 7 + dx + 3] * values[x + dx - C0]
            out = out + (total,)
    return out


@triton.jit(do_not_specialize=["n_pairs", "first_tap", "step", "with_bias"])
def _convolve(
    maps, taps, bias, out, n_pairs, first_tap, step, with_bias,
    H: tl.constexpr, W: tl.constexpr, E: tl.constexpr, STRIPS: tl.constexpr, TW: tl.constexpr,
    C0: tl.constexpr, C1: tl.constexpr, RY: tl.constexpr, RX: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """A strip of BLOCK channels of maps. The taps are read from `first_tap` in steps of `step`: -1 turns the filter."""
    program = tl.program_id(0)
    column = (program % STRIPS) * TW
    pair = (program // STRIPS) * BLOCK + tl.arange(0, BLOCK)
    valid = pair < n_pairs
    channel = pair % E
    at = (pair // E).to(tl.int64) * (H * W * E) + channel
    filters = ()
    for t in tl.static_range(49):
        filters = filters + (tl.load(taps + (first_tap + step * t) * E + channel, mask=valid, other=0.0),)
    start = tl.load(bias + channel, mask=valid & (with_bias != 0), other=0.0).to(tl.float32)
    sums = ()  # of the output's rows from RY above the input's row on
    for _ in tl.static_range(2 * RY * TW):
        sums = sums + (start,)
    for row in range(H):
        values = _row(maps + at, valid, row, column, H, W, E, C0, C1)
        reached = _add_row(sums, values, filters, start, TW, C0, C1, RY)
        for x in tl.static_range(TW):  # the first of them is complete
            inside = valid & (row >= RY) & (column + x < W)
            tl.store(out + at + ((row - RY) * W + column + x) * E, reached[x].to(out.dtype.element_ty), mask=inside)
        sums = reached[TW:]
    for k in tl.static_range(RY):
        for x in tl.static_range(TW):
            value = sums[k * TW + x].to(out.dtype.element_ty)
            tl.store(out + at + ((H - RY + k) * W + column + x) * E, value, mask=valid & (column + x < W))


@triton.jit
def _add_products(
    sums, gradient, values, DY: tl.constexpr, TW: tl.constexpr, C0: tl.constexpr, C1: tl.constexpr,
    RY: tl.constexpr, RX: tl.constexpr,
):  # fmt: skip
    """The sums of taps with what a row of the gradient and the row of the input DY below it add to them."""
    out = ()
    for dy in tl.static_range(-RY, RY + 1):
        for dx in tl.static_range(-RX, RX + 1):
            total = sums[(dy + RY) * (2 * RX + 1) + dx + RX]
            if dy == DY:
                for x in tl.static_range(TW):
                    if x + dx >= C0 and x + dx < C1:
                        total += gradient[x] * values[x + dx - C0]
            out = out + (total,)
    return out


@triton.jit(do_not_specialize=["n_frames", "groups"])
def _correlate(
    maps, gradients, out, n_frames, groups, IN_GROUP: tl.constexpr,
    H: tl.constexpr, W: tl.constexpr, E: tl.constexpr, STRIPS: tl.constexpr, TW: tl.constexpr,
    C0: tl.constexpr, C1: tl.constexpr, RY: tl.constexpr, RX: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The sums of each tap, and of the gradient, over the frames of a group: (taps that reach the map + 1, G, E)."""
    pair = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    valid = pair < groups * E
    channel, group = pair % E, pair // E
    sums = ()
    for _ in tl.static_range((2 * RY + 1) * (2 * RX + 1)):
        sums = sums + (tl.zeros((BLOCK,), tl.float32),)
    whole = tl.zeros((BLOCK,), tl.float32)
    for k in range(IN_GROUP):
        frame = group + k * groups
        there = valid & (frame < n_frames)
        at = frame.to(tl.int64) * (H * W * E) + channel
        for step in range(H * STRIPS):
            row, column = step // STRIPS, (step % STRIPS) * TW
            gradient = _row(gradients + at, there, row, column, H, W, E, 0, TW)
            for x in tl.static_range(TW):
                whole += gradient[x]
            for dy in tl.static_range(-RY, RY + 1):
                values = _row(maps + at, there, row + dy, column, H, W, E, C0, C1)
                sums = _add_products(sums, gradient, values, dy, TW, C0, C1, RY, RX)
    for t in tl.static_range((2 * RY + 1) * (2 * RX + 1)):
        tl.store(out + t * groups * E + pair, sums[t], mask=valid)
    tl.store(out + (2 * RY + 1) * (2 * RX + 1) * groups * E + pair, whole, mask=valid)


@torch.library.custom_op("gbvnet::depthwise", mutates_args=())
def _op(maps: Tensor, taps: Tensor, bias: Tensor | None, turned: bool, dtype: torch.dtype) -> Tensor:
    """maps (N, H, W, E), taps (49, E) float32, bias (E,) float32 -> (N, H, W, E) of `dtype`. turned: the filter is
    turned by 180 degrees, as for the gradient of the input."""
    frames, *size = maps.shape
    out = torch.empty(maps.shape, dtype=dtype, device=maps.device)
    plan = plan_of(*size)
    pairs = frames * plan.E
    if pairs:
        _require_countable(pairs)
        grid = (plan.STRIPS * triton.cdiv(pairs, plan.BLOCK),)
        first, step = (TAPS - 1, -1) if turned else (0, 1)
        given = taps if bias is None else bias.contiguous()
        _convolve[grid](
            maps.contiguous(), taps.contiguous(), given, out, pairs, first, step, int(bias is not None),
            *plan, num_warps=WARPS, num_stages=1,
        )  # fmt: skip
    return out


@_op.register_fake
def _(maps: Tensor, taps: Tensor, bias: Tensor | None, turned: bool, dtype: torch.dtype) -> Tensor:
    return torch.empty(maps.shape, dtype=dtype, device=maps.device)


@torch.library.custom_op("gbvnet::depthwise_weight_gradient", mutates_args=())
def _weight_op(maps: Tensor, gradient: Tensor) -> Tensor:
    """maps, gradient: (N, H, W, E). Result: (50, E) float32, the gradients of the taps and then of the bias."""
    frames, *size = maps.shape
    plan = plan_of(*size)
    taps_y, taps_x = 2 * plan.RY + 1, 2 * plan.RX + 1
    if not maps.numel():
        return torch.zeros(TAPS + 1, plan.E, device=maps.device)
    n_sums = taps_y * taps_x + 1
    in_group = max(-(-PIXELS * n_sums // (plan.H * plan.W)), -(-frames * plan.E // THREADS))
    groups = -(-frames // in_group)
    _require_countable(groups * plan.E)
    sums = torch.empty(n_sums, groups, plan.E, device=maps.device)
    grid = (triton.cdiv(groups * plan.E, plan.BLOCK),)
    _correlate[grid](
        maps.contiguous(), gradient.contiguous(), sums, frames, groups, in_group, *plan, num_warps=WARPS, num_stages=1
    )
    sums = sums.sum(1)  # the second stage
    beyond = (0, 0, 3 - plan.RX, 3 - plan.RX, 3 - plan.RY, 3 - plan.RY)  # taps that never reach into the map
    taps = F.pad(sums[:-1].view(taps_y, taps_x, plan.E), beyond).view(TAPS, plan.E)
    return torch.cat([taps, sums[-1:]])


@_weight_op.register_fake
def _(maps: Tensor, gradient: Tensor) -> Tensor:
    return torch.empty(TAPS + 1, maps.shape[3], device=maps.device)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    maps, taps, bias, ctx.turned, _ = inputs
    ctx.has_bias = bias is not None
    ctx.save_for_backward(maps, taps)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    maps, taps = ctx.saved_tensors
    of_maps = of_taps = of_bias = None
    if ctx.needs_input_grad[0]:
        of_maps = _op(gradient, taps, None, not ctx.turned, maps.dtype)
    if any(ctx.needs_input_grad[1:3]):
        sums = _weight_op(maps, gradient)
        of_taps = sums[:TAPS].flip(0) if ctx.turned else sums[:TAPS]
        of_bias = sums[TAPS] if ctx.has_bias else None
    return of_maps, of_taps, of_bias, None, None


_op.register_autograd(_backward, setup_context=_save)


def _require_countable(pairs: int) -> None:
    """Raise ValueError if the kernels' 32-bit numbers of frames times channels do not suffice."""
    if pairs >= 2**31 - 2**16:
        raise ValueError(f"{pairs} channels of maps in a batch are too many for the depthwise kernels: use fewer")


def depthwise(maps: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the convolution of maps (N, H, W, E) with weight (E, 1, 7, 7), padded by 3: (N, H, W, E).

    Under autocast the result has autocast's precision, as that of conv2d; maps and weight are not rounded to it.
    """
    kind = maps.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else maps.dtype
    taps = weight.flatten(1).t().float().contiguous()  # (49, E): neighbouring threads read neighbouring channels
    return _op(maps, taps, None if bias is None else bias.float(), False, dtype)
