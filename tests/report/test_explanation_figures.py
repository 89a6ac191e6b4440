"""Figures of explanations show the numbers they are given, in their place, with their stamps, whatever is missing."""

import numpy as np
import pandas as pd
import pytest

from gbvnet.datasets.deap import CHANNELS
from gbvnet.report import explanation_figures as maps
from gbvnet.report import figures
from gbvnet.report.explanation_outputs import BINARY, MulticlassOutput, RegressionOutput

from .. import fake_runs

CLASSES = ("low", "middle", "high")
OTHER_TASKS = (MulticlassOutput(CLASSES), RegressionOutput((1, 9)))
STAMPS = ["LEAKY: windows of one trial on both sides", "synthetic data"]


def channel_table(channels, folds=3):
    """auc_drop is the channel's number / 100 + fold / 1000, logit_change ten times that."""
    rows = [
        {"fold": fold, "channel": name, "kind": kind, "auc_drop": k / 100 + fold / 1000,
         "logit_change": k / 10 + fold / 100}
        for fold in range(folds) for k, (name, kind) in enumerate(channels)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def bars(axes):
    names = [t.get_text() for t in axes.get_yticklabels()]
    return dict(zip(names, [p.get_width() for p in axes.patches], strict=True))


@pytest.fixture(scope="module")
def deap_map():
    return maps.channel_map(channel_table([(c.name, c.kind) for c in CHANNELS]), "a run", STAMPS)


@pytest.mark.journey
def test_electrodes_are_on_the_scalp_and_all_others_are_bars(deap_map):
    scalp, _, drop, change = deap_map.axes[:4]
    assert scalp.get_title(loc="left") == "AUC lost without it"
    assert len(scalp.images) == 1
    assert list(bars(drop)) == [c.name for c in CHANNELS if c.kind != "eeg"]
    assert bars(drop)["hEOG"] == pytest.approx(0.32 + 0.001)  # the 33rd channel, the mean of folds 0, 1, 2
    assert bars(change)["Temperature"] == pytest.approx(3.9 + 0.01)


@pytest.mark.journey
def test_the_three_strongest_electrodes_are_named(deap_map):
    named = [t.get_text() for t in deap_map.axes[0].texts if t.get_text().strip()]
    assert sorted(named) == sorted(c.name for c in CHANNELS[29:32])


@pytest.mark.journey
def test_the_strongest_electrode_is_where_it_belongs():
    """F4 is in front on the right: of a map of the whole head, in the quarter that mne draws above and to the right."""
    table = channel_table([(c.name, c.kind) for c in CHANNELS if c.kind == "eeg"])
    table["auc_drop"] = (table["channel"] == "F4").astype(float)
    image = maps.channel_map(table, "a run", []).axes[0].images[0]
    values = np.ma.filled(image.get_array(), 0)  # the first row is the lowest
    y, x = np.unravel_index(np.nanargmax(values), values.shape)
    height, width = values.shape
    assert x > 0.55 * width
    assert y > 0.55 * height
    assert image.origin == "lower"


@pytest.mark.journey
@pytest.mark.parametrize(
    "channels",
    [
        [("Fz", "eeg"), ("Cz", "eeg"), ("Oz", "eeg"), ("GSR", "gsr")],  # too few for a map
        [(f"A{k}", "eeg") for k in range(32)],  # names of another system: nobody knows where
        [("GSR", "gsr")],
    ],
)
def test_what_has_no_place_on_a_scalp_is_a_bar(channels):
    figure = maps.channel_map(channel_table(channels), "a run", [])
    assert list(bars(figure.axes[0])) == [name for name, _ in channels]
    assert len(figure.axes) == 2


@pytest.mark.journey
def test_folds_of_one_class_have_no_auc_and_break_nothing(tmp_path):
    table = channel_table([(c.name, c.kind) for c in CHANNELS])
    table.loc[table["fold"] == 1, "auc_drop"] = np.nan
    figure = maps.channel_map(table, "a run", [])
    assert bars(figure.axes[2])["hEOG"] == pytest.approx(0.32 + 0.001)  # of folds 0 and 2
    figures.save(maps.channel_map(table.assign(auc_drop=np.nan), "a run", []), tmp_path / "x.png")


@pytest.mark.journey
@pytest.mark.parametrize(
    ("output", "loss", "titles"),
    [
        (OTHER_TASKS[0], "auc_drop", ["AUC lost, mean of classes", "mean change of log-probabilities"]),
        (OTHER_TASKS[1], "ccc_drop", ["CCC lost without it", "change of the rating, scale 1 to 9"]),
    ],
)
def test_channels_of_other_tasks_are_drawn_by_their_own_measures(output, loss, titles):
    table = channel_table([("GSR", "gsr"), ("Resp", "resp")])
    table = table.rename(columns={"auc_drop": loss, "logit_change": output.change})
    figure = maps.channel_map(table, "a run", [], output)
    assert [axes.get_xlabel() for axes in figure.axes] == titles
    assert bars(figure.axes[0])["Resp"] == pytest.approx(0.01 + 0.001)
    assert bars(figure.axes[1])["Resp"] == pytest.approx(0.1 + 0.01)


def saliency_table(grid=4):
    rows = [
        {"rated": rated, "row": row, "column": column, "windows": n,
         "drop": sign * (row == 3) * (column == 1), "change": float(row == 3) * (column == 1)}
        for rated, n, sign in (("all", 30, 0.2), ("high", 20, 0.6), ("low", 10, -0.6))
        for row in range(grid) for column in range(grid)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.journey
def test_a_patch_lies_where_it_was_painted_over(tmp_path):
    face = np.full((32, 32, 3), 100, np.uint8)
    figure = maps.saliency_map(saliency_table(), face, "a run", STAMPS)
    figures.save(figure, tmp_path / "x.png")
    for axes, value in zip(figure.axes[:4], (0.2, 0.6, -0.6, 1.0), strict=True):
        below, above = axes.images
        assert below.get_array().shape == (32, 32)
        values = np.asarray(above.get_array())
        assert values[3, 1] == pytest.approx(value)  # row 3 is the lowest: images are drawn from the top
        assert np.count_nonzero(values) == 1
        assert (above.origin, above.get_extent()) == ("upper", [0, 1, 1, 0])
    assert [axes.get_title(loc="left") for axes in figure.axes[:4]] == [
        *("all windows, n = 30", "rated high, n = 20", "rated low, n = 10", "change in either direction"),
    ]


@pytest.mark.journey
def test_one_class_alone_and_no_change_at_all_can_be_drawn(tmp_path):
    table = saliency_table()
    table = table[table["rated"] != "low"].assign(drop=0.0, change=0.0)
    figures.save(maps.saliency_map(table, np.zeros((32, 32, 3), np.uint8), "a run", []), tmp_path / "x.png")


def class_table(output, grid=2):
    """Class k has k + 1 windows, and a loss of k in patch (0, 1)."""
    groups = {"all": 100} | {f"{k}": k + 1 for k in range(len(output.classes))}
    rows = [
        {"class": group, "row": row, "column": column, "windows": n,
         output.patch_loss: float(n - 1) * (row == 0) * (column == 1), output.patch_change: 2.0 * column}
        for group, n in groups.items() for row in range(grid) for column in range(grid)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.journey
def test_each_class_has_a_picture_with_its_name(tmp_path):
    output = MulticlassOutput(CLASSES)
    figure = maps.saliency_map(class_table(output), np.full((8, 8, 3), 100, np.uint8), "a run", STAMPS, output)
    figures.save(figure, tmp_path / "x.png")
    titles = [axes.get_title(loc="left") for axes in figure.axes[:5]]
    assert titles == [
        *("all windows, n = 100", "low, n = 1", "middle, n = 2", "high, n = 3", "change in either direction"),
    ]
    assert [np.asarray(axes.images[1].get_array())[0, 1] for axes in figure.axes[:5]] == [99, 0, 1, 2, 2]
    assert "log-probability of the true class lost" in [axes.get_xlabel() for axes in figure.axes]


@pytest.mark.journey
def test_of_many_classes_those_with_the_most_windows_are_shown_in_their_order_and_the_caption_says_so(tmp_path):
    output = MulticlassOutput(tuple(f"a rather long name of class {k}" for k in range(11)))
    table = class_table(output)
    figure = maps.saliency_map(table, np.full((8, 8, 3), 100, np.uint8), "a run", [], output)
    figures.save(figure, tmp_path / "x.png")
    assert list(maps.shown_groups(table, output)) == [f"{k}" for k in range(3, 11)]
    assert figure.axes[1].get_title(loc="left") == "a rather long n…, n = 4"
    assert figure.axes[9].get_title(loc="left") == "change in either direction"
    assert maps.read_saliency(table, output).endswith("Of 11 classes the 8 with the most windows are shown.")
    assert "classes" not in maps.read_saliency(saliency_table(), BINARY)


@pytest.mark.journey
@pytest.mark.parametrize("n_classes", [2, 3, 4, 5, 6, 7, 8])
def test_no_panel_and_no_colour_bar_lies_on_another(n_classes):
    output = MulticlassOutput(tuple(f"{k}" for k in range(n_classes)))
    figure = maps.saliency_map(class_table(output), np.full((8, 8, 3), 100, np.uint8), "a run", STAMPS, output)
    figure.canvas.draw()
    boxes = [axes.get_window_extent() for axes in figure.axes if axes.get_visible()]
    assert len(boxes) == n_classes + 4
    overlapping = [(a, b) for k, a in enumerate(boxes) for b in boxes[:k] if a.overlaps(b)]
    assert overlapping == []


@pytest.mark.journey
def test_ratings_are_shown_by_halves_of_their_scale():
    output = RegressionOutput((0, 100))
    table = saliency_table().rename(columns={"drop": output.patch_loss, "change": output.patch_change})
    figure = maps.saliency_map(table, np.full((32, 32, 3), 100, np.uint8), "a run", [], output)
    titles = [axes.get_title(loc="left") for axes in figure.axes[:3]]
    assert titles == ["all windows, n = 30", "rated 50 or more, n = 20", "rated below 50, n = 10"]
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert {"absolute error added", "change of the rating, scale 0 to 100"} <= set(labels)


def robustness_table(modalities=("face", "signals"), gated=True):
    rows = []
    for fold in (1, 2):
        for modality in modalities:
            for noise in (0.0, 0.5, 1.0):
                gate = 0.6 - 0.1 * noise + 0.01 * fold if gated else np.nan
                rows.append([fold, modality, "noise", noise, 0.8 - 0.2 * noise + 0.02 * fold, gate, gate])
            rows.append([fold, modality, "removed", np.nan, 0.55, np.nan, np.nan])
    return pd.DataFrame(rows, columns=["fold", "modality", "how", "noise", "accuracy", "gate_face", "gate_bio"])


@pytest.mark.journey
def test_noise_curves_are_means_over_folds_beside_the_line_of_the_modality_removed():
    figure = maps.robustness_curves(robustness_table(), "a run", STAMPS)
    assert len(figure.axes) == 4
    curve, removed = figure.axes[0].lines
    assert curve.get_ydata() == pytest.approx([83, 73, 63])
    assert removed.get_ydata() == pytest.approx([55, 55])
    assert figure.axes[2].lines[0].get_ydata() == pytest.approx([0.615, 0.565, 0.515])


@pytest.mark.journey
def test_a_rating_has_a_curve_of_ccc_and_one_of_the_error_in_its_own_units():
    output = RegressionOutput((1, 9))
    table = robustness_table().rename(columns={"accuracy": "ccc"})
    figure = maps.robustness_curves(table.assign(mae=2 - table["ccc"]), "a run", STAMPS, output)
    assert len(figure.axes) == 6
    left = figure.axes[::2]
    assert [axes.get_ylabel() for axes in left] == ["CCC", "mean absolute error, scale 1 to 9", "mean gate"]
    assert left[0].lines[0].get_ydata() == pytest.approx([0.83, 0.73, 0.63])
    assert left[1].lines[0].get_ydata() == pytest.approx([1.17, 1.27, 1.37])
    assert left[1].lines[1].get_ydata() == pytest.approx([1.45, 1.45])  # with the face removed
    assert left[2].lines[0].get_ydata() == pytest.approx([0.615, 0.565, 0.515])


@pytest.mark.journey
def test_without_gates_there_is_one_row_and_without_signals_one_column():
    assert len(maps.robustness_curves(robustness_table(gated=False), "a run", []).axes) == 2
    assert len(maps.robustness_curves(robustness_table(("face",), gated=False), "a run", []).axes) == 1


def test_gates_over_time_are_means_of_all_trials_at_that_second():
    table = fake_runs.table(windows=4)
    late = table[table["trial"] == "01"].assign(window=9, start_s=9.0, gate_face=1.0)  # 1 trial of 10: just enough
    later = late[late["subject"] == "s01"].assign(window=11, start_s=11.0)  # 1 of 60: too few
    axes = maps.gate_over_time(pd.concat([table, late, later]), "a run", []).axes[0]
    face, bio = axes.lines
    assert list(face.get_xdata()) == [0, 1, 2, 3, 9]
    at_2 = table[table["start_s"] == 2]
    assert face.get_ydata()[2] == pytest.approx(at_2["gate_face"].mean())
    assert bio.get_ydata()[2] == pytest.approx(at_2["gate_bio"].mean())
    assert face.get_ydata()[-1] == 1


def test_gates_by_subject_are_in_the_order_of_their_names():
    table = fake_runs.table(subjects=12)
    axes = maps.gate_by_subject(table, "a run", []).axes[0]
    assert [t.get_text() for t in axes.get_xticklabels()] == sorted(table["subject"].unique())
    dots = axes.containers[0].lines[0].get_ydata()
    assert dots == pytest.approx(table.groupby("subject")["gate_face"].mean().to_numpy())


@pytest.mark.journey
def test_every_figure_carries_its_stamps_and_every_caption_says_how_to_read_it(deap_map):
    table = fake_runs.table()
    drawn = [
        deap_map,
        maps.channel_map(channel_table([("brow", "face"), ("mouth", "face")]), "a run", STAMPS),
        maps.saliency_map(saliency_table(), np.zeros((8, 8, 3), np.uint8), "a run", STAMPS),
        maps.robustness_curves(robustness_table(), "a run", STAMPS),
        maps.gate_over_time(table, "a run", STAMPS),
        maps.gate_by_subject(table, "a run", STAMPS),
    ]
    for figure in drawn:
        assert " · ".join(STAMPS) in [t.get_text() for t in figure.texts]
    captions = [value for name, value in vars(maps).items() if name.startswith("READ_")]
    assert len(captions) == len(drawn)
    for output in (BINARY, *OTHER_TASKS):
        shown = [caption.format(words=output.words) for caption in captions]
        assert all(caption.startswith("How to read it: ") and caption.endswith(".") for caption in shown)
        assert "the channel" not in maps.read_features(output)
