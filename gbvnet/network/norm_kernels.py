# mypy: ignore-errors
# Triton's language has Python's grammar, not its types.
"""Triton kernels of LayerNorm over channels, whose result is in the order of patches: one forwards, one for the way
back. Each reads and writes a map once.

Importing this file needs triton; `fused_norm` imports it where a kernel is to run.
"""

import triton
import triton.language as tl

EPS = tl.constexpr(1e-6)


@triton.jit
def places(ROWS, R: tl.constexpr, WIDTH: tl.constexpr, SIDE: tl.constexpr):
    """This program's rows in the order of patches, the same positions in that of the map, and which are there: (R,).

    The rows of a patch of SIDE x SIDE follow each other, so that one patch is one vector.
    """
    row = tl.program_id(0) * R + tl.arange(0, R)
    patch, within = row // (SIDE * SIDE), row % (SIDE * SIDE)
    ACROSS: tl.constexpr = WIDTH // SIDE
    line, column = patch // ACROSS, patch % ACROSS  # a line of patches; lines of one frame follow those of another
    at = (line * SIDE + within // SIDE) * WIDTH + column * SIDE + within % SIDE
    return row.to(tl.int64), at.to(tl.int64), row < ROWS


@triton.jit
def norm_forward(
    x, weight, bias, out, ROWS,
    E: tl.constexpr, PIECE: tl.constexpr, R: tl.constexpr,
    WIDTH: tl.constexpr, SIDE: tl.constexpr,
):  # fmt: skip
    """x: (N, H, WIDTH, E). out: (N, H / SIDE, WIDTH / SIDE, SIDE * SIDE * E). ROWS = N H WIDTH."""
    row, at, live = places(ROWS, R, WIDTH, SIDE)
    e = tl.arange(0, PIECE)
    here = live[:, None] & (e < E)[None, :]
    value = tl.load(x + at[:, None] * E + e[None, :], here, 0.0).to(tl.float32)
    mean = tl.sum(value, 1) / E
    value = tl.where((e < E)[None, :], value - mean[:, None], 0.0)
    rate = tl.rsqrt(tl.sum(value * value, 1) / E + EPS)
    value = value * rate[:, None] * tl.load(weight + e, e < E, 0.0)[None, :] + tl.load(bias + e, e < E, 0.0)[None, :]
    tl.store(out + row[:, None] * E + e[None, :], value.to(out.dtype.element_ty), here)


@triton.jit
def norm_backward(
    x, weight, dout, dx, partial, ROWS,
    E: tl.constexpr, PIECE: tl.constexpr, R: tl.constexpr,
    WIDTH: tl.constexpr, SIDE: tl.constexpr,
):  # fmt: skip
    """As of `norm_forward`. partial: (programs, 2 E), each program's part of the gradients of weight and bias."""
    row, at, live = places(ROWS, R, WIDTH, SIDE)
    e = tl.arange(0, PIECE)
    here = live[:, None] & (e < E)[None, :]
    value = tl.load(x + at[:, None] * E + e[None, :], here, 0.0).to(tl.float32)
    given = tl.load(dout + row[:, None] * E + e[None, :], here, 0.0).to(tl.float32)
    mean = tl.sum(value, 1) / E
    value = tl.where((e < E)[None, :], value - mean[:, None], 0.0)
    rate = tl.rsqrt(tl.sum(value * value, 1) / E + EPS)
    value = value * rate[:, None]
    partial += tl.program_id(0) * 2 * E + e
    tl.store(partial, tl.sum(given * value, 0), e < E)
    tl.store(partial + E, tl.sum(given, 0), e < E)
    given = given * tl.load(weight + e, e < E, 0.0)[None, :]
    plain, along = tl.sum(given, 1) / E, tl.sum(given * value, 1) / E
    made = (given - plain[:, None] - value * along[:, None]) * rate[:, None]
    tl.store(dx + at[:, None] * E + e[None, :], made.to(dx.dtype.element_ty), here)
