"""The depthwise 7x7 convolution as kernels of its own, for NVIDIA GPUs; importable only where Triton is.

The libraries' kernels for maps with the channels last are slow on the small maps of faces, the gradient of the weights
above all. Here a program holds a tile of pixels and channels in registers and reads the maps once for each tap,
shifted, from the cache. The loops are loops of the kernel, so that a shape compiles in a second. Sums are in float32,
and none is atomic: the same input gives the same result, bit by bit.

Shapes: N frames, H, W, E height, width and channels of a map; the filters are (49, E), tap 7 dy + dx. G groups
of tiles.
"""

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

TAPS = 49
WARPS = 4
PER_THREAD = 32  # numbers of a tile that a thread holds
PER_THREAD_SUMMED = 8  # the same where it holds a sum for each of seven taps
PROGRAMS = 132 * 16  # for the sums over pixels: what keeps a large GPU busy


class Plan(NamedTuple):
    """The map, the taps from the middle that reach into it, and how many channels a tile has. A kernel is compiled for
    each."""

    H: int
    W: int
    E: int
    RY: int
    RX: int
    WIDE: int


def plan_of(height: int, width: int, channels: int) -> Plan:
    """Return how maps of this size are cut into tiles: the widest power of two up to 64 that divides the channels, but
    16 at least, as a whole sector of the cache is read in any case."""
    wide = max(16, min(64, channels & -channels))
    return Plan(height, width, channels, min(3, height - 1), min(3, width - 1), wide)


