"""The curves of a recording, as a picture and as a page: what is in them, and that nothing covers anything."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from gbvnet.emotions import Emotions
from gbvnet.timeline import alone, curves, spans, timeline, timeline_html

NONE = float("nan")


def emotions(valence, flags=None, faces=(), name="anna", gates=0.5):
    n = len(valence)
    table = pd.DataFrame(
        {"start_s": np.arange(n, dtype=float), "stop_s": np.arange(n) + 1.0, "valence": valence,
         "gate_face": gates, "gate_bio": gates, "face_ok": 1.0, "has_signals": True, "flags": flags or [""] * n}
    )  # fmt: skip
    return Emotions(
        name, table, ("valence",), True, True, ("model trained on made-up data",), ("a finding",), {}, faces
    )


def test_a_value_without_neighbours_is_a_dot():
    values = [0.1, NONE, 0.7, NONE, 0.2, 0.3]
    assert alone(pd.Series(values)).tolist() == [True, False, True, False, False, False]
    assert alone(pd.Series([0.5])).tolist() == [True]
    line = curves(emotions(values)).data[0]
    assert [size > 0 for size in line.marker.size] == [True, False, True, False, False, False]
    drawn = [x.get_xydata() for x in timeline(emotions(values)).axes[0].lines if x.get_marker() == "o"]
    assert drawn[0][~np.isnan(drawn[0][:, 1])].tolist() == [[0.5, 0.1], [2.5, 0.7]]


def test_windows_of_one_flag_are_one_band():
    found = emotions([0.5] * 5, ["no face", "no face", "", "flat: Cz", "no face"])
    assert spans(found.table) == [(0, 2, "no face"), (3, 4, "flat: Cz"), (4, 5, "no face")]
    bands = [shape for shape in curves(found).layout.shapes if shape.type == "rect"]
    assert [(b.x0, b.x1) for b in bands] == [(0, 2), (3, 4), (4, 5)]


def test_both_show_the_whole_of_the_time_that_was_asked_about():
    assert curves(emotions([0.5] * 4)).layout.xaxis.range == (0, 4)
    assert timeline(emotions([0.5] * 4)).axes[0].get_xlim() == (0, 4)


@pytest.mark.parametrize("n", [1, 6, 20, 600])
def test_pictures_of_the_face_lie_beside_each_other_within_the_strip(n):
    face = np.zeros((32, 32, 3), np.uint8)
    starts = range(0, n, -(-n // 12))
    figure = timeline(emotions([0.5] * n, faces=tuple((float(k), face) for k in starts)))
    figure.draw_without_rendering()
    strip, *_ = figure.axes
    boxes = [inset.get_window_extent() for inset in strip.child_axes]
    assert len(boxes) == len(starts)
    assert all(one.x1 <= other.x0 + 1e-6 for one, other in pairwise(boxes))
    whole = strip.get_window_extent()
    assert boxes[0].x0 >= whole.x0 - 1e-6 and boxes[-1].x1 <= whole.x1 + 1e-6


def test_the_page_needs_no_other_file_and_says_what_must_be_read_first():
    page = timeline_html(emotions([0.2, 0.8], ["", "no face"], name="<b>anna</b>"))
    assert "&lt;b&gt;anna" in page and "<b>anna" not in page
    assert page.index("model trained on made-up data") < page.index('id="timeline"')
    assert "a finding" in page and "<td>no face</td>" in page
    assert 'src="http' not in page


def test_a_model_without_gates_has_no_empty_axes_for_them():
    assert len(timeline(emotions([0.5, 0.6], gates=NONE)).axes) == len(timeline(emotions([0.5, 0.6])).axes) - 1
