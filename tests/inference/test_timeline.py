"""The curves of a recording, as a picture and as a page: what is in them, and that nothing covers anything."""

import math
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from plotly.offline import get_plotlyjs

from gbvnet.inference.model_outputs import model_outputs
from gbvnet.inference.prediction import RecordingPrediction, with_smooth
from gbvnet.inference.timeline import flagged_periods, interactive_figure, isolated, timeline_figure, timeline_html

NONE = float("nan")
VALENCE = model_outputs({"targets": ["valence"], "task": "binary", "rule": ">=5"}, 1)


def prediction(valence, flags=None, faces=(), name="anna", gates=0.5):
    n = len(valence)
    table = pd.DataFrame(
        {"start_s": np.arange(n, dtype=float), "stop_s": np.arange(n) + 1.0, "valence": valence,
         "gate_face": gates, "gate_bio": gates, "face_ok": 1.0, "has_signals": True, "flags": flags or [""] * n}
    )  # fmt: skip
    return RecordingPrediction(
        name, table, VALENCE, True, True, ("model trained on synthetic data",), ("a warning",), {}, faces
    )


@pytest.mark.journey
def test_a_value_without_neighbours_is_a_dot():
    values = [0.1, NONE, 0.7, NONE, 0.2, 0.3]
    assert isolated(pd.Series(values)).tolist() == [True, False, True, False, False, False]
    assert isolated(pd.Series([0.5])).tolist() == [True]
    line = interactive_figure(prediction(values)).data[0]
    assert [size > 0 for size in line.marker.size] == [True, False, True, False, False, False]
    drawn = [x.get_xydata() for x in timeline_figure(prediction(values)).axes[0].lines if x.get_marker() == "o"]
    assert drawn[0][~np.isnan(drawn[0][:, 1])].tolist() == [[0.5, 0.1], [2.5, 0.7]]


@pytest.mark.journey
def test_windows_of_one_flag_are_one_band():
    predicted = prediction([0.5] * 5, ["no face", "no face", "", "flat: Cz", "no face"])
    assert flagged_periods(predicted.table) == [(0, 2, "no face"), (3, 4, "flat: Cz"), (4, 5, "no face")]
    bands = [shape for shape in interactive_figure(predicted).layout.shapes if shape.type == "rect"]
    assert [(b.x0, b.x1) for b in bands] == [(0, 2), (3, 4), (4, 5)]


@pytest.mark.journey
def test_both_show_the_whole_of_the_time_that_was_requested_about():
    assert interactive_figure(prediction([0.5] * 4)).layout.xaxis.range == (0, 4)
    assert timeline_figure(prediction([0.5] * 4)).axes[0].get_xlim() == (0, 4)


