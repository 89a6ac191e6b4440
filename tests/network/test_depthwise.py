"""The depthwise kernels against nn.Conv2d in float64: on a GPU if there is one, else in Triton's interpreter."""

import os

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.parts import Counting, Parts
from gbvnet.network import model
from gbvnet.network.model import Block, Depthwise

GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if GPU else "cpu")
if not GPU and os.environ.get("TRITON_INTERPRET") != "1":  # Triton reads it when imported
    pytest.skip("needs a GPU, or Triton and TRITON_INTERPRET=1", allow_module_level=True)
pytest.importorskip("triton", reason="Triton is not installed: it comes with torch for NVIDIA GPUs")

from gbvnet.network import depthwise as kernels  # noqa: E402
from gbvnet.network.depthwise import depthwise  # noqa: E402

MANY = [(64, 16, 16, 40), (130, 8, 8, 80), (77, 4, 4, 160), (77, 2, 2, 320), (9, 28, 28, 24), (9, 56, 56, 16)]
SIZES = [
    (3, 4, 4, 5), (2, 16, 16, 3), (150, 2, 2, 7), (5, 2, 3, 10), (2, 1, 1, 4), (2, 7, 7, 3), (1, 19, 18, 1),
    (2, 5, 17, 2),
]  # fmt: skip


