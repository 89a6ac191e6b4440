"""The block's kernels against its plain form in float64: outputs and all gradients.

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

from gbvnet.network.fused_block import fused
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
def test_in_half_precision_the_error_is_that_of_rounding():
    # The interpreter computes no products of bfloat16; float16 takes the same way through the kernels.
    errors = largest_errors(40, None, 4, 3, torch.float16)
    assert max(errors.values()) < 2e-3, errors


@of_kernels
def test_maps_of_zeros_have_finite_gradients_that_are_those_of_the_plain_form():
    errors = largest_errors(16, None, 2, 3, scale=0.0)
    assert max(errors.values()) < 1e-5, errors
