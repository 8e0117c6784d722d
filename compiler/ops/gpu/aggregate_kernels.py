"""The kernels of the aggregation: a tile of the map is made, or read, in registers and used up at once.

    y[n, c, p] = sum over taps u of F[n, head(c), u, p] * x[n, c, stride * p + u - G // 2]

F has one of two sources: a stored map, or CADA's factors, F = position + bank @ alpha, made anew wherever it is needed.
Pixels p run over the flattened output. A program takes a tile of pixels of one head and goes through the taps in
chunks; its loads of x overlap from tap to tap and come from the first cache. All sums are float32, and every number is
written once, by one program and in one order, so that equal calls give equal bits.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _made(bank, alpha, position, row, p, inside, base, pixels, BIAS: tl.constexpr, BASE: tl.constexpr):
    """The map's tile (taps, pixels) from its factors; `row` are the taps' rows in the bank, `inside` masks pixels."""
    i = tl.arange(0, BASE)
    made = tl.zeros((row.shape[0], p.shape[0]), tl.float32)
    for first in range(0, base, BASE):
        used = first + i < base
        kernels = tl.load(bank + row[:, None] * base + (first + i)[None, :], used[None, :], 0.0)
        shares = tl.load(alpha + (first + i)[:, None] * pixels + p[None, :], used[:, None] & inside[None, :], 0.0)
        made += tl.dot(kernels.to(tl.float32), shares.to(tl.float32), input_precision="tf32x3")
    if BIAS:
        made += tl.load(position + row).to(tl.float32)[:, None]
    return made


@triton.jit
def _source_pixels(u, p, inside, height, width, out_width, G: tl.constexpr, S: tl.constexpr):
    """Where taps u (taps,) of output pixels p (pixels,) read: flat input pixels (taps, pixels), and whether at all."""
    row = (p // out_width)[None, :] * S + (u // G)[:, None] - G // 2
    column = (p % out_width)[None, :] * S + (u % G)[:, None] - G // 2
    seen = (u < G * G)[:, None] & inside[None, :] & (row >= 0) & (row < height) & (column >= 0) & (column < width)
    return row * width + column, seen


@triton.jit
def forward(
    x, x_n, x_c, x_p, source, source_n, source_h, bank, position, y, y_n, y_c, y_p,
    channels, height, width, out_width, pixels, base, blocks,
    G: tl.constexpr, S: tl.constexpr, MADE: tl.constexpr, BIAS: tl.constexpr,
    P: tl.constexpr, T: tl.constexpr, C: tl.constexpr, BASE: tl.constexpr,
):  # fmt: skip
    """One tile of output pixels of one block of a head's channels of one image."""
    head, block, n = tl.program_id(1) // blocks, tl.program_id(1) % blocks, tl.program_id(2).to(tl.int64)
    p = tl.program_id(0) * P + tl.arange(0, P)
    c = block * C + tl.arange(0, C)
    inside, used, plane = p < pixels, c < channels, (head * channels + c)[None, :, None] * x_c
    total = tl.zeros((C, P), tl.float32)
    for first in range(0, G * G, T):
        u = first + tl.arange(0, T)
        row = head * G * G + tl.minimum(u, G * G - 1)
        at = source + n * source_n + head * source_h
        if MADE:
            weights = _made(bank, at, position, row, p, inside, base, pixels, BIAS, BASE)
        else:
            weights = tl.load(at + tl.minimum(u, G * G - 1)[:, None] * pixels + p[None, :], inside[None, :], 0.0)
        place, seen = _source_pixels(u, p, inside, height, width, out_width, G, S)
        mask = seen[:, None, :] & used[None, :, None]
        values = tl.load(x + n * x_n + plane + place[:, None, :] * x_p, mask, 0.0)
        total += tl.sum(weights.to(tl.float32)[:, None, :] * values.to(tl.float32), 0)
    out = y + n * y_n + (head * channels + c)[:, None] * y_c + p[None, :] * y_p
    tl.store(out, total, used[:, None] & inside[None, :])