@triton.jit(do_not_specialize=["n_pixels", "first_tap", "step", "with_bias"])
def _convolve(
    maps, taps, bias, out, n_pixels, first_tap, step, with_bias,
    H: tl.constexpr, W: tl.constexpr, E: tl.constexpr, RY: tl.constexpr, RX: tl.constexpr, WIDE: tl.constexpr,
    TALL: tl.constexpr,
):  # fmt: skip
    """A tile of TALL pixels and WIDE channels. The taps are read from `first_tap` in steps of `step`: -1 turns the
    filter."""
    first = tl.program_id(0).to(tl.int64) * TALL
    pixel = first + tl.arange(0, TALL)
    channel = tl.program_id(1) * WIDE + tl.arange(0, WIDE)
    known = channel < E
    row, column = (pixel // W) % H, pixel % W
    here = (tl.arange(0, TALL) * E)[:, None] + channel[None, :]
    valid = (pixel < n_pixels)[:, None] & known[None, :]
    maps, out = maps + first * E, out + first * E
    start = tl.load(bias + channel, mask=known & (with_bias != 0), other=0.0).to(tl.float32)
    total = tl.zeros((TALL, WIDE), tl.float32) + start[None, :]
    for dy in range(-RY, RY + 1):
        in_rows = (row + dy >= 0) & (row + dy < H)
        for dx in tl.static_range(-RX, RX + 1):
            inside = in_rows & (column + dx >= 0) & (column + dx < W)
            values = tl.load(maps + here + (dy * W + dx) * E, mask=valid & inside[:, None], other=0.0)
            tap = first_tap + step * ((dy + 3) * 7 + dx + 3)
            weight = tl.load(taps + tap * E + channel, mask=known, other=0.0)
            total += values.to(tl.float32) * weight[None, :]
    tl.store(out + here, total.to(out.dtype.element_ty), mask=valid)


@triton.jit
def _of_tap(gradient, maps, here, shift, valid, inside):
    """The products of one tap, over a tile."""
    values = tl.load(maps + here + shift, mask=valid & inside[:, None], other=0.0)
    return gradient * values.to(tl.float32)


@triton.jit(do_not_specialize=["n_pixels", "groups"])
def _correlate(
    maps, gradients, out, n_pixels, groups, TURNS: tl.constexpr,
    H: tl.constexpr, W: tl.constexpr, E: tl.constexpr, RY: tl.constexpr, RX: tl.constexpr, WIDE: tl.constexpr,
    TALL: tl.constexpr,
):  # fmt: skip
    """The sums of one row of taps, and of the gradient, over the tiles of a group: out (49 + 1, G, E)."""
    dy, group = tl.program_id(0) - RY, tl.program_id(2)
    channel = tl.program_id(1) * WIDE + tl.arange(0, WIDE)
    known = channel < E
    here = (tl.arange(0, TALL) * E)[:, None] + channel[None, :]
    zero = tl.zeros((TALL, WIDE), tl.float32)
    whole, t0, t1, t2, t3, t4, t5, t6 = zero, zero, zero, zero, zero, zero, zero, zero
    for turn in range(TURNS):
        first = (group + turn * groups).to(tl.int64) * TALL
        pixel = first + tl.arange(0, TALL)
        row, column = (pixel // W) % H, pixel % W
        valid = (pixel < n_pixels)[:, None] & known[None, :]
        gradient = tl.load(gradients + first * E + here, mask=valid, other=0.0).to(tl.float32)
        whole += gradient
        in_rows = (row + dy >= 0) & (row + dy < H)
        base, shift = maps + first * E, dy * W * E
        if RX >= 3:
            t0 += _of_tap(gradient, base, here, shift - 3 * E, valid, in_rows & (column >= 3))
            t6 += _of_tap(gradient, base, here, shift + 3 * E, valid, in_rows & (column + 3 < W))
        if RX >= 2:
            t1 += _of_tap(gradient, base, here, shift - 2 * E, valid, in_rows & (column >= 2))
            t5 += _of_tap(gradient, base, here, shift + 2 * E, valid, in_rows & (column + 2 < W))
        if RX >= 1:
            t2 += _of_tap(gradient, base, here, shift - E, valid, in_rows & (column >= 1))
            t4 += _of_tap(gradient, base, here, shift + E, valid, in_rows & (column + 1 < W))
        t3 += _of_tap(gradient, base, here, shift, valid, in_rows)
    at = out + ((dy + 3) * 7 * groups + group) * E + channel
    if RX >= 3:
        tl.store(at, tl.sum(t0, 0), mask=known)
        tl.store(at + 6 * groups * E, tl.sum(t6, 0), mask=known)
    if RX >= 2:
        tl.store(at + groups * E, tl.sum(t1, 0), mask=known)
        tl.store(at + 5 * groups * E, tl.sum(t5, 0), mask=known)
    if RX >= 1:
        tl.store(at + 2 * groups * E, tl.sum(t2, 0), mask=known)
        tl.store(at + 4 * groups * E, tl.sum(t4, 0), mask=known)
    tl.store(at + 3 * groups * E, tl.sum(t3, 0), mask=known)
    tl.store(out + (49 * groups + group) * E + channel, tl.sum(whole, 0), mask=known & (dy == 0))


@torch.library.custom_op("gbvnet::depthwise", mutates_args=())
def _op(maps: Tensor, taps: Tensor, bias: Tensor | None, turned: bool, dtype: torch.dtype) -> Tensor:
    """maps (N, H, W, E), taps (49, E) float32, bias (E,) float32 -> (N, H, W, E) of `dtype`. turned: the filter is
    turned by 180 degrees, as for the gradient of the input."""
    frames, *size = maps.shape
    out = torch.empty(maps.shape, dtype=dtype, device=maps.device)
    plan = plan_of(*size)
    pixels = frames * plan.H * plan.W
    if out.numel():
        tall = 32 * WARPS * PER_THREAD // plan.WIDE
        grid = (triton.cdiv(pixels, tall), triton.cdiv(plan.E, plan.WIDE))
        first, step = (TAPS - 1, -1) if turned else (0, 1)
        given = taps if bias is None else bias.contiguous()
        _convolve[grid](
            maps.contiguous(), taps.contiguous(), given, out, pixels, first, step, int(bias is not None),
            *plan, tall, num_warps=WARPS,
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
    if not maps.numel():
        return torch.zeros(TAPS + 1, plan.E, device=maps.device)
    pixels, tall = frames * plan.H * plan.W, 32 * WARPS * PER_THREAD_SUMMED // plan.WIDE
    tiles, wide = triton.cdiv(pixels, tall), triton.cdiv(plan.E, plan.WIDE)
    # A kernel is compiled for each number of turns: a power of two, so that there are few.
    turns = triton.next_power_of_2(max(1, tiles * (2 * plan.RY + 1) * wide // PROGRAMS))
    groups = triton.cdiv(tiles, turns)
    # Taps that never reach into the map are not computed: their gradient is zero.
    make = torch.empty if min(plan.RY, plan.RX) == 3 else torch.zeros
    sums = make(TAPS + 1, groups, plan.E, device=maps.device)
    _correlate[(2 * plan.RY + 1, wide, groups)](
        maps.contiguous(), gradient.contiguous(), sums, pixels, groups, turns, *plan, tall, num_warps=WARPS
    )
    return sums.sum(1)  # the second stage


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


def depthwise(maps: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the convolution of maps (N, H, W, E) with weight (E, 1, 7, 7), padded by 3: (N, H, W, E).

    Under autocast the result has autocast's precision, as that of conv2d; maps and weight are not rounded to it.
    """
    kind = maps.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else maps.dtype
    taps = weight.flatten(1).t().float().contiguous()  # (49, E): neighbouring threads read neighbouring channels
    return _op(maps, taps, None if bias is None else bias.float(), False, dtype)
