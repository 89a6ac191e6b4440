# mypy: ignore-errors
# Triton's language has Python's grammar, not its types.
"""Triton kernels of the ConvNeXt V2 block behind its depthwise convolution: one forwards, one for the way back.

All of it is local to a frame, so that one program computes whole frames: it reads a map of width E, makes the hidden
map in registers a few channels at a time, and does so twice, as GRN's scale needs the energy of all channels first.
No hidden map is read, and on the way forwards none is written. Every sum has a fixed order: no atomics.

Importing this file needs triton; `fused_block` imports it where a kernel is to run.

Shapes: R rows of a tile (positions of its frames), K frames of a tile, T hidden channels at a time, E = E1 + E2 the
width in two pieces that are powers of two (40 = 32 + 8), as Triton's tiles must be; a piece may be padded.
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
    return a * below, below + a * tl.exp2(a * a * -HALF_LOG2_E - LOG2_ROOT_TWO_PI)  # the density, not to be divided


@triton.jit
def tile_rows(N, FRAME: tl.constexpr, PADDED: tl.constexpr, K: tl.constexpr, RAGGED: tl.constexpr):
    """The rows of this program's frames, and which of them are there: (R,) each; its frames, and whether: (K,)."""
    first = tl.program_id(0) * K
    r = tl.arange(0, K * PADDED)
    frame, position = first + r // PADDED, r % PADDED
    frames = first + tl.arange(0, K)
    if RAGGED:
        live, there = (position < FRAME) & (frame < N), frames < N
    else:  # no conditions at all
        live, there = tl.full((K * PADDED,), 1, tl.int1), tl.full((K,), 1, tl.int1)
    return frame.to(tl.int64) * FRAME + position, live, frames, there


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
    return tl.load(pointer + at, at < E, 0.0)


@triton.jit
def centred(y, mean, START: tl.constexpr, PIECE: tl.constexpr, E: tl.constexpr):
    at = START + tl.arange(0, PIECE)
    return tl.where((at < E)[None, :], y - mean[:, None], 0.0)


@triton.jit
def of_frames(x, K: tl.constexpr, PADDED: tl.constexpr):
    """The sum over each frame's rows: (R, T) -> (K, T)."""
    if K == 1:
        return tl.sum(x, 0)[None, :]
    return tl.sum(tl.reshape(x, (K, PADDED, x.shape[1])), 1)


@triton.jit
def to_rows(x, like, K: tl.constexpr, PADDED: tl.constexpr):
    """Each frame's values at all of its rows: (K, T) -> (R, T)."""
    if K == 1:
        return tl.broadcast_to(x, like.shape)
    return tl.reshape(tl.broadcast_to(x[:, None, :], (K, PADDED, x.shape[1])), like.shape)


@triton.jit
def weights(
    pointer, start, T: tl.constexpr, HIDDEN: tl.constexpr, START: tl.constexpr, PIECE: tl.constexpr, E: tl.constexpr
):
    """Rows start .. start + T of a matrix (HIDDEN, E): (T, PIECE)."""
    rows, at = start + tl.arange(0, T), START + tl.arange(0, PIECE)
    return tl.load(pointer + rows[:, None] * E + at[None, :], (rows < HIDDEN)[:, None] & (at < E)[None, :], 0.0)


@triton.jit
def columns(
    pointer, start, T: tl.constexpr, HIDDEN: tl.constexpr, START: tl.constexpr, PIECE: tl.constexpr, E: tl.constexpr
):
    """Columns start .. start + T of a matrix (E, HIDDEN): (PIECE, T)."""
    rows, at = START + tl.arange(0, PIECE), start + tl.arange(0, T)
    return tl.load(pointer + rows[:, None] * HIDDEN + at[None, :], (rows < E)[:, None] & (at < HIDDEN)[None, :], 0.0)