@pytest.fixture(autouse=True)
def exact_convolutions(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def inputs(size, dtype=torch.float32):
    """maps, weight, bias, and the gradient of the result."""
    generator = torch.Generator().manual_seed(0)
    shapes = size, (size[3], 1, 7, 7), (size[3],), size
    maps, weight, bias, gradient = (torch.randn(s, generator=generator).to(DEVICE) for s in shapes)
    return maps.to(dtype), weight, bias, gradient.to(dtype)


def reference(maps, weight, bias, gradient):
    """What torch computes in float64: the result, and the gradients of maps, weight and bias."""
    given = [t.detach().cpu().double().requires_grad_() for t in (maps, weight, bias)]
    out = F.conv2d(given[0].permute(0, 3, 1, 2), *given[1:], padding=3, groups=maps.shape[3]).permute(0, 2, 3, 1)
    return [out.detach(), *torch.autograd.grad(out, given, gradient.detach().cpu().double())]


def computed(maps, weight, bias, gradient):
    given = [t.detach().requires_grad_() for t in (maps, weight, bias)]
    out = depthwise(*given)
    return [out, *torch.autograd.grad(out, given, gradient.to(out.dtype))]


def difference(value, exact):
    norm = torch.linalg.vector_norm
    return float(norm(value.detach().cpu().double() - exact) / norm(exact).clamp(min=1e-30))


@pytest.mark.parametrize("size", SIZES + MANY * GPU, ids=str)
def test_result_and_gradients_are_those_of_the_convolution(size):
    given = inputs(size)
    for value, exact in zip(computed(*given), reference(*given), strict=True):
        assert value.shape == exact.shape and value.dtype == torch.float32
        assert difference(value, exact) < 2e-6


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("size", [SIZES[0], SIZES[5], *MANY[:4] * GPU], ids=str)
def test_maps_of_16_bit_are_summed_in_32_bit(size, dtype):
    given = inputs(size, dtype)
    out, of_maps, of_weight, of_bias = computed(*given)
    exact = reference(*given)
    assert out.dtype == of_maps.dtype == dtype and of_weight.dtype == of_bias.dtype == torch.float32
    rounding = torch.finfo(dtype).eps / 2
    assert all(difference(v, e) < rounding for v, e in zip((out, of_maps), exact, strict=False))
    assert all(difference(v, e) < 2e-6 for v, e in zip((of_weight, of_bias), exact[2:], strict=True))


def test_more_pixels_than_a_tile_and_more_tiles_than_programs(monkeypatch):
    monkeypatch.setattr(kernels, "PROGRAMS", 3)
    tall = 32 * kernels.WARPS * kernels.PER_THREAD_SUMMED // 16
    for frames in (tall // 4 - 1, 2 * tall + 1, 5 * tall):
        given = inputs((frames, 2, 2, 3))
        for value, exact in zip(computed(*given), reference(*given), strict=True):
            assert difference(value, exact) < 2e-6


def test_maps_that_are_not_contiguous():
    maps, weight, bias, gradient = inputs((2, 5, 4, 3))
    strange = maps.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
    turned = gradient.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)
    assert not strange.is_contiguous() and not turned.is_contiguous()
    for value, same in zip(
        computed(strange, weight, bias, turned), computed(maps, weight, bias, gradient), strict=True
    ):
        assert torch.equal(value, same)


def test_no_frames():
    out, *gradients = computed(*inputs((0, 4, 4, 3)))
    assert out.shape == (0, 4, 4, 3) and not any(g.any() for g in gradients)


def test_without_a_bias_and_with_weights_alone():
    maps, weight, bias, gradient = inputs((2, 4, 4, 3))
    out = depthwise(maps, weight.requires_grad_(), None)
    exact = reference(maps, weight, torch.zeros_like(bias), gradient)
    assert difference(out, exact[0]) < 2e-6
    (of_weight,) = torch.autograd.grad(out, weight, gradient)
    assert difference(of_weight, exact[2]) < 2e-6


def test_the_same_input_gives_the_same_bits():
    given = inputs(MANY[0] if GPU else SIZES[0], torch.bfloat16)
    assert all(torch.equal(a, b) for a, b in zip(computed(*given), computed(*given), strict=True))


def test_autocast_gives_its_precision():
    maps, weight, bias, gradient = inputs((2, 4, 4, 3))
    with torch.autocast(DEVICE.type, torch.bfloat16):
        out, *gradients = computed(maps, weight, bias, gradient)
    assert out.dtype == torch.bfloat16 and {g.dtype for g in gradients} == {torch.float32}
    assert difference(out, reference(maps, weight, bias, gradient)[0]) < 2**-8


def test_torch_checks_the_operations():
    maps, weight, bias, gradient = inputs((2, 3, 2, 2))
    taps = weight.flatten(1).t().contiguous()
    options = {"test_utils": ("test_schema", "test_autograd_registration", "test_faketensor")}
    sample = (maps.requires_grad_(), taps.requires_grad_(), bias.requires_grad_(), False, torch.float32)
    torch.library.opcheck(kernels._op, sample, **options)
    torch.library.opcheck(kernels._weight_op, (maps.detach(), gradient), **options)


def test_a_block_has_the_same_result_in_both_forms(monkeypatch):
    torch.manual_seed(0)
    block, x = Block(8).to(DEVICE), torch.randn(2, 4, 4, 8, device=DEVICE)
    nn.init.ones_(block.grn.gamma)
    results = []
    for own in (False, True):
        monkeypatch.setattr(model, "has_kernels", lambda device, own=own: own)
        block.zero_grad()
        y = block(x)
        y.square().sum().backward()
        results.append([y.detach(), *(p.grad.clone() for p in block.parameters())])
    assert all((a - b).abs().max() < 1e-4 for a, b in zip(*results, strict=True))


def test_the_compiler_takes_it_as_one_graph(monkeypatch):
    monkeypatch.setattr(model, "has_kernels", lambda device: True)
    torch.manual_seed(0)
    layer, x = Depthwise(3).to(DEVICE), torch.randn(2, 4, 4, 3, device=DEVICE)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    expected = layer(x)
    made = compiled(x)
    assert torch.equal(made, expected)
    made.sum().backward()
    assert torch.isfinite(layer.weight.grad).all()


def test_parameters_are_those_of_the_convolution():
    names = {name: tuple(t.shape) for name, t in Depthwise(6).state_dict().items()}
    assert names == {"weight": (6, 1, 7, 7), "bias": (6,)}


def test_the_operations_are_counted_as_the_convolution_is():
    parts = Parts()
    with Counting(parts) as counting:
        maps, weight, bias, gradient = (t.requires_grad_() for t in inputs((2, 3, 2, 2)))
        depthwise(maps, weight, bias).backward(gradient)
    flops = {
        way: sum(c["flops"] for (_, w), c in counting.cells.items() if w == way) for way in ("forward", "backward")
    }
    assert flops == {"forward": 2 * maps.numel() * 49, "backward": 2 * 2 * maps.numel() * 49}