@triton.jit
def input_gradient(
    dy, dy_n, dy_c, dy_p, source, source_n, source_h, bank, position, dx, dx_n, dx_c, dx_p,
    channels, height, width, out_width, pixels, base, blocks,
    G: tl.constexpr, S: tl.constexpr, MADE: tl.constexpr, BIAS: tl.constexpr,
    P: tl.constexpr, T: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """One tile of input pixels q: each tap of q leads back to at most one output pixel, whose kernel is looked up."""
    head, block, n = tl.program_id(1) // blocks, tl.program_id(1) % blocks, tl.program_id(2).to(tl.int64)
    q = tl.program_id(0) * P + tl.arange(0, P)
    c = block * C + tl.arange(0, C)
    inside, used, plane = q < height * width, c < channels, (head * channels + c)[None, :, None] * dy_c
    total = tl.zeros((C, P), tl.float32)
    for first in range(0, G * G, T):
        u = first + tl.arange(0, T)
        tap = tl.minimum(u, G * G - 1)
        down = (q // width)[None, :] + G // 2 - (u // G)[:, None]
        right = (q % width)[None, :] + G // 2 - (u % G)[:, None]
        seen = (u < G * G)[:, None] & inside[None, :] & (down >= 0) & (right >= 0)
        seen = seen & (down % S == 0) & (right % S == 0) & (right // S < out_width)
        p = (down // S) * out_width + right // S
        seen = seen & (p < pixels)
        at = source + n * source_n + head * source_h
        if MADE:
            weights = tl.zeros((T, P), tl.float32)
            for i in range(base):
                kernels = tl.load(bank + (head * G * G + tap) * base + i).to(tl.float32)
                weights += kernels[:, None] * tl.load(at + i * pixels + p, seen, 0.0).to(tl.float32)
            if BIAS:
                weights += tl.load(position + head * G * G + tap).to(tl.float32)[:, None]
        else:
            weights = tl.load(at + tap[:, None] * pixels + p, seen, 0.0).to(tl.float32)
        mask = seen[:, None, :] & used[None, :, None]
        values = tl.load(dy + n * dy_n + plane + p[:, None, :] * dy_p, mask, 0.0)
        total += tl.sum(weights[:, None, :] * values.to(tl.float32), 0)
    out = dx + n * dx_n + (head * channels + c)[:, None] * dx_c + q[None, :] * dx_p
    tl.store(out, total, used[:, None] & inside[None, :])


@triton.jit
def _products(
    x, x_c, x_p, dy, dy_c, dy_p, head, u, p, inside, channels, height, width, out_width,
    G: tl.constexpr, S: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """The map's gradient (taps, pixels) in one image: sums over a head's channels of dy and the x it was made from."""
    place, seen = _source_pixels(u, p, inside, height, width, out_width, G, S)
    total = tl.zeros((u.shape[0], p.shape[0]), tl.float32)
    for first in range(0, channels, C):
        c = first + tl.arange(0, C)
        used, plane = c < channels, head * channels + c
        mask = seen[:, None, :] & used[None, :, None]
        values = tl.load(x + plane[None, :, None] * x_c + place[:, None, :] * x_p, mask, 0.0)
        grad = tl.load(dy + plane[:, None] * dy_c + p[None, :] * dy_p, used[:, None] & inside[None, :], 0.0)
        total += tl.sum(values.to(tl.float32) * grad.to(tl.float32)[None, :, :], 1)
    return total


@triton.jit
def map_gradient(
    x, x_n, x_c, x_p, dy, dy_n, dy_c, dy_p, dmap, images, channels, height, width, out_width, pixels, chunks,
    G: tl.constexpr, S: tl.constexpr, P: tl.constexpr, T: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """One tile of pixels and one chunk of taps of a stored map, summed over the `images` that share it."""
    head, chunk, m = tl.program_id(1) // chunks, tl.program_id(1) % chunks, tl.program_id(2).to(tl.int64)
    p = tl.program_id(0) * P + tl.arange(0, P)
    u = chunk * T + tl.arange(0, T)
    inside = p < pixels
    total = tl.zeros((T, P), tl.float32)
    for n in range(m * images, (m + 1) * images):
        total += _products(
            x + n * x_n, x_c, x_p, dy + n * dy_n, dy_c, dy_p, head, u, p, inside,
            channels, height, width, out_width, G, S, C,
        )  # fmt: skip
    row = (m * tl.num_programs(1) // chunks + head) * G * G + u
    tl.store(dmap + row[:, None] * pixels + p[None, :], total, (u < G * G)[:, None] & inside[None, :])


@triton.jit
def share_gradient(
    x, x_n, x_c, x_p, dy, dy_n, dy_c, dy_p, bank, dalpha, images, heads, group,
    channels, height, width, out_width, pixels, base, blocks,
    G: tl.constexpr, S: tl.constexpr, P: tl.constexpr, T: tl.constexpr, C: tl.constexpr, BASE: tl.constexpr,
):  # fmt: skip
    """One tile of pixels of a block of coefficients, summed over a `group` of heads and the images that share them."""
    g, block, m = tl.program_id(1) // blocks, tl.program_id(1) % blocks, tl.program_id(2).to(tl.int64)
    p = tl.program_id(0) * P + tl.arange(0, P)
    i = block * BASE + tl.arange(0, BASE)
    inside, used = p < pixels, i < base
    total = tl.zeros((BASE, P), tl.float32)
    for n in range(m * images, (m + 1) * images):
        for head in range(g * group, tl.minimum((g + 1) * group, heads)):
            for first in range(0, G * G, T):
                u = first + tl.arange(0, T)
                grad = _products(
                    x + n * x_n, x_c, x_p, dy + n * dy_n, dy_c, dy_p, head, u, p, inside,
                    channels, height, width, out_width, G, S, C,
                )  # fmt: skip
                mask = used[:, None] & (u < G * G)[None, :]
                kernels = tl.load(bank + (head * G * G + u)[None, :] * base + i[:, None], mask, 0.0)
                total += tl.dot(kernels.to(tl.float32), grad, input_precision="tf32x3")
    row = (m * (tl.num_programs(1) // blocks) + g) * base + i
    tl.store(dalpha + row[:, None] * pixels + p[None, :], total, used[:, None] & inside[None, :])


@triton.jit
def bank_gradient(
    x, x_n, x_c, x_p, dy, dy_n, dy_c, dy_p, alpha, alpha_n, alpha_h, dbank, dposition, tiles, items,
    channels, height, width, out_width, pixels, base, chunks,
    G: tl.constexpr, S: tl.constexpr, P: tl.constexpr, T: tl.constexpr, C: tl.constexpr, BASE: tl.constexpr,
):  # fmt: skip
    """What one worker's share of all images' tiles adds to one chunk of taps and one block of base kernels."""
    head, chunk, block = tl.program_id(1) // chunks, tl.program_id(1) % chunks, tl.program_id(2)
    u = chunk * T + tl.arange(0, T)
    i = block * BASE + tl.arange(0, BASE)
    used = i < base
    total, bias = tl.zeros((T, BASE), tl.float32), tl.zeros((T,), tl.float32)
    for item in range(tl.program_id(0), items, tl.num_programs(0)):
        n, p = (item // tiles).to(tl.int64), (item % tiles) * P + tl.arange(0, P)
        inside = p < pixels
        grad = _products(
            x + n * x_n, x_c, x_p, dy + n * dy_n, dy_c, dy_p, head, u, p, inside,
            channels, height, width, out_width, G, S, C,
        )  # fmt: skip
        at = alpha + n * alpha_n + head * alpha_h
        shares = tl.load(at + i[None, :] * pixels + p[:, None], inside[:, None] & used[None, :], 0.0)
        total += tl.dot(grad, shares.to(tl.float32), input_precision="tf32x3")
        bias += tl.sum(grad, 1)
    row = tl.program_id(0).to(tl.int64) * (tl.num_programs(1) // chunks) * G * G + head * G * G + u
    tl.store(dbank + row[:, None] * base + i[None, :], total, (u < G * G)[:, None] & used[None, :])
    if block == 0:
        tl.store(dposition + row, bias, u < G * G)
