"""Structured pruning: whole channels are removed from a trained GBV-Net, which becomes a smaller network of that kind.

What can be removed are the channels between two layers, of which one writes them and others read them: those between
the 1x1 convolutions of each ConvNeXt V2 block, between the linear layers of each Transformer layer, and in the signal
encoder those of Eq. 3, of the TCN but its last 8, and of the feed-forward part of Eq. 5. On request also the channels
of each stage of the ConvNeXt V2, which its stem or downsampling, every block and the layer behind it share.

Two measures rank them. `norm` is the weights alone (Li et al. 2017, "Pruning Filters for Efficient ConvNets"). `grn` is
the response on training windows, times the weights that read the channel, as a response that nothing reads is worth
nothing (Sun et al. 2024 rank single weights so). In a ConvNeXt V2 block the response is GRN's own N, a channel's energy
in a frame beside the mean of all (Woo et al. 2023, who show that GRN keeps channels apart); elsewhere it is the root
mean square.

Two corrections keep what the removed channels did on average: their mean times the weights that read them goes into
the bias there, and where GRN divides by the mean over all channels, gamma is scaled to the mean over those that are
left. So a channel that never responds, or that nothing reads, can be removed without any change, except in a stage,
where the layer norms see fewer channels. Channels by their weights: Li et al. 2017, "Pruning Filters for Efficient
ConvNets"; by GRN: Woo et al. 2023, who show that it makes channels differ in their response.

Shapes: E channels of a layer, N, H, W, B, L as in model.py.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..config import PruneConfig, Widths
from ..errors import GbvnetError
from .batches import BatchSource, with_network_faces
from .model import SIZES, FaceEncoder, GBVNet, layer_widths, whole_widths

MEASURED = 1024  # training windows, equally spaced, on which responses are measured
BATCH = 32  # windows

Part = tuple[str, int]  # a tensor of the state dict, and its axis along the channels


class Layer(NamedTuple):
    """The channels between two layers."""

    place: tuple[str, int]  # the field of Widths, and the position there
    width: int  # E
    written: tuple[Part, ...]  # tensors that make the channels, or belong to each of them
    read: tuple[Part, ...]  # weights that read them
    at: str  # the module whose input they are
    axis: int  # of the channels in that input
    bias: str = ""  # added where they are read; "" where a norm comes first
    grn: str = ""  # the GRN that they pass


class Responses(NamedTuple):
    """How the channels of a layer respond on training windows, (E,) each."""

    mean: Tensor
    rms: Tensor
    relative: Tensor | None  # GRN's N, averaged over frames; None without a GRN


def prune_network(network: GBVNet, windows: BatchSource, how: PruneConfig) -> GBVNet:
    """Return a network with the share `how.keep` of the channels of each layer, at least one of them.

    windows : of the training side alone; they decide which channels go, and the corrections. The network stays as it is
    Raises GbvnetError if a part of the network sees none of them.
    """
    layers = prunable_layers(network, how.stages)
    if how.keep == 1:
        return _with_state(network, network.config.widths, network.state_dict())
    responses = measure_responses(network, windows, layers)
    state = {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
    kept = {}
    for layer in layers:
        score = channel_scores(state, layer, responses[layer.place] if how.by == "grn" else None)
        count = max(1, round(how.keep * layer.width))
        kept[layer.place] = score.argsort(descending=True, stable=True)[:count].sort().values
    for layer in layers:
        _correct(state, layer, kept[layer.place], responses[layer.place])
    for layer in layers:
        for name, axis in (*layer.written, *layer.read):
            state[name] = state[name].index_select(axis, kept[layer.place]).contiguous()
    widths = {name: list(value) for name, value in vars(layer_widths(network.config)).items()}
    for (name, position), channels in kept.items():
        widths[name][position] = len(channels)
    return _with_state(network, Widths(**{name: tuple(value) for name, value in widths.items()}), state)


def _with_state(network: GBVNet, widths: Widths, state: dict[str, Tensor]) -> GBVNet:
    """A network of these widths with this state; widths that are those of the whole network are left out."""
    whole = whole_widths(network.config)
    own = {name: () if value == getattr(whole, name) else value for name, value in vars(widths).items()}
    with torch.random.fork_rng(devices=[]):  # the global random state stays as it is
        made = GBVNet(replace(network.config, widths=Widths(**own)))
    made.load_state_dict(state)
    return made.eval()


# ------------------------------------------------------------------------------------------------------- the layers


def prunable_layers(network: GBVNet, stages: bool = False) -> list[Layer]:
    """Return the layers whose channels can be removed. stages: also those of the stages of the ConvNeXt V2."""
    layers: list[Layer] = []
    if network.sees_face and isinstance(network.face, FaceEncoder):
        layers += list(_stages(network)) if stages else []
        names = [name for blocks in _blocks(network) for name in blocks]
        layers += [_between(network, ("blocks", n), name, grn=f"{name}.grn") for n, name in enumerate(names)]
    if network.sees_face and network.time is not None:
        names = [f"time.layers.{n}" for n in range(len(network.time.layers))]
        layers += [_between(network, ("frames", n), name) for n, name in enumerate(names)]
    if network.sees_signals:
        layers += [*_convolutions(network), _between(network, ("wide", 0), "signals.wide")]
    return layers


def _between(network: GBVNet, place: tuple[str, int], name: str, grn: str = "") -> Layer:
    """The channels between `widen` and `narrow` of a module."""
    written = [(f"{name}.widen.weight", 0), (f"{name}.widen.bias", 0)]
    written += [(f"{grn}.gamma", 0), (f"{grn}.beta", 0)] if grn else []
    narrow = f"{name}.narrow"
    return Layer(
        place, _width(network, place), tuple(written), ((f"{narrow}.weight", 1),), narrow, -1, f"{narrow}.bias", grn
    )


def _convolutions(network: GBVNet) -> Iterator[Layer]:
    """The channels of Eq. 3, and those of the first two layers of the sequential TCN."""
    config, local = network.config, "signals.local"
    if config.local_cnn:
        yield _conv(network, ("local", 0), f"{local}.0", f"{local}.1.0")
    medium = "signals.medium"
    readers = {"sequential": (f"{medium}.0.0",), "parallel": tuple(f"{medium}.branches.{i}" for i in range(3))}
    last = ("local", 1) if config.local_cnn else ("local", 0)
    yield _conv(network, last, f"{local}.1" if config.local_cnn else local, *readers.get(config.tcn, (medium,)))
    if config.tcn == "sequential":
        for n in (0, 1):
            yield _conv(network, ("medium", n), f"{medium}.{n}", f"{medium}.{n + 1}.0")


def _conv(network: GBVNet, place: tuple[str, int], name: str, *readers: str) -> Layer:
    """The channels that a convolution with its batch norm, or one alone, writes, and that others read."""
    block = network.get_submodule(name)
    conv, norm = (f"{name}.0", f"{name}.1") if isinstance(block, nn.Sequential) else (name, "")
    written = [(f"{conv}.weight", 0), (f"{conv}.bias", 0)]
    written += [(f"{norm}.{part}", 0) for part in ("weight", "bias", "running_mean", "running_var")] if norm else []
    read = tuple((f"{reader}.weight", 1) for reader in readers)
    return Layer(place, _width(network, place), tuple(written), read, readers[0], 1, f"{readers[0]}.bias")


def _blocks(network: GBVNet) -> list[list[str]]:
    """The names of the blocks of each stage of the ConvNeXt V2."""
    depths, _ = SIZES[network.config.variant]
    return [[f"face.space.stages.{i}.{j}" for j in range(depth)] for i, depth in enumerate(depths)]


def _stages(network: GBVNet) -> Iterator[Layer]:
    """The channels of each stage, which run through all of its blocks."""
    space, stages = "face.space", _blocks(network)
    for i, blocks in enumerate(stages):
        first = [f"{space}.downs.{i - 1}.conv"] if i else [f"{space}.stem", f"{space}.stem_norm"]
        norm, reader = f"{space}.downs.{i}.norm", f"{space}.downs.{i}.conv"
        if i == len(stages) - 1:
            norm, reader = f"{space}.norm", "face.out"
        of_blocks = [f"{block}.{part}" for block in blocks for part in ("depthwise", "norm", "narrow")]
        written = [(f"{name}.{part}", 0) for name in (*first, *of_blocks, norm) for part in ("weight", "bias")]
        read = [(f"{name}.weight", 1) for name in (*(f"{block}.widen" for block in blocks), reader)]
        yield Layer(("stages", i), _width(network, ("stages", i)), tuple(written), tuple(read), norm, -1)


def _width(network: GBVNet, place: tuple[str, int]) -> int:
    name, position = place
    return getattr(layer_widths(network.config), name)[position]


# ------------------------------------------------------------------------------------------- which of them, and how


def channel_scores(state: dict[str, Tensor], layer: Layer, responses: Responses | None) -> Tensor:
    """Return the score of each channel, (E,): the L2 norm of the weights that read it, times its response; or, without
    responses, times the norm of the weights that write it."""
    if responses is None:
        return _norms(state, layer.written) * _norms(state, layer.read)
    return (responses.rms if responses.relative is None else responses.relative) * _norms(state, layer.read)


def _norms(state: dict[str, Tensor], parts: tuple[Part, ...]) -> Tensor:
    """The L2 norm of the weights of each channel, (E,), over all tensors that are no vectors."""
    weights = [state[name].movedim(axis, 0).flatten(1) for name, axis in parts if state[name].ndim > 1]
    return torch.cat(weights, 1).double().norm(dim=1)


@torch.no_grad()
def measure_responses(network: GBVNet, windows: BatchSource, layers: list[Layer]) -> dict[tuple[str, int], Responses]:
    """Return how the channels of each layer respond on windows, at most MEASURED of them.

    On a GPU frames without a face count, too: the network computes them there. Raises GbvnetError as `prune_network`.
    """
    sums = {layer.place: _Sums() for layer in layers}
    hooks = [
        network.get_submodule(layer.at).register_forward_pre_hook(sums[layer.place].hook(layer.axis))
        for layer in layers
    ]
    hooks += [
        network.get_submodule(layer.grn).register_forward_pre_hook(sums[layer.place].grn_hook())
        for layer in layers
        if layer.grn
    ]
    n = len(windows)
    sample = np.arange(n) if n <= MEASURED else np.linspace(0, n - 1, MEASURED).round().astype(int)
    device = next(network.parameters()).device
    network.to(windows.device).eval()
    try:
        for batch in windows.batches(sample[i : i + BATCH] for i in range(0, len(sample), BATCH)):
            network(*with_network_faces(batch)[:5])
    finally:
        for hook in hooks:
            hook.remove()
        network.to(device)
    for layer in layers:
        if sums[layer.place].n == 0:
            what = "signals" if layer.at.startswith("signals") else "a face"
            raise GbvnetError(f"pruning needs training windows with {what}, and none of the {n} windows has it")
    return {layer.place: sums[layer.place].responses() for layer in layers}


class _Sums:
    """Sums over positions and windows of the channels of a layer."""

    def __init__(self) -> None:
        self.n = self.frames = 0
        self.sum: Any = 0.0
        self.square: Any = 0.0
        self.relative: Any = 0.0

    def hook(self, axis: int) -> Any:
        def add(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            x = inputs[0].movedim(axis, -1).flatten(0, -2).double()  # (positions, E)
            self.n += len(x)
            self.sum, self.square = self.sum + x.sum(0).cpu(), self.square + x.square().sum(0).cpu()

        return add

    def grn_hook(self) -> Any:
        def add(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            norm = inputs[0].flatten(1, 2).double().square().sum(1).sqrt()  # (N, E)
            self.frames += len(norm)
            self.relative = self.relative + (norm / (norm.mean(-1, keepdim=True) + 1e-6)).sum(0).cpu()

        return add

    def responses(self) -> Responses:
        relative = self.relative / self.frames if self.frames else None
        return Responses(self.sum / self.n, (self.square / self.n).sqrt(), relative)


def _correct(state: dict[str, Tensor], layer: Layer, kept: Tensor, responses: Responses) -> None:
    """Change the bias behind the channels, and gamma of their GRN, as if the removed ones were still there on average.

    Nothing is changed where nothing is removed.
    """
    removed = torch.ones(layer.width, dtype=torch.bool)
    removed[kept] = False
    if not removed.any():
        return
    if layer.bias:
        mean, lost = responses.mean[removed], torch.zeros_like(state[layer.bias], dtype=torch.float64)
        for name, axis in layer.read:
            weight = state[name].double().movedim(axis, 1)[:, removed]  # (outputs, removed), or with the kernel behind
            lost += weight.flatten(2).sum(2) @ mean if weight.ndim > 2 else weight @ mean
        state[layer.bias] += lost.to(state[layer.bias])
    if layer.grn and responses.relative is not None:
        # N = G / mean of all G: over the kept channels alone the mean is larger by the mean of their N.
        gamma = f"{layer.grn}.gamma"
        state[gamma] *= responses.relative[kept].mean().to(state[gamma])


def describe_layers(network: GBVNet) -> str:
    """Return the widths of the pruned layers in words: "blocks 32, 64, 128, 256 of 64, 128, 256, 512; ..."."""
    whole = vars(whole_widths(network.config))
    own = {name: value for name, value in vars(network.config.widths).items() if value}
    return "; ".join(
        f"{name} {', '.join(map(str, value))} of {', '.join(map(str, whole[name]))}" for name, value in own.items()
    )
