# mypy: ignore-errors
# Triton's language has Python's grammar, not its types.
"""Triton kernels of the ConvNeXt V2 block behind its depthwise convolution.

Its hidden map, four times as wide as the others, is made in registers a few channels at a time, as often as it is
needed: once for the energy of GRN, once for the output, and twice on the way back. Every sum has a fixed order, by no
atomics.

Importing this file needs triton; `fused_block` imports it where a kernel is to run.

Shapes: a tile has R = K SPAN rows, SPAN positions of each of K frames; a frame has PARTS tiles or, if K > 1, one. T
hidden channels at a time. The width E and a column of ones, which carries the bias, are padded to P = P1 + P2, two
powers of two, as Triton's tiles must be (40 is 32 + 16).
"""

import triton
import triton.language as tl

HALF_LOG2_E = tl.constexpr(0.7213475204444817)  # exp(-a^2 / 2) = 2^(-a^2 / 2 log2 e)
LOG2_ROOT_TWO_PI = tl.constexpr(1.3257480647361592)
NORM_EPS = tl.constexpr(1e-6)  # of LayerNorm
ROOT_EPS = tl.constexpr(1e-12)  # of GRN, under the root
MEAN_EPS = tl.constexpr(1e-6)  # of GRN, beside the mean


@triton.jit
def upper_tail(a):
    """The standard normal distribution beyond |a|, to 7e-7.

    Its logarithm is almost a parabola: a polynomial of degree 5, fitted so that the largest error of GELU is least
    (8e-7). Half as many instructions as erf, and they are what these kernels wait for.
    """
    s = tl.abs(a)
    power = -0.000500259339 * s + 0.00728237676
    power = power * s - 0.0523432381
    power = power * s - 0.459414065
    power = power * s - 1.151052
    return tl.exp2(power * s - 1.00000191)


@triton.jit
def gelu(a):
    return tl.maximum(a, 0.0) - tl.abs(a) * upper_tail(a)


@triton.jit
def gelu_and_slope(a):
    tail = upper_tail(a)
    below = tl.where(a > 0, 1.0 - tail, tail)
    return a * below, below + a * tl.exp2(a * a * -HALF_LOG2_E - LOG2_ROOT_TWO_PI)  # a times the density