@triton.jit
def block_forward(
    x, y, norm_weight, norm_bias, widen, widen_bias, gamma, beta, narrow, narrow_bias,
    norm, mean, out, N,
    E: tl.constexpr, E1: tl.constexpr, E2: tl.constexpr, HIDDEN: tl.constexpr, T: tl.constexpr,
    FRAME: tl.constexpr, PADDED: tl.constexpr, K: tl.constexpr, RAGGED: tl.constexpr, PRECISION: tl.constexpr,
    STAGES: tl.constexpr,
):  # fmt: skip
    """x, y, out: (N, FRAME, E). widen: (HIDDEN, E). narrow: (E, HIDDEN). norm: (N, HIDDEN). mean: (N,)."""
    rows, live, frames, there = tile_rows(N, FRAME, PADDED, K, RAGGED)
    y1 = load(y, rows, live, 0, E1, E).to(tl.float32)
    total = tl.sum(y1, 1)
    if E2 > 0:
        y2 = load(y, rows, live, E1, E2, E).to(tl.float32)
        total += tl.sum(y2, 1)
    centre = total / E
    y1 = centred(y1, centre, 0, E1, E)
    total = tl.sum(y1 * y1, 1)
    if E2 > 0:
        y2 = centred(y2, centre, E1, E2, E)
        total += tl.sum(y2 * y2, 1)
    rate = tl.rsqrt(total / E + NORM_EPS)[:, None]
    n1 = y1 * rate * vector(norm_weight, 0, E1, E)[None, :] + vector(norm_bias, 0, E1, E)[None, :]
    n1 = n1.to(widen.dtype.element_ty)
    if E2 > 0:
        n2 = y2 * rate * vector(norm_weight, E1, E2, E)[None, :] + vector(norm_bias, E1, E2, E)[None, :]
        n2 = n2.to(widen.dtype.element_ty)
    sums = tl.zeros((K,), tl.float32)
    for start in tl.range(0, HIDDEN, T, num_stages=STAGES):
        at = start + tl.arange(0, T)
        a = tl.dot(n1, tl.trans(weights(widen, start, T, HIDDEN, 0, E1, E)), input_precision=PRECISION)
        if E2 > 0:
            a = tl.dot(n2, tl.trans(weights(widen, start, T, HIDDEN, E1, E2, E)), a, input_precision=PRECISION)
        a += tl.load(widen_bias + at, at < HIDDEN, 0.0)[None, :]
        h = gelu(a)
        if RAGGED:
            h = tl.where(live[:, None], h, 0.0)
        root = tl.sqrt(of_frames(h * h, K, PADDED) + ROOT_EPS)
        root = tl.where((at < HIDDEN)[None, :], root, 0.0)
        tl.store(norm + frames[:, None] * HIDDEN + at[None, :], root, there[:, None] & (at < HIDDEN)[None, :])
        sums += tl.sum(root, 1)
    sums = sums / HIDDEN
    tl.store(mean + frames, sums, there)
    inverse = (1.0 / (sums + MEAN_EPS))[:, None]
    tl.debug_barrier()  # the norms are read again by other threads than those that wrote them
    out1 = tl.zeros((K * PADDED, E1), tl.float32)
    if E2 > 0:
        out2 = tl.zeros((K * PADDED, E2), tl.float32)
    for start in tl.range(0, HIDDEN, T, num_stages=STAGES):
        at = start + tl.arange(0, T)
        a = tl.dot(n1, tl.trans(weights(widen, start, T, HIDDEN, 0, E1, E)), input_precision=PRECISION)
        if E2 > 0:
            a = tl.dot(n2, tl.trans(weights(widen, start, T, HIDDEN, E1, E2, E)), a, input_precision=PRECISION)
        a += tl.load(widen_bias + at, at < HIDDEN, 0.0)[None, :]
        h = gelu(a)
        root = tl.load(norm + frames[:, None] * HIDDEN + at[None, :], there[:, None] & (at < HIDDEN)[None, :], 0.0)
        scale = 1.0 + tl.load(gamma + at, at < HIDDEN, 0.0)[None, :] * root * inverse
        z = h * to_rows(scale, h, K, PADDED) + tl.load(beta + at, at < HIDDEN, 0.0)[None, :]
        z = z.to(narrow.dtype.element_ty)
        out1 = tl.dot(z, tl.trans(columns(narrow, start, T, HIDDEN, 0, E1, E)), out1, input_precision=PRECISION)
        if E2 > 0:
            out2 = tl.dot(z, tl.trans(columns(narrow, start, T, HIDDEN, E1, E2, E)), out2, input_precision=PRECISION)
    out1 += vector(narrow_bias, 0, E1, E)[None, :] + load(x, rows, live, 0, E1, E).to(tl.float32)
    store(out, out1, rows, live, 0, E1, E)
    if E2 > 0:
        out2 += vector(narrow_bias, E1, E2, E)[None, :] + load(x, rows, live, E1, E2, E).to(tl.float32)
        store(out, out2, rows, live, E1, E2, E)


