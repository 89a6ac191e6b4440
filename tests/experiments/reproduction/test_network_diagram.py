"""The diagram is of the network that there is: its shapes, its parameters, and text that stays where it belongs."""

import matplotlib.image
import pytest
from matplotlib.patches import FancyBboxPatch

from gbvnet.config import GBVNetConfig
from gbvnet.experiments.reproduction import network_diagram as d
from gbvnet.network.model import GBVNet
from gbvnet.report.figures import DPI, save

WHOLE = GBVNetConfig(variant="micro", n_frames=3, n_channels=40)
BARE = GBVNetConfig(
    variant="micro", n_frames=1, n_channels=5, face_time="none", local_cnn=False, tcn="none", self_attention=False,
    residual=False, pooling="mean", fusion="concat",
)  # fmt: skip


def test_the_boxes_have_the_shapes_of_the_paper_and_the_networks_own():
    parts = d.find_parts(WHOLE, 64)
    assert [(part.name, part.shape) for part in parts.face] == [
        ("frames", (64, 64, 3)),
        ("patches", (16, 16, 16)),
        ("stage 1", (16, 16, 16)),
        ("stage 2", (8, 8, 32)),
        ("stage 3", (4, 4, 64)),
        ("stage 4", (2, 2, 128)),
        ("linear", (128,)),
        ("Transformer", (3, 128)),
    ]
    assert [(part.name, part.shape) for part in parts.signals] == [
        ("signals", (40, 128)),
        ("local CNN", (24, 128)),
        ("TCN", (8, 128)),
        ("conv. self-attention", (8, 128)),
        ("linear", (64,)),
    ]
    assert (parts.fusion.shape, parts.head.shape, parts.others) == ((192,), (1,), 192)
    assert parts.fusion.parameters == 37_152
    assert "FC 192 → 96" in parts.fusion.what
    assert [part.what for part in parts.signals[1:3]] == ["2 conv\nof 7 and 5", "3 conv of 3\ndilated 1, 2, 4"]


@pytest.mark.parametrize("config", [WHOLE, BARE])
def test_the_boxes_hold_every_parameter_once(config):
    parts = d.find_parts(config, 32)
    boxes = [*parts.face, *parts.signals, parts.fusion, parts.head]
    assert parts.others == 192  # the missing-modality embeddings alone are in no box
    assert sum(p.parameters for p in boxes) + 192 == sum(p.numel() for p in GBVNet(config).parameters())


def test_what_is_left_out_is_not_drawn():
    bare = d.find_parts(BARE, 32)
    assert "Transformer" not in [part.name for part in bare.face]
    assert [part.name for part in bare.signals] == [
        "signals",
        "projection",
        "projection",
        "no self-attention",
        "linear",
    ]
    assert not any("residual" in part.what for part in bare.signals)
    assert bare.face[-1].shape == (128,)
    alone = d.find_parts(GBVNetConfig(variant="micro", modality="peri", n_channels=8), 32)
    assert (alone.face, alone.fusion, alone.others) == ([], None, 0)


CASES = {
    "default": (GBVNetConfig(), 64),
    "wide": (GBVNetConfig(variant="tiny", n_frames=2, n_channels=128, n_samples=512, tcn="parallel", n_outputs=2), 224),
    "bare": (BARE, 112),
    "sum": (GBVNetConfig(variant="micro", fusion="sum"), 64),
    "literal": (GBVNetConfig(variant="micro", fusion="literal", modality="faceperi"), 64),
    "low_rank": (GBVNetConfig(variant="micro", fusion="low_rank"), 64),
    "cross_attention": (GBVNetConfig(variant="micro", fusion="cross_attention"), 64),
    "experts": (GBVNetConfig(variant="micro", fusion="experts"), 64),
    "face": (GBVNetConfig(variant="micro", modality="face"), 64),
    "eeg": (GBVNetConfig(variant="micro", modality="eeg"), 64),
}  # fmt: skip


@pytest.mark.journey
@pytest.mark.parametrize("case", CASES)
def test_it_is_1200_pixels_wide_and_no_text_leaves_its_box_or_the_figure(case, tmp_path):
    figure = d.diagram(*CASES[case])
    save(figure, tmp_path / "figure.png")
    assert matplotlib.image.imread(tmp_path / "figure.png").shape[1] == 1200
    figure.set_dpi(DPI)  # as it was saved
    renderer = figure.canvas.get_renderer()
    texts = [(t.get_text(), t.get_window_extent(renderer)) for t in figure.findobj(lambda a: hasattr(a, "get_text"))]
    texts = [(text, place) for text, place in texts if text.strip()]
    boxes = [a.get_window_extent(renderer) for a in figure.axes[0].patches if isinstance(a, FancyBboxPatch)]
    for text, place in texts:
        assert figure.bbox.x0 <= place.x0 and place.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= place.y0 and place.y1 <= figure.bbox.y1, text
        for box in boxes:  # the text whose middle is in a box is in it whole
            if box.contains((place.x0 + place.x1) / 2, (place.y0 + place.y1) / 2):
                assert box.x0 <= place.x0 and place.x1 <= box.x1, text
    for number, (text, place) in enumerate(texts):
        hit = [other for other, its in texts[:number] if place.overlaps(its)]
        assert not hit, (text, hit)


@pytest.mark.journey
def test_the_same_network_gives_the_same_picture(tmp_path):
    for name in ("one.png", "two.png"):
        save(d.diagram(WHOLE, 64), tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