@triton.jit
def tile_rows(
    N, FRAME: tl.constexpr, SPAN: tl.constexpr, K: tl.constexpr, PARTS: tl.constexpr, RAGGED: tl.constexpr
):  # fmt: skip
    """This program's rows, and which are there: (R,); its frames and places of partial sums, and which: (K,)."""
    tile = tl.program_id(0)
    first, part = (tile // PARTS) * K, tile % PARTS
    r = tl.arange(0, K * SPAN)
    frame, position = first + r // SPAN, part * SPAN + r % SPAN
    frames = first + tl.arange(0, K)
    if RAGGED:
        live, there = (position < FRAME) & (frame < N), frames < N
    else:  # no conditions at all
        live, there = tl.full((K * SPAN,), 1, tl.int1), tl.full((K,), 1, tl.int1)
    return frame.to(tl.int64) * FRAME + position, live, frames, frames * PARTS + part, there


@triton.jit
def load(pointer, rows, live, START: tl.constexpr, PIECE: tl.constexpr, E: tl.constexpr):
    """One piece of rows of width E: (R, PIECE), zeros where there is nothing."""
    at = START + tl.arange(0, PIECE)
    return tl.load(pointer + rows[:, None] * E + at[None, :], live[:, None] & (at < E)[None, :], 0.0)


@triton.jit
def store(pointer, value, rows, live, START: tl.constexpr, PIECE: tl.constexpr, E: tl.constexpr):
    at = START + tl.arange(0, PIECE)
    where = pointer + rows[:, None] * E + at[None, :]
    tl.store(where, value.to(pointer.dtype.element_ty), live[:, None] & (at < E)[None, :])


@triton.jit
def vector(pointer, START: tl.constexpr, PIECE: tl.constexpr, E: tl.constexpr):
    at = START + tl.arange(0, PIECE)
    return tl.load(pointer + at, at < E, 0.0)[None, :]


@triton.jit
def centred(y, mean, START: tl.constexpr, PIECE: tl.constexpr, E: tl.constexpr):
    at = START + tl.arange(0, PIECE)
    return tl.where((at < E)[None, :], y - mean[:, None], 0.0)


@triton.jit
def of_frames(x, SPAN: tl.constexpr, K: tl.constexpr):
    """The sum over each frame's rows: (R, T) -> (K, T)."""
    if K == 1:
        return tl.sum(x, 0)[None, :]
    return tl.sum(tl.reshape(x, (K, SPAN, x.shape[1])), 1)


@triton.jit
def to_rows(x, like, SPAN: tl.constexpr, K: tl.constexpr):
    """Each frame's values at all of its rows: (K, T) -> (R, T)."""
    if K == 1:
        return tl.broadcast_to(x, like.shape)
    return tl.reshape(tl.broadcast_to(x[:, None, :], (K, SPAN, x.shape[1])), like.shape)


@triton.jit
def of_channels(pointer, at, HIDDEN: tl.constexpr):
    return tl.load(pointer + at, at < HIDDEN, 0.0)[None, :]


@triton.jit
def table(pointer, places, there, at, HIDDEN: tl.constexpr):
    """Values of frames and channels, of a table (., HIDDEN): (K, T)."""
    here = there[:, None] & (at < HIDDEN)[None, :]
    return tl.load(pointer + places[:, None] * HIDDEN + at[None, :], here, 0.0)


@triton.jit
def store_table(pointer, value, places, there, at, HIDDEN: tl.constexpr):
    here = there[:, None] & (at < HIDDEN)[None, :]
    tl.store(pointer + places[:, None] * HIDDEN + at[None, :], value, here)


@triton.jit
def wide_rows(wide, at, START: tl.constexpr, PIECE: tl.constexpr, HIDDEN: tl.constexpr, P: tl.constexpr):
    """(T, PIECE) of the matrix (HIDDEN, P)."""
    e = START + tl.arange(0, PIECE)
    return tl.load(wide + at[:, None] * P + e[None, :], (at < HIDDEN)[:, None], 0.0)


@triton.jit
def narrow_columns(narrow, at, START: tl.constexpr, PIECE: tl.constexpr, HIDDEN: tl.constexpr, E: tl.constexpr):
    """(PIECE, T) of the matrix (E, HIDDEN)."""
    e = START + tl.arange(0, PIECE)
    return tl.load(narrow + e[:, None] * HIDDEN + at[None, :], (e < E)[:, None] & (at < HIDDEN)[None, :], 0.0)


@triton.jit
def prepare(
    widen, widen_bias, narrow, wide, low,
    E: tl.constexpr, P: tl.constexpr, PIECE: tl.constexpr, HIDDEN: tl.constexpr, T: tl.constexpr,
):  # fmt: skip
    """The weights as the products take them: wide (HIDDEN, P) is widen with its bias as column E; low is narrow."""
    at, e = tl.program_id(0) * T + tl.arange(0, T), tl.arange(0, PIECE)
    rows = (at < HIDDEN)[:, None]
    value = tl.load(widen + at[:, None] * E + e[None, :], rows & (e < E)[None, :], 0.0)
    value = tl.where((e == E)[None, :], tl.load(widen_bias + at, at < HIDDEN, 0.0)[:, None], value)
    tl.store(wide + at[:, None] * P + e[None, :], value.to(wide.dtype.element_ty), rows & (e < P)[None, :])
    where, here = e[:, None] * HIDDEN + at[None, :], (e < E)[:, None] & (at < HIDDEN)[None, :]
    tl.store(low + where, tl.load(narrow + where, here, 0.0).to(low.dtype.element_ty), here)


@triton.jit
def normalise(
    y, weight, bias, n, ROWS,
    E: tl.constexpr, P: tl.constexpr, PIECE: tl.constexpr, R: tl.constexpr,
):  # fmt: skip
    """LayerNorm, with a column of ones: y (ROWS, E) -> n (ROWS, P)."""
    row, e = tl.program_id(0).to(tl.int64) * R + tl.arange(0, R), tl.arange(0, PIECE)
    live = (row < ROWS)[:, None]
    value = tl.load(y + row[:, None] * E + e[None, :], live & (e < E)[None, :], 0.0).to(tl.float32)
    value = centred(value, tl.sum(value, 1) / E, 0, PIECE, E)
    rate = tl.rsqrt(tl.sum(value * value, 1) / E + NORM_EPS)[:, None]
    value = value * rate * vector(weight, 0, PIECE, E) + vector(bias, 0, PIECE, E)
    value = tl.where((e == E)[None, :], 1.0, value)
    tl.store(n + row[:, None] * P + e[None, :], value.to(n.dtype.element_ty), live & (e < P)[None, :])


@triton.jit
def energies(
    n, wide, energy, N,
    E: tl.constexpr, P: tl.constexpr, P1: tl.constexpr, P2: tl.constexpr, HIDDEN: tl.constexpr, T: tl.constexpr,
    FRAME: tl.constexpr, SPAN: tl.constexpr, K: tl.constexpr, PARTS: tl.constexpr, RAGGED: tl.constexpr,
    PRECISION: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """Each part's sum of squares of each channel of each frame: energy (N, PARTS, HIDDEN)."""
    rows, live, _, places, there = tile_rows(N, FRAME, SPAN, K, PARTS, RAGGED)
    n1 = load(n, rows, live, 0, P1, P)
    if P2 > 0:
        n2 = load(n, rows, live, P1, P2, P)
    for start in tl.range(0, HIDDEN, T, num_stages=STAGES):
        at = start + tl.arange(0, T)
        a = tl.dot(n1, tl.trans(wide_rows(wide, at, 0, P1, HIDDEN, P)), input_precision=PRECISION)
        if P2 > 0:
            a = tl.dot(n2, tl.trans(wide_rows(wide, at, P1, P2, HIDDEN, P)), a, input_precision=PRECISION)
        h = gelu(a)  # 0 in rows that are not there
        store_table(energy, of_frames(h * h, SPAN, K), places, there, at, HIDDEN)


@triton.jit
def scales(
    energy, gamma, norm, inverse, scale,
    HIDDEN: tl.constexpr, PIECE: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """GRN of one frame: the norm and the scale of each channel (N, HIDDEN), and one over the norms' mean (N,)."""
    frame, at = tl.program_id(0), tl.arange(0, PIECE)
    here = at < HIDDEN
    total = tl.zeros((PIECE,), tl.float32)
    for part in tl.static_range(PARTS):
        total += tl.load(energy + (frame * PARTS + part) * HIDDEN + at, here, 0.0)
    root = tl.where(here, tl.sqrt(total + ROOT_EPS), 0.0)
    one_over = 1.0 / (tl.sum(root, 0) / HIDDEN + MEAN_EPS)
    tl.store(inverse + frame, one_over)
    tl.store(norm + frame * HIDDEN + at, root, here)
    tl.store(scale + frame * HIDDEN + at, 1.0 + tl.load(gamma + at, here, 0.0) * root * one_over, here)


@triton.jit
def outputs(
    n, x, wide, beta, narrow, narrow_bias, scale, out, N,
    E: tl.constexpr, P: tl.constexpr, P1: tl.constexpr, P2: tl.constexpr, HIDDEN: tl.constexpr, T: tl.constexpr,
    FRAME: tl.constexpr, SPAN: tl.constexpr, K: tl.constexpr, PARTS: tl.constexpr, RAGGED: tl.constexpr,
    PRECISION: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """The output of the block: x, out (N, FRAME, E)."""
    rows, live, frames, _, there = tile_rows(N, FRAME, SPAN, K, PARTS, RAGGED)
    n1 = load(n, rows, live, 0, P1, P)
    out1 = tl.zeros((K * SPAN, P1), tl.float32)
    if P2 > 0:
        n2 = load(n, rows, live, P1, P2, P)
        out2 = tl.zeros((K * SPAN, P2), tl.float32)
    for start in tl.range(0, HIDDEN, T, num_stages=STAGES):
        at = start + tl.arange(0, T)
        a = tl.dot(n1, tl.trans(wide_rows(wide, at, 0, P1, HIDDEN, P)), input_precision=PRECISION)
        if P2 > 0:
            a = tl.dot(n2, tl.trans(wide_rows(wide, at, P1, P2, HIDDEN, P)), a, input_precision=PRECISION)
        h = gelu(a)
        z = h * to_rows(table(scale, frames, there, at, HIDDEN), h, SPAN, K) + of_channels(beta, at, HIDDEN)
        z = z.to(narrow.dtype.element_ty)
        out1 = tl.dot(z, tl.trans(narrow_columns(narrow, at, 0, P1, HIDDEN, E)), out1, input_precision=PRECISION)
        if P2 > 0:
            columns = narrow_columns(narrow, at, P1, P2, HIDDEN, E)
            out2 = tl.dot(z, tl.trans(columns), out2, input_precision=PRECISION)
    out1 += vector(narrow_bias, 0, P1, E) + load(x, rows, live, 0, P1, E).to(tl.float32)
    store(out, out1, rows, live, 0, P1, E)
    if P2 > 0:
        out2 += vector(narrow_bias, P1, P2, E) + load(x, rows, live, P1, P2, E).to(tl.float32)
        store(out, out2, rows, live, P1, P2, E)


@triton.jit
def scale_gradients(
    n, dout, wide, narrow, dscale, N,
    E: tl.constexpr, P: tl.constexpr, P1: tl.constexpr, P2: tl.constexpr, HIDDEN: tl.constexpr, T: tl.constexpr,
    FRAME: tl.constexpr, SPAN: tl.constexpr, K: tl.constexpr, PARTS: tl.constexpr, RAGGED: tl.constexpr,
    PRECISION: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """Each part's gradient of GRN's scale: dscale (N, PARTS, HIDDEN)."""
    rows, live, _, places, there = tile_rows(N, FRAME, SPAN, K, PARTS, RAGGED)
    n1 = load(n, rows, live, 0, P1, P)
    do1 = load(dout, rows, live, 0, P1, E)
    if P2 > 0:
        n2 = load(n, rows, live, P1, P2, P)
        do2 = load(dout, rows, live, P1, P2, E)
    for start in tl.range(0, HIDDEN, T, num_stages=STAGES):
        at = start + tl.arange(0, T)
        a = tl.dot(n1, tl.trans(wide_rows(wide, at, 0, P1, HIDDEN, P)), input_precision=PRECISION)
        dz = tl.dot(do1, narrow_columns(narrow, at, 0, P1, HIDDEN, E), input_precision=PRECISION)
        if P2 > 0:
            a = tl.dot(n2, tl.trans(wide_rows(wide, at, P1, P2, HIDDEN, P)), a, input_precision=PRECISION)
            dz = tl.dot(do2, narrow_columns(narrow, at, P1, P2, HIDDEN, E), dz, input_precision=PRECISION)
        store_table(dscale, of_frames(dz * gelu(a), SPAN, K), places, there, at, HIDDEN)


@triton.jit
def norm_gradients(
    dscale, gamma, norm, inverse, pull, of_gamma, N,
    HIDDEN: tl.constexpr, PIECE: tl.constexpr, PARTS: tl.constexpr, FRAMES: tl.constexpr,
):  # fmt: skip
    """GRN on the way back, FRAMES frames: pull (N, HIDDEN), by which a hidden value is multiplied for its gradient by
    way of the norm; of_gamma (programs, HIDDEN), each program's part of gamma's gradient."""
    at = tl.arange(0, PIECE)
    here = at < HIDDEN
    factor = tl.load(gamma + at, here, 0.0)
    made = tl.zeros((PIECE,), tl.float32)
    for i in range(FRAMES):
        frame = tl.program_id(0) * FRAMES + i
        also = here & (frame < N)
        total = tl.zeros((PIECE,), tl.float32)
        for part in tl.static_range(PARTS):
            total += tl.load(dscale + (frame * PARTS + part) * HIDDEN + at, also, 0.0)
        root = tl.load(norm + frame * HIDDEN + at, also, 1.0)
        one_over = tl.load(inverse + frame, frame < N, 0.0)
        made += total * root * one_over
        total *= factor  # what follows: of the norm itself and by way of the mean
        through_mean = tl.sum(tl.where(also, total * root, 0.0), 0) * one_over * one_over / HIDDEN
        tl.store(pull + frame * HIDDEN + at, (total * one_over - through_mean) / root, also)  # norm' = h / norm
    tl.store(of_gamma + tl.program_id(0) * HIDDEN + at, made, here)


@triton.jit
def input_gradients(
    n, y, dout, norm_weight, wide, beta, narrow, scale, pull, dy, da_map, z_map, partial, N,
    E: tl.constexpr, P: tl.constexpr, P1: tl.constexpr, P2: tl.constexpr, HIDDEN: tl.constexpr, T: tl.constexpr,
    FRAME: tl.constexpr, SPAN: tl.constexpr, K: tl.constexpr, PARTS: tl.constexpr, RAGGED: tl.constexpr,
    PRECISION: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """dy (N, FRAME, E); da_map, z_map (N, FRAME, HIDDEN), for the gradients of the matrices; partial (programs, 3, E),
    each program's part of the gradients of LayerNorm's weight and bias, and of the bias of `narrow`."""
    rows, live, frames, _, there = tile_rows(N, FRAME, SPAN, K, PARTS, RAGGED)
    partial += tl.program_id(0) * 3 * E
    n1 = load(n, rows, live, 0, P1, P)
    do1 = load(dout, rows, live, 0, P1, E)
    dn1 = tl.zeros((K * SPAN, P1), tl.float32)
    e1 = tl.arange(0, P1)
    tl.store(partial + 2 * E + e1, tl.sum(do1.to(tl.float32), 0), e1 < E)
    if P2 > 0:
        n2 = load(n, rows, live, P1, P2, P)
        do2 = load(dout, rows, live, P1, P2, E)
        dn2 = tl.zeros((K * SPAN, P2), tl.float32)
        e2 = P1 + tl.arange(0, P2)
        tl.store(partial + 2 * E + e2, tl.sum(do2.to(tl.float32), 0), e2 < E)
    for start in tl.range(0, HIDDEN, T, num_stages=STAGES):
        at = start + tl.arange(0, T)
        w1 = wide_rows(wide, at, 0, P1, HIDDEN, P)
        a = tl.dot(n1, tl.trans(w1), input_precision=PRECISION)
        dz = tl.dot(do1, narrow_columns(narrow, at, 0, P1, HIDDEN, E), input_precision=PRECISION)
        if P2 > 0:
            w2 = wide_rows(wide, at, P1, P2, HIDDEN, P)
            a = tl.dot(n2, tl.trans(w2), a, input_precision=PRECISION)
            dz = tl.dot(do2, narrow_columns(narrow, at, P1, P2, HIDDEN, E), dz, input_precision=PRECISION)
        h, slope = gelu_and_slope(a)
        of_rows = to_rows(table(scale, frames, there, at, HIDDEN), h, SPAN, K)
        z = h * of_rows + of_channels(beta, at, HIDDEN)
        store_hidden(z_map, z, rows, live, at, HIDDEN)
        da = (dz * of_rows + h * to_rows(table(pull, frames, there, at, HIDDEN), h, SPAN, K)) * slope
        da = da.to(wide.dtype.element_ty)
        store_hidden(da_map, da, rows, live, at, HIDDEN)
        dn1 = tl.dot(da, w1, dn1, input_precision=PRECISION)
        if P2 > 0:
            dn2 = tl.dot(da, w2, dn2, input_precision=PRECISION)
    y1 = load(y, rows, live, 0, P1, E).to(tl.float32)
    total = tl.sum(y1, 1)
    if P2 > 0:
        y2 = load(y, rows, live, P1, P2, E).to(tl.float32)
        total += tl.sum(y2, 1)
    y1 = centred(y1, total / E, 0, P1, E)
    squares = tl.sum(y1 * y1, 1)
    if P2 > 0:
        y2 = centred(y2, total / E, P1, P2, E)
        squares += tl.sum(y2 * y2, 1)
    rate = tl.rsqrt(squares / E + NORM_EPS)[:, None]
    y1 *= rate
    tl.store(partial + e1, tl.sum(dn1 * y1, 0), e1 < E)
    tl.store(partial + E + e1, tl.sum(dn1, 0), e1 < E)
    dn1 *= vector(norm_weight, 0, P1, E)
    plain, along = tl.sum(dn1, 1), tl.sum(dn1 * y1, 1)
    if P2 > 0:
        y2 *= rate
        tl.store(partial + e2, tl.sum(dn2 * y2, 0), e2 < E)
        tl.store(partial + E + e2, tl.sum(dn2, 0), e2 < E)
        dn2 *= vector(norm_weight, P1, P2, E)
        plain += tl.sum(dn2, 1)
        along += tl.sum(dn2 * y2, 1)
    plain, along = (plain / E)[:, None], (along / E)[:, None]
    store(dy, (dn1 - plain - y1 * along) * rate, rows, live, 0, P1, E)
    if P2 > 0:
        store(dy, (dn2 - plain - y2 * along) * rate, rows, live, P1, P2, E)


@triton.jit
def store_hidden(pointer, value, rows, live, at, HIDDEN: tl.constexpr):
    where = pointer + rows[:, None] * HIDDEN + at[None, :]
    tl.store(where, value.to(pointer.dtype.element_ty), live[:, None] & (at < HIDDEN)[None, :])


# ------------------------------------------- wide maps: cuBLAS makes the products, these kernels all between them


@triton.jit
def columns_of(HIDDEN: tl.constexpr, T: tl.constexpr):
    at = tl.program_id(1) * T + tl.arange(0, T)
    return at, at < HIDDEN


@triton.jit
def load_hidden(pointer, rows, live, at, HIDDEN: tl.constexpr):
    where = pointer + rows[:, None] * HIDDEN + at[None, :]
    return tl.load(where, live[:, None] & (at < HIDDEN)[None, :], 0.0).to(tl.float32)


@triton.jit
def wide_energies(
    hidden, energy, N,
    HIDDEN: tl.constexpr, T: tl.constexpr,
    FRAME: tl.constexpr, SPAN: tl.constexpr, K: tl.constexpr, PARTS: tl.constexpr, RAGGED: tl.constexpr,
):  # fmt: skip
    """As `energies`, of what enters GELU: hidden (N, FRAME, HIDDEN)."""
    rows, live, _, places, there = tile_rows(N, FRAME, SPAN, K, PARTS, RAGGED)
    at, _ = columns_of(HIDDEN, T)
    h = gelu(load_hidden(hidden, rows, live, at, HIDDEN))
    store_table(energy, of_frames(h * h, SPAN, K), places, there, at, HIDDEN)


@triton.jit
def wide_activations(
    hidden, scale, beta, z, N,
    HIDDEN: tl.constexpr, T: tl.constexpr,
    FRAME: tl.constexpr, SPAN: tl.constexpr, K: tl.constexpr, PARTS: tl.constexpr, RAGGED: tl.constexpr,
):  # fmt: skip
    """The output of GRN, z (N, FRAME, HIDDEN)."""
    rows, live, frames, _, there = tile_rows(N, FRAME, SPAN, K, PARTS, RAGGED)
    at, _ = columns_of(HIDDEN, T)
    h = gelu(load_hidden(hidden, rows, live, at, HIDDEN))
    made = h * to_rows(table(scale, frames, there, at, HIDDEN), h, SPAN, K) + of_channels(beta, at, HIDDEN)
    store_hidden(z, made, rows, live, at, HIDDEN)


@triton.jit
def wide_scale_gradients(
    hidden, dz, dscale, N,
    HIDDEN: tl.constexpr, T: tl.constexpr,
    FRAME: tl.constexpr, SPAN: tl.constexpr, K: tl.constexpr, PARTS: tl.constexpr, RAGGED: tl.constexpr,
):  # fmt: skip
    """As `scale_gradients`, of the gradient of GRN's output: dz (N, FRAME, HIDDEN)."""
    rows, live, _, places, there = tile_rows(N, FRAME, SPAN, K, PARTS, RAGGED)
    at, _ = columns_of(HIDDEN, T)
    h = gelu(load_hidden(hidden, rows, live, at, HIDDEN))
    products = h * load_hidden(dz, rows, live, at, HIDDEN)
    store_table(dscale, of_frames(products, SPAN, K), places, there, at, HIDDEN)


@triton.jit
def wide_hidden_gradients(
    hidden, dz, scale, pull, N,
    HIDDEN: tl.constexpr, T: tl.constexpr,
    FRAME: tl.constexpr, SPAN: tl.constexpr, K: tl.constexpr, PARTS: tl.constexpr, RAGGED: tl.constexpr,
):  # fmt: skip
    """The gradient of what enters GELU, in the place of dz."""
    rows, live, frames, _, there = tile_rows(N, FRAME, SPAN, K, PARTS, RAGGED)
    at, _ = columns_of(HIDDEN, T)
    h, slope = gelu_and_slope(load_hidden(hidden, rows, live, at, HIDDEN))
    made = load_hidden(dz, rows, live, at, HIDDEN) * to_rows(table(scale, frames, there, at, HIDDEN), h, SPAN, K)
    made = (made + h * to_rows(table(pull, frames, there, at, HIDDEN), h, SPAN, K)) * slope
    store_hidden(dz, made, rows, live, at, HIDDEN)


@triton.jit
def normalise_back(
    y, dn, dout, weight, dy, partial, ROWS,
    E: tl.constexpr, P: tl.constexpr, PIECE: tl.constexpr, R: tl.constexpr,
):  # fmt: skip
    """The gradient of LayerNorm's input from that of its result, dn (ROWS, P). partial: as of `input_gradients`."""
    row, e = tl.program_id(0).to(tl.int64) * R + tl.arange(0, R), tl.arange(0, PIECE)
    here = (row < ROWS)[:, None] & (e < E)[None, :]
    value = tl.load(y + row[:, None] * E + e[None, :], here, 0.0).to(tl.float32)
    given = tl.load(dn + row[:, None] * P + e[None, :], here, 0.0).to(tl.float32)
    value = centred(value, tl.sum(value, 1) / E, 0, PIECE, E)
    rate = tl.rsqrt(tl.sum(value * value, 1) / E + NORM_EPS)[:, None]
    value *= rate
    partial += tl.program_id(0) * 3 * E + e
    tl.store(partial, tl.sum(given * value, 0), e < E)
    tl.store(partial + E, tl.sum(given, 0), e < E)
    out = tl.load(dout + row[:, None] * E + e[None, :], here, 0.0).to(tl.float32)
    tl.store(partial + 2 * E, tl.sum(out, 0), e < E)
    given *= vector(weight, 0, PIECE, E)
    plain, along = tl.sum(given, 1) / E, tl.sum(given * value, 1) / E
    made = (given - plain[:, None] - value * along[:, None]) * rate
    tl.store(dy + row[:, None] * E + e[None, :], made.to(dy.dtype.element_ty), here)