@triton.jit
def block_backward(
    y, dout, norm_weight, norm_bias, widen, widen_bias, gamma, beta, narrow,
    norm, mean, dscale, dy, normed, da_map, z_map, partial, N,
    E: tl.constexpr, E1: tl.constexpr, E2: tl.constexpr, HIDDEN: tl.constexpr, T: tl.constexpr,
    FRAME: tl.constexpr, PADDED: tl.constexpr, K: tl.constexpr, RAGGED: tl.constexpr, PRECISION: tl.constexpr,
    STAGES: tl.constexpr,
):  # fmt: skip
    """As of `block_forward`. dout, dy, normed: (N, FRAME, E). da_map, z_map: (N, FRAME, HIDDEN), for the weights'
    gradients. dscale: (N, HIDDEN), room for GRN. partial: (programs, 2 HIDDEN + 3 E), each program's part of the
    gradients of the biases of `widen`, of gamma, of LayerNorm's weight and bias, and of the bias of `narrow`.
    """
    rows, live, frames, there = tile_rows(N, FRAME, PADDED, K, RAGGED)
    y1 = load(y, rows, live, 0, E1, E).to(tl.float32)
    total = tl.sum(y1, 1)
    if E2 > 0:
        y2 = load(y, rows, live, E1, E2, E).to(tl.float32)
        total += tl.sum(y2, 1)
    centre = total / E
    y1 = centred(y1, centre, 0, E1, E)
    total = tl.sum(y1 * y1, 1)
    if E2 > 0:
        y2 = centred(y2, centre, E1, E2, E)
        total += tl.sum(y2 * y2, 1)
    rate = tl.rsqrt(total / E + NORM_EPS)
    n1 = y1 * rate[:, None] * vector(norm_weight, 0, E1, E)[None, :] + vector(norm_bias, 0, E1, E)[None, :]
    n1 = n1.to(widen.dtype.element_ty)
    store(normed, n1, rows, live, 0, E1, E)
    do1 = load(dout, rows, live, 0, E1, E)
    partial += tl.program_id(0) * (2 * HIDDEN + 3 * E)
    of_narrow = partial + 2 * HIDDEN + 2 * E
    piece = tl.arange(0, E1)
    tl.store(of_narrow + piece, tl.sum(do1.to(tl.float32), 0), piece < E)
    do1 = do1.to(widen.dtype.element_ty)
    if E2 > 0:
        n2 = y2 * rate[:, None] * vector(norm_weight, E1, E2, E)[None, :] + vector(norm_bias, E1, E2, E)[None, :]
        n2 = n2.to(widen.dtype.element_ty)
        store(normed, n2, rows, live, E1, E2, E)
        do2 = load(dout, rows, live, E1, E2, E)
        piece = E1 + tl.arange(0, E2)
        tl.store(of_narrow + piece, tl.sum(do2.to(tl.float32), 0), piece < E)
        do2 = do2.to(widen.dtype.element_ty)
    inverse = (1.0 / (tl.load(mean + frames, there, 1.0) + MEAN_EPS))[:, None]
    sums = tl.zeros((K,), tl.float32)
    for start in tl.range(0, HIDDEN, T, num_stages=STAGES):
        at = start + tl.arange(0, T)
        a = tl.dot(n1, tl.trans(weights(widen, start, T, HIDDEN, 0, E1, E)), input_precision=PRECISION)
        dz = tl.dot(do1, columns(narrow, start, T, HIDDEN, 0, E1, E), input_precision=PRECISION)
        if E2 > 0:
            a = tl.dot(n2, tl.trans(weights(widen, start, T, HIDDEN, E1, E2, E)), a, input_precision=PRECISION)
            dz = tl.dot(do2, columns(narrow, start, T, HIDDEN, E1, E2, E), dz, input_precision=PRECISION)
        a += tl.load(widen_bias + at, at < HIDDEN, 0.0)[None, :]
        of_scale = of_frames(dz * gelu(a), K, PADDED)  # rows that are not there have no gradient
        where = frames[:, None] * HIDDEN + at[None, :]
        here = there[:, None] & (at < HIDDEN)[None, :]
        tl.store(dscale + where, of_scale, here)
        of_gamma = of_scale * tl.load(norm + where, here, 0.0)
        sums += tl.sum(of_gamma * tl.load(gamma + at, at < HIDDEN, 0.0)[None, :], 1)
        tl.store(partial + HIDDEN + at, tl.sum(of_gamma * inverse, 0), at < HIDDEN)
    of_mean = -sums[:, None] * inverse * inverse / HIDDEN  # the gradient of each norm by way of their mean
    tl.debug_barrier()
    dn1 = tl.zeros((K * PADDED, E1), tl.float32)
    if E2 > 0:
        dn2 = tl.zeros((K * PADDED, E2), tl.float32)
    for start in tl.range(0, HIDDEN, T, num_stages=STAGES):
        at = start + tl.arange(0, T)
        w1 = weights(widen, start, T, HIDDEN, 0, E1, E)
        a = tl.dot(n1, tl.trans(w1), input_precision=PRECISION)
        dz = tl.dot(do1, columns(narrow, start, T, HIDDEN, 0, E1, E), input_precision=PRECISION)
        if E2 > 0:
            w2 = weights(widen, start, T, HIDDEN, E1, E2, E)
            a = tl.dot(n2, tl.trans(w2), a, input_precision=PRECISION)
            dz = tl.dot(do2, columns(narrow, start, T, HIDDEN, E1, E2, E), dz, input_precision=PRECISION)
        a += tl.load(widen_bias + at, at < HIDDEN, 0.0)[None, :]
        h, slope = gelu_and_slope(a)
        where = frames[:, None] * HIDDEN + at[None, :]
        here = there[:, None] & (at < HIDDEN)[None, :]
        root = tl.load(norm + where, here, 1.0)
        weight = tl.load(gamma + at, at < HIDDEN, 0.0)[None, :] * inverse
        scale = to_rows(1.0 + weight * root, h, K, PADDED)
        of_norm = tl.load(dscale + where, here, 0.0) * weight + of_mean
        z = h * scale + tl.load(beta + at, at < HIDDEN, 0.0)[None, :]
        store_hidden(z_map, z, rows, live, at, HIDDEN)
        # norm = sqrt(sum of h^2): its gradient of h is h / norm
        da = (dz * scale + h * to_rows(of_norm / root, h, K, PADDED)) * slope
        if RAGGED:
            da = tl.where(live[:, None], da, 0.0)
        tl.store(partial + at, tl.sum(da, 0), at < HIDDEN)
        da = da.to(widen.dtype.element_ty)
        store_hidden(da_map, da, rows, live, at, HIDDEN)
        dn1 = tl.dot(da, w1, dn1, input_precision=PRECISION)
        if E2 > 0:
            dn2 = tl.dot(da, w2, dn2, input_precision=PRECISION)
    of_norm_weight, of_norm_bias = partial + 2 * HIDDEN, partial + 2 * HIDDEN + E
    rate = rate[:, None]  # the map is read again: kept in registers, it would spill
    y1 = centred(load(y, rows, live, 0, E1, E).to(tl.float32), centre, 0, E1, E) * rate
    piece = tl.arange(0, E1)
    tl.store(of_norm_weight + piece, tl.sum(dn1 * y1, 0), piece < E)
    tl.store(of_norm_bias + piece, tl.sum(dn1, 0), piece < E)
    dn1 = dn1 * vector(norm_weight, 0, E1, E)[None, :]
    plain, along = tl.sum(dn1, 1), tl.sum(dn1 * y1, 1)
    if E2 > 0:
        y2 = centred(load(y, rows, live, E1, E2, E).to(tl.float32), centre, E1, E2, E) * rate
        piece = E1 + tl.arange(0, E2)
        tl.store(of_norm_weight + piece, tl.sum(dn2 * y2, 0), piece < E)
        tl.store(of_norm_bias + piece, tl.sum(dn2, 0), piece < E)
        dn2 = dn2 * vector(norm_weight, E1, E2, E)[None, :]
        plain += tl.sum(dn2, 1)
        along += tl.sum(dn2 * y2, 1)
    plain, along = (plain / E)[:, None], (along / E)[:, None]
    store(dy, (dn1 - plain - y1 * along) * rate, rows, live, 0, E1, E)
    if E2 > 0:
        store(dy, (dn2 - plain - y2 * along) * rate, rows, live, E1, E2, E)


@triton.jit
def store_hidden(pointer, value, rows, live, at, HIDDEN: tl.constexpr):
    where = pointer + rows[:, None] * HIDDEN + at[None, :]
    tl.store(where, value.to(pointer.dtype.element_ty), live[:, None] & (at < HIDDEN)[None, :])
