"""Figure 1 of the paper, drawn from the network itself: its modules, their parameters, and the shapes of their outputs
for one window."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.textpath import TextPath
from torch import nn

from ...config import GBVNetConfig
from ...network.complexity import noise
from ...network.model import FaceEncoder, GBVNet
from ...report.figures import COLOUR, INK, SOFT, empty_figure, styled

# Inches: of the figure, of a branch's panel and the room between two, of a box in it and the room below the box, of an
# arrow from box to box and from a branch into what follows; of the boxes of fusion and classifier.
WIDTH, PANEL, SPACING, BOX, BELOW, GAP, INTO = 7.5, 1.34, 0.12, 0.8, 0.24, 0.08, 0.42
FUSION, HEAD, HEAD_TALL = 0.88, 0.9, 0.95
NAME_SIZE, SIZE = 6.8, 6.2  # points
CAPTION = "In a box: its operations and number of parameters. Under it: the shape of its output for one {}."


class Part(NamedTuple):
    """One box: its name, its operations, its parameters, and the shape of its output for one window."""

    name: str
    what: str
    parameters: int
    shape: tuple[int, ...]  # of one frame, where a box processes each frame separately


class Parts(NamedTuple):
    """The boxes of a network. A missing branch is empty, a missing fusion None."""

    face: list[Part]
    signals: list[Part]
    fusion: Part | None
    head: Part
    others: int  # parameters in no box: the missing-modality embeddings


class _Spec(NamedTuple):
    """The modules of a box. The last one's output is the box's."""

    name: str
    what: str
    modules: Sequence[nn.Module]


def find_parts(config: GBVNetConfig, face_side: int) -> Parts:
    """Return the parts of a network with the shapes of their outputs, from one window passed through it.

    face_side : S, pixels
    """
    with torch.random.fork_rng():
        network, inputs = GBVNet(config).eval(), noise(config, face_side, 1)
    rows = {"face": list(_face(network)), "signals": list(_signals(network)), "end": list(_end(network))}
    shapes: dict[nn.Module, tuple[int, ...]] = {}
    last = [spec.modules[-1] for row in rows.values() for spec in row]
    hooks = [module.register_forward_hook(_note_in(shapes)) for module in last]
    with torch.no_grad():
        network(*inputs)
    for hook in hooks:
        hook.remove()
    made = {row: [_part(spec, shapes[spec.modules[-1]]) for spec in specs] for row, specs in rows.items()}
    faces, _, signals = inputs
    if faces is not None:
        made["face"].insert(0, _frames(faces))
    if signals is not None:
        made["signals"].insert(0, Part("signals", "z-scored\nby channel", 0, tuple(signals.shape[1:])))
    *fusion, head = made["end"]
    others = sum(p.numel() for p in network.parameters()) - sum(p.parameters for row in made.values() for p in row)
    return Parts(made["face"], made["signals"], fusion[0] if fusion else None, head, others)


def _frames(faces: torch.Tensor) -> Part:
    """The box of the input, faces (1, F, 3, S, S) or features (1, F, D)."""
    if faces.ndim == 3:
        return Part("features", "z-scored,\na frame", 0, tuple(faces.shape[2:]))
    return Part("frames", "aligned,\nRGB", 0, (*faces.shape[3:], faces.shape[2]))


def _note_in(shapes: dict[nn.Module, tuple[int, ...]]) -> Callable[..., None]:
    def note(module: nn.Module, _: Any, output: Any) -> None:
        shapes[module] = tuple((output[0] if isinstance(output, tuple) else output).shape)

    return note


def _part(spec: _Spec, shape: tuple[int, ...]) -> Part:
    """The first dimension is the batch, here of one window, or that of its frames."""
    parameters = sum(p.numel() for module in spec.modules for p in module.parameters())
    return Part(spec.name, spec.what, parameters, shape[1:])


# ------------------------------------------------------------------------------------- which modules make which box


def _face(network: GBVNet) -> Iterator[_Spec]:
    if not network.sees_face:
        return
    if isinstance(network.face, FaceEncoder):
        yield from _convnext(network.face)
    else:
        yield _Spec("linear", "of each\nframe", (network.face,))
    if network.time is not None:
        yield _Spec("Transformer", f"{len(network.time.layers)} layers over\nthe frames", (network.time,))


def _convnext(encoder: FaceEncoder) -> Iterator[_Spec]:
    space = encoder.space
    yield _Spec("patches", "conv {}×{}\nstride {}".format(*space.stem.kernel_size, *space.stem.stride[:1]),
                (space.stem, space.stem_norm))  # fmt: skip
    for i, stage in enumerate(space.stages):
        depth = len(list(stage.children()))
        blocks = f"{depth} block{'s' if depth > 1 else ''}"
        yield _Spec(f"stage {i + 1}", blocks, (*space.downs[i - 1 : i], stage))
    yield _Spec("linear", "after the\nmean of\nthe map", (space.norm, encoder.out))


def _signals(network: GBVNet) -> Iterator[_Spec]:
    if not network.sees_signals:
        return
    c, encoder = network.config, network.signals
    yield _Spec("local CNN" if c.local_cnn else "projection", _convolutions(encoder.local), (encoder.local,))
    name = {"sequential": "TCN", "parallel": "TCN, parallel", "none": "projection"}[c.tcn]
    yield _Spec(name, _convolutions(encoder.medium), (encoder.medium,))
    name = "conv. self-attention" if c.self_attention else "no self-attention"
    inside = "depthwise, pointwise,\n" + "self-attention, " * c.self_attention + "feed-forward"
    yield _Spec(name, inside + ("\n+ residual" if c.residual else ""), (encoder.wide,))
    pooled = f"pooling\nto {encoder.positions} positions" if encoder.positions > 1 else "mean of\nthe window"
    yield _Spec("linear", "after the " + pooled, (encoder.out,))


def _convolutions(module: nn.Module) -> str:
    """Kernels, or dilations where they are above 1, of all convolutions in a module."""
    convolutions = [m for m in module.modules() if isinstance(m, nn.Conv1d)]
    kernels, dilations = ([getattr(m, name)[0] for m in convolutions] for name in ("kernel_size", "dilation"))
    if kernels == [1]:
        return "1×1 conv"
    if max(dilations) > 1:
        return f"{len(kernels)} conv of {kernels[0]}\ndilated {', '.join(map(str, dilations))}"
    return f"{len(kernels)} conv\nof {' and '.join(map(str, kernels))}"


def _end(network: GBVNet) -> Iterator[_Spec]:
    if network.sees_both:
        name, operations = {
            "gate": ("gated fusion", "[f, b]\n↓\n{}\nReLU\n{}\nsigmoid\n↓\ng\n↓\ng · [f, b]"),
            "literal": ("gated fusion", "[f, b]\n↓\nsigmoid\n↓\ng\n↓\ng · [f, b]"),
            "concat": ("concatenation", "[f, b]"),
            "sum": ("sum", "f: {}\n+\nb: {}"),
            "low_rank": ("low-rank fusion", "f: {}\n×\nb: {}\n↓\nsum over ranks"),
            "cross_attention": ("cross-attention", "f attends to b\n↓\n[f + …, b + …]\n↑\nb attends to f"),
            "experts": ("experts", "f: {}\nb: {}\nReLU\n↓\nsum, weighted by\n{}\nsoftmax"),
        }[network.config.fusion]
        yield _Spec(name, operations.format(*_layers(network.fusion)), (network.fusion,))
    yield _Spec(
        "classifier",
        "{}\nReLU, dropout\n{} logit{}".format(*_layers(network.head), "s" * (network.config.n_outputs > 1)),
        (network.head,),
    )


def _layers(module: nn.Module) -> list[str]:
    return [f"FC {m.in_features} → {m.out_features}" for m in module.modules() if isinstance(m, nn.Linear)]


# ---------------------------------------------------------------------------------------------------------- drawing


@styled
def diagram(config: GBVNetConfig, face_side: int) -> Figure:
    """Draw the network as boxes and arrows, 1200 px wide: face above, signals below, then fusion and classifier.

    face_side : S, pixels
    """
    parts = find_parts(config, face_side)
    branches = [row for row in (parts.face, parts.signals) if row]
    height = (PANEL + SPACING) * len(branches) - SPACING
    boxes = [part for row in branches for part in row] + [parts.head] + ([parts.fusion] if parts.fusion else [])
    total = parts.others + sum(part.parameters for part in boxes)
    figure = empty_figure(WIDTH, height + 0.62, f"GBV-Net, {config.modality}: {total:,} parameters", ())
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0.3 / (height + 0.62), 1, height / (height + 0.62)))
    axes.set(xlim=(0, WIDTH), ylim=(0, height))  # inches
    axes.axis("off")

    end, middle = WIDTH - 0.08 - HEAD - INTO, height / 2
    if parts.fusion:
        end -= FUSION + 2 * GAP
        _box(axes, parts.fusion, (end + INTO, BELOW, FUSION, height - BELOW), COLOUR["facebio"])
        _arrow(axes, end + INTO + FUSION, middle, 2 * GAP)
    _box(axes, parts.head, (WIDTH - 0.08 - HEAD, middle - HEAD_TALL / 2, HEAD, HEAD_TALL), SOFT)
    for row in branches:
        _branch(axes, row, config, height - PANEL if row is parts.face else 0.0, end)
    others = f" {parts.others} more replace a missing modality." if parts.others else ""
    unit = "window, or frame" if parts.face else "window"
    figure.text(0.01, 0.02, CAPTION.format(unit) + others, fontsize=SIZE, color=SOFT)
    return figure


def _branch(axes: Axes, row: Sequence[Part], config: GBVNetConfig, bottom: float, right: float) -> None:
    """Draw a branch from left to right in its panel, and the arrow of its output feature."""
    face = row[0].name == "frames"
    colour = COLOUR["face"] if face else COLOUR.get(config.modality.removeprefix("face"), COLOUR["bio"])
    left, at = 0.08, bottom + BELOW + BOX / 2
    axes.add_patch(FancyBboxPatch((left, bottom), right - left, PANEL, boxstyle="round,pad=0,rounding_size=0.06",
                                  facecolor=_tint(colour, 0.08), edgecolor="none"))  # fmt: skip
    title = f"Face, {config.n_frames} frames a window: ConvNeXt V2 {config.variant}" if face else "Signals"
    title += f" · {sum(part.parameters for part in row):,} parameters"
    axes.text(left + 0.08, bottom + PANEL - 0.07, title, va="top", fontsize=NAME_SIZE + 0.4, color=INK)

    needs = [_needs(part) for part in row]
    spare = right - left - 0.16 - GAP * (len(row) - 1) - sum(needs)
    x = left + 0.08
    for part, needed in zip(row, needs, strict=True):
        if part is not row[0]:
            _arrow(axes, x - GAP, at, GAP)
        width = needed + spare / len(row)
        _box(axes, part, (x, at - BOX / 2, width, BOX), colour)
        x += width + GAP
    _arrow(axes, right, at, INTO)
    feature = f"{'f' if face else 'b'}: {row[-1].shape[-1]}"
    axes.text(right + INTO / 2, at - 0.05, feature, ha="center", va="top", fontsize=SIZE, color=SOFT)
    if face:
        axes.text(right + INTO / 2, at + 0.05, "mean of\nframes", ha="center", va="bottom", fontsize=SIZE, color=INK)


def _needs(part: Part) -> float:
    """The width that a box needs for the text in it and under it, inches."""
    lines = [*part.what.split("\n"), f"{part.parameters:,}", _joined(part.shape)]
    longest = max(_written(part.name, NAME_SIZE, "bold"), *(_written(line, SIZE) for line in lines))
    return longest + 0.08


def _written(text: str, size: float, weight: str = "normal") -> float:
    path = TextPath((0, 0), text, size=size, prop=FontProperties(weight=weight))
    return path.get_extents().width / 72


def _box(axes: Axes, part: Part, place: tuple[float, float, float, float], colour: str) -> None:
    """place : left, bottom, width, height in inches."""
    x, y, width, height = place
    axes.add_patch(FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0,rounding_size=0.05",
                                  facecolor=_tint(colour, 0.25), edgecolor=colour, linewidth=0.9))  # fmt: skip
    centre = x + width / 2
    axes.text(centre, y + height - 0.05, part.name, ha="center", va="top", fontsize=NAME_SIZE, color=INK, weight="bold")
    axes.text(centre, y + height / 2, part.what, ha="center", va="center", fontsize=SIZE, color=INK)
    if part.parameters:
        axes.text(centre, y + 0.05, f"{part.parameters:,}", ha="center", va="bottom", fontsize=SIZE, color=INK)
    axes.text(centre, y - 0.04, _joined(part.shape), ha="center", va="top", fontsize=SIZE, color=SOFT)


def _arrow(axes: Axes, x: float, y: float, length: float) -> None:
    axes.add_patch(FancyArrowPatch((x, y), (x + length, y), arrowstyle="-|>", mutation_scale=5, color=INK,
                                   linewidth=0.8, shrinkA=0, shrinkB=0))  # fmt: skip


def _joined(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))


def _tint(colour: str, strength: float) -> tuple[float, ...]:
    """The colour on white paper."""
    return tuple(1 - strength * (1 - channel) for channel in to_rgb(colour))
