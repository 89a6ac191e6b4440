"""The kernels of the block and of its norms against the plain form in float64: outputs and all gradients.

On a CPU by Triton's interpreter, which counts from the import of triton on: so in a process of its own.
"""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.library import opcheck

from gbvnet.network import fused_block, model
from gbvnet.network.fused_block import (
    KERNELS,
    Tile,
    block_backward,
    block_forward,
    fused,
    fuses,
    pieces_of,
    tile_of,
)
from gbvnet.network.fused_norm import fused_norm, fuses_norm, norm_forward
from gbvnet.network.model import Block

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
of_kernels = pytest.mark.skipif(not INTERPRETED, reason="runs in the process that has Triton's interpreter")


@needs_triton
@pytest.mark.skipif(INTERPRETED, reason="is that process")
def test_the_kernels_by_the_interpreter():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", __file__]
    done = subprocess.run(command, env=os.environ | {"TRITON_INTERPRET": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def random_block(width, hidden=None):
    block = Block(width, hidden)
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.3)
    return block


def plain(block, x, y):
    return x + block.narrow(block.grn(F.gelu(block.widen(block.norm(y)))))


def outputs_and_gradients(form, block, x, y, gradient):
    dtype = next(block.parameters()).dtype if next(block.parameters()).dtype == torch.float64 else x.dtype
    x, y = x.to(dtype).requires_grad_(), y.to(dtype).requires_grad_()
    weights = {name: p for name, p in block.named_parameters() if "depthwise" not in name}
    out = form(block, x, y)
    of_each = torch.autograd.grad(out, [x, y, *weights.values()], gradient.to(out.dtype))
    return {"out": out, **dict(zip(("x", "y", *weights), of_each, strict=True))}


def largest_errors(width, hidden, side, n, dtype=torch.float32, scale=1.0):
    """Of the kernels against the plain form in float64, for each value, as a share of its largest."""
    torch.manual_seed(0)
    block = random_block(width, hidden)
    x, y, gradient = (torch.randn(n, side, side, width).to(dtype) for _ in range(3))
    y = y * scale
    made = outputs_and_gradients(fused, block, x, y, gradient)
    assert made["out"].dtype == made["x"].dtype == made["y"].dtype == dtype
    assert all(made[name].dtype == torch.float32 for name, _ in block.named_parameters() if name in made)
    exact = outputs_and_gradients(plain, block.double(), x, y, gradient)
    return {name: ((made[name] - exact[name]).abs().max() / exact[name].abs().max()).item() for name in exact}


@of_kernels
@pytest.mark.parametrize(
    ("width", "hidden", "side", "n"),
    [
        (16, None, 16, 2),
        (40, None, 16, 1),
        (24, None, 14, 2),  # 196 positions in 256 rows
        (32, None, 8, 5),  # more tiles than one, the last in part empty
        (80, None, 4, 3),
        (40, None, 2, 70),
        (64, None, 7, 3),
        (48, 37, 3, 20),  # a pruned network: any hidden width
        (20, 50, 1, 3),
        (160, None, 2, 3),
        (320, 96, 2, 3),
    ],
)
def test_outputs_and_gradients_are_those_of_the_plain_form(width, hidden, side, n):
    errors = largest_errors(width, hidden, side, n)
    assert max(errors.values()) < 1e-5, errors


@of_kernels
@pytest.mark.parametrize(("width", "hidden", "side", "n"), [(24, 37, 3, 20), (40, None, 16, 1), (128, None, 2, 3)])
def test_either_way_of_making_the_products_gives_the_same(monkeypatch, width, hidden, side, n):
    for wide in (1, 1000):
        monkeypatch.setattr(fused_block, "WIDE", wide)
        errors = largest_errors(width, hidden, side, n)
        assert max(errors.values()) < 1e-5, errors


@of_kernels
def test_in_half_precision_the_error_is_that_of_rounding():
    # The interpreter computes no products of bfloat16; float16 takes the same way through the kernels.
    errors = largest_errors(40, None, 4, 3, torch.float16)
    assert max(errors.values()) < 2e-3, errors


@of_kernels
def test_maps_of_zeros_have_finite_gradients_that_are_those_of_the_plain_form():
    errors = largest_errors(16, None, 2, 3, scale=0.0)
    assert max(errors.values()) < 1e-5, errors


def arguments(block, x, y):
    norm, widen, grn, narrow = block.norm, block.widen, block.grn, block.narrow
    return x, y, norm.weight, norm.bias, widen.weight, widen.bias, grn.gamma, grn.beta, narrow.weight, narrow.bias


@of_kernels
@pytest.mark.parametrize("wide", [1, 1000])
def test_the_operations_are_what_torchs_compiler_takes_them_for(monkeypatch, wide):
    monkeypatch.setattr(fused_block, "WIDE", wide)
    torch.manual_seed(0)
    block = random_block(16)
    x, y = torch.randn(3, 2, 2, 16, requires_grad=True), torch.randn(3, 2, 2, 16, requires_grad=True)
    given = arguments(block, x, y)
    opcheck(block_forward, given)
    _, _, norm_weight, _, _, _, gamma, beta, narrow, _ = given
    kept = y, norm_weight, gamma, beta, narrow, *block_forward(*given)[1:]
    opcheck(block_backward, tuple(t.detach() for t in (x, *kept)))
    opcheck(norm_forward, (x, block.norm.weight, block.norm.bias, 2))


@of_kernels
def test_a_result_depends_neither_on_the_other_frames_nor_on_the_tile(monkeypatch):
    torch.manual_seed(0)
    block, y = random_block(24), torch.randn(7, 5, 5, 24)
    whole = fused(block, y, y)
    assert torch.allclose(fused(block, y[2:3], y[2:3]), whole[2:3], atol=1e-5)
    for tile in (Tile(64, 16, 4), Tile(32, 64, 4), Tile(16, 32, 4)):  # the last with frames in parts
        monkeypatch.setattr(fused_block, "tile_of", lambda *_, tile=tile: tile)
        assert torch.allclose(fused(block, y, y), whole, atol=1e-5)


@of_kernels
@pytest.mark.parametrize(
    ("width", "side", "patch", "n"), [(40, 8, 2, 3), (16, 4, 1, 5), (24, 6, 2, 2), (80, 4, 4, 3), (7, 2, 2, 700)]
)
def test_the_norm_in_patches_is_layer_norm(width, side, patch, n):
    torch.manual_seed(0)
    norm = nn.LayerNorm(width, eps=1e-6)
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(n, side, side, width, requires_grad=True)
    out = fused_norm(norm, x, patch)
    gradient = torch.randn_like(out)
    made = [out, *torch.autograd.grad(out, [x, *norm.parameters()], gradient)]
    exact, of_exact = norm.double(), x.detach().double().requires_grad_()
    expected = F.unfold(exact(of_exact).permute(0, 3, 1, 2), patch, stride=patch)  # channel before place in the patch
    expected = expected.view(n, width, patch**2, -1).permute(0, 3, 2, 1).reshape(out.shape)
    expected = [expected, *torch.autograd.grad(expected, [of_exact, *exact.parameters()], gradient.double())]
    assert all((a - b).abs().max() < 1e-5 * b.abs().max() for a, b in zip(made, expected, strict=True))


@of_kernels
def test_the_whole_face_encoder_by_the_kernels_is_the_plain_one(monkeypatch):
    torch.manual_seed(0)
    encoder = model.FaceEncoder("micro")
    for name, parameter in encoder.named_parameters():
        if "grn" in name or "norm" in name:
            nn.init.normal_(parameter, 1.0, 0.3)
    frames, results = torch.rand(3, 3, 32, 32), []
    for kernels in (False, True):
        for name in ("fuses", "fuses_norm", "is_asynchronous"):
            monkeypatch.setattr(model, name, lambda *_, kernels=kernels: kernels)
        out = encoder(frames)
        results.append([out, *torch.autograd.grad(out.square().sum(), list(encoder.parameters()))])
    assert all((a - b).abs().max() < 1e-4 * b.abs().max() for a, b in zip(*results, strict=True))


def test_what_is_fused(monkeypatch):
    block, norm = Block(16), nn.LayerNorm(16)
    y = torch.randn(2, 4, 4, 16, dtype=torch.bfloat16)
    assert not fuses(block, y) and not fuses_norm(norm, y)  # not on a CPU
    monkeypatch.setattr(fused_block, "has_kernels", lambda device: True)
    monkeypatch.setattr("gbvnet.network.fused_norm.has_kernels", lambda device: True)
    assert fuses(block, y) and fuses_norm(norm, y, 2)
    assert not fuses(block, y.float()) and not fuses_norm(norm, y.float())
    assert not fuses_norm(norm, y[:, :3], 2)
    for module in (block.grn, block.norm, block.widen, block.narrow):
        hook = module.register_forward_pre_hook(lambda *_: None)
        assert not fuses(block, y)
        hook.remove()
    assert fuses(block, y)


def test_every_tile_is_what_triton_needs():
    for width in range(1, 400):
        first, second = pieces_of(width + 1)
        assert width + 1 <= first + second <= max(2 * width, 16)
        assert all(size >= 16 and size & (size - 1) == 0 for size in filter(None, (first, second)))
        for kernel in KERNELS:
            tile = tile_of(kernel, width)
            assert tile.rows >= 64 and tile.rows & (tile.rows - 1) == 0
            assert tile.hidden >= 16 and tile.hidden & (tile.hidden - 1) == 0