@pytest.mark.journey
@pytest.mark.parametrize("n", [1, 6, 20, 600])
def test_pictures_of_the_face_lie_beside_each_other_within_the_strip(n):
    face = np.zeros((32, 32, 3), np.uint8)
    starts = range(0, n, -(-n // 12))
    figure = timeline_figure(prediction([0.5] * n, faces=tuple((float(k), face) for k in starts)))
    figure.draw_without_rendering()
    strip, *_ = figure.axes
    boxes = [inset.get_window_extent() for inset in strip.child_axes]
    assert len(boxes) == len(starts)
    assert all(one.x1 <= other.x0 + 1e-6 for one, other in pairwise(boxes))
    whole = strip.get_window_extent()
    assert boxes[0].x0 >= whole.x0 - 1e-6 and boxes[-1].x1 <= whole.x1 + 1e-6


@pytest.mark.journey
def test_the_page_needs_no_other_file_and_says_what_must_be_read_first():
    page = timeline_html(prediction([0.2, 0.8], ["", "no face"], name="<b>anna</b>"))
    assert "&lt;b&gt;anna" in page and "<b>anna" not in page
    assert page.index("model trained on synthetic data") < page.index('id="timeline"')
    assert "a warning" in page and "<td>no face</td>" in page
    assert 'src="http' not in page.replace(get_plotlyjs(), "")


def text_of(figure):
    return " ".join([figure.get_suptitle(), figure.get_supxlabel()])


def both(predicted):
    """The texts of the picture and of the page."""
    page = re.sub(r"<(script|style).*?</\1>", "", timeline_html(predicted), flags=re.DOTALL)
    return " ".join(text_of(timeline_figure(predicted)).split()), page


@pytest.mark.journey
def test_what_the_curve_and_the_gate_are_is_reported_in_words():
    predicted = replace(
        prediction([0.5, 0.6]),
        accuracy_note="This model is worth <nothing>.",
    )
    for text in both(predicted):
        assert "probability that the rating is 5 or more of 9, from face and signals" in text
        assert "Each point is a window of 1 s of face and signals" in text
        assert "Gate: the mean factor, 0 to 1" in text
    assert "This model is worth <nothing>." in both(predicted)[0] and "worth &lt;nothing&gt;." in both(predicted)[1]


@pytest.mark.journey
@pytest.mark.parametrize(("face", "signals", "modalities"), [(True, False, "face"), (False, True, "signals")])
def test_of_one_modality_there_is_no_gate_and_no_word_of_the_other(face, signals, modalities):
    predicted = replace(prediction([0.5, 0.6], gates=NONE), uses_face=face, uses_signals=signals)
    for text in both(predicted):
        assert f"window of 1 s of {modalities}:" in text and "Gate" not in text and "face and signals" not in text
    assert not any("gate" in (trace.name or "") for trace in interactive_figure(predicted).data)


@pytest.mark.journey
def test_windows_without_gates_leave_a_hole_in_them():
    gates = [0.4, NONE, 0.6]
    predicted = prediction([0.5, 0.6, 0.7], gates=gates)
    drawn = next(trace for trace in interactive_figure(predicted).data if trace.name == "gate: face")
    assert np.isnan(drawn.y).tolist() == [False, True, False]


@pytest.mark.journey
def test_the_smoothed_curve_is_drawn_beside_the_raw_one():
    predicted = prediction([0.1, 0.9, 0.5, NONE, 0.2])
    predicted = replace(predicted, table=with_smooth(predicted.table, VALENCE, 3.0), smooth_s=3.0)
    names = [trace.name for trace in interactive_figure(predicted).data]
    assert names[:2] == ["valence", "valence, smoothed"]
    labels = [line.get_label() for line in timeline_figure(predicted).axes[0].lines]
    assert "valence, smoothed" in labels
    assert all("mean over 3 s" in text for text in both(predicted))


def test_smoothing_is_a_centred_mean_of_log_odds():
    table = prediction([0.1, 0.9, 0.5, NONE, 0.2, 1.0]).table
    predicted = with_smooth(table, VALENCE, 2.0)["valence_smooth"]
    a, b, c, d, e = (math.log(p / (1 - p)) for p in (0.1, 0.9, 0.5, 0.2, 1 - 1e-6))
    wanted = [(a + b) / 2, (a + b + c) / 3, (b + c) / 2, NONE, (d + e) / 2, (d + e) / 2]
    assert predicted.tolist() == pytest.approx([1 / (1 + math.exp(-x)) for x in wanted], abs=1e-6, nan_ok=True)
    assert with_smooth(table, VALENCE, 0.5)["valence_smooth"].tolist() == pytest.approx(
        table["valence"].clip(1e-6, 1 - 1e-6).tolist(), abs=1e-9, nan_ok=True
    )
    overlapping = table.assign(start_s=table["start_s"] / 2, stop_s=table["start_s"] / 2 + 1)
    assert with_smooth(overlapping, VALENCE, 1.0)["valence_smooth"].tolist() == pytest.approx(
        predicted.tolist(), abs=1e-9, nan_ok=True
    )
    assert list(with_smooth(table, VALENCE, 2.0).columns) == [*table.columns, "valence_smooth"]


@pytest.mark.journey
def test_a_model_without_gates_has_no_empty_axes_for_them():
    assert (
        len(timeline_figure(prediction([0.5, 0.6], gates=NONE)).axes)
        == len(timeline_figure(prediction([0.5, 0.6])).axes) - 1
    )
