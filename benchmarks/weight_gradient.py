"""The weight gradient of the depthwise 7x7 on maps of 4x4 and 2x2 as a matrix product per channel, in a whole step.

It is not used: see docs/scaling.md. One core, both forms in turn. CPU time, so that other programs count less.
"""

import time
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor

from gbvnet.config import GBVNetConfig
from gbvnet.network.model import Block, GBVNet

BATCH, SIDE, LARGEST, ROUNDS, REACH = 32, 64, 4, 7, 3  # LARGEST: side of a map; REACH: of a 7x7 kernel


class ByProduct(torch.autograd.Function):
    """The depthwise convolution, with its weight gradient as one product per channel of all pairs of positions."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias, padding=REACH, groups=len(weight))

    @staticmethod
    def backward(ctx, gradient: Tensor):
        x, weight = ctx.saved_tensors
        n, channels, height, width = x.shape
        geometry = ([channels], [1, 1], [REACH] * 2, [1, 1], False, [0, 0], channels)
        of_x, _, _ = torch.ops.aten.convolution_backward(gradient, x, weight, *geometry, [True, False, False])
        rows = gradient.permute(1, 2, 3, 0).reshape(channels, height * width, n)
        pairs = torch.bmm(rows, x.permute(1, 0, 2, 3).reshape(channels, n, height * width))
        pairs = pairs.view(channels, height, width, height, width)  # output row, column; input row, column
        of_weight = torch.zeros_like(weight)[:, 0]
        for i in range(height):
            for j in range(width):
                down, right = (
                    slice(max(0, at - REACH), min(size, at + REACH + 1)) for at, size in ((i, height), (j, width))
                )
                taps = (slice(s.start - at + REACH, s.stop - at + REACH) for s, at in ((down, i), (right, j)))
                of_weight[:, *taps] += pairs[:, i, j, down, right]
        return of_x, of_weight[:, None], gradient.sum((0, 2, 3))


def by_product(self: Block, x: Tensor) -> Tensor:
    """As `Block.forward`, with that gradient on small maps."""
    if x.shape[1] > LARGEST:
        return PLAIN(self, x)
    conv = self.depthwise
    y = ByProduct.apply(x.permute(0, 3, 1, 2), conv.weight, conv.bias).permute(0, 2, 3, 1)
    return x + self.narrow(self.grn(F.gelu(self.widen(self.norm(y)))))


PLAIN = Block.forward


def measure():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for variant in ("micro", "atto"):
            net, step = training(variant)
            gradients, taken = {}, {PLAIN: [], by_product: []}
            for turn in range(ROUNDS + 1):
                for form in (PLAIN, by_product) if turn % 2 else (by_product, PLAIN):
                    Block.forward = form
                    began = time.process_time()
                    step()
                    if turn:  # the first is not counted
                        taken[form].append(time.process_time() - began)
                    gradients[form] = [p.grad.clone() for p in net.parameters()]
            ratios = [a / b for a, b in zip(taken[PLAIN], taken[by_product], strict=True)]
            what = f"{variant}: a training step / with weight gradients of small maps as products"
            yield {"what": what, "value": median(ratios), "unit": "x", "aim": "to be used: 1.05"}
            worst = max((a - b).abs().max().item() for a, b in zip(*gradients.values(), strict=True))
            yield {"what": f"{variant}: largest difference of a gradient", "value": worst, "unit": ""}
    finally:
        Block.forward = PLAIN
        torch.set_num_threads(threads)


def training(variant: str):
    torch.manual_seed(0)
    net = GBVNet(GBVNetConfig(variant=variant, modality_dropout=0.0)).train()
    frames, signals = net.config.n_frames, (net.config.n_channels, net.config.n_samples)
    inputs = torch.rand(BATCH, frames, 3, SIDE, SIDE), None, torch.randn(BATCH, *signals)
    y = (torch.arange(BATCH)[:, None] % 2).float()

    def step():
        torch.manual_seed(1)  # of dropout, the same in both forms
        net.zero_grad()
        F.binary_cross_entropy_with_logits(net(*inputs).logits, y).backward()

    return net, step
