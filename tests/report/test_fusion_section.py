"""The section on ways of fusion shows what the runs' explanations hold, and nothing for what is not there."""

import numpy as np
import pandas as pd
import pytest

from gbvnet.report.explanation_section import Explanation
from gbvnet.report.fusion_section import fusion_blocks, noise_figure, noise_table


def explanation(accuracy, removed=True):
    """One whose accuracy falls from this value by 0.1 with each step of noise, in two folds that differ by 0.02."""
    rows = [
        {"target": "valence", "fold": fold, "modality": modality, "how": "noise", "noise": share, "windows": 9,
         "auc": 0.5, "accuracy": accuracy - 0.1 * k + 0.02 * (fold - 1)}
        for fold in (1, 2) for modality in ("face", "signals") for k, share in enumerate((0.0, 0.25, 0.5, 0.75, 1.0))
    ]  # fmt: skip
    if removed:
        rows += [
            {"target": "valence", "fold": fold, "modality": m, "how": "removed", "noise": np.nan, "windows": 9,
             "auc": 0.5, "accuracy": 0.6}
            for fold in (1, 2) for m in ("face", "signals")
        ]  # fmt: skip
    return Explanation({}, {}, {}, None, None, None, pd.DataFrame(rows))


def test_noise_is_the_mean_over_folds_by_fusion():
    table = noise_table({"gbvnet": explanation(0.9), "huang": explanation(0.8, removed=False)}, "valence")
    at = table.set_index(["fusion", "modality", "how", "noise"])["accuracy"]
    assert at["gbvnet", "face", "noise", 0.5] == pytest.approx(0.9 - 0.2 + 0.01)
    assert at["huang", "signals", "noise", 1.0] == pytest.approx(0.8 - 0.4 + 0.01)
    assert table[table["how"] == "removed"]["fusion"].tolist() == ["gbvnet", "gbvnet"]
    assert table["accuracy_sd"].iloc[0] == pytest.approx(np.std([0, 0.02], ddof=1))
    assert noise_table({}, "valence").empty


def test_the_figure_has_a_panel_for_each_modality_and_a_line_for_each_fusion():
    table = noise_table({"gbvnet": explanation(0.9), "gbvnet, sum": explanation(0.8)}, "valence")
    figure = noise_figure(table, "accuracy", "Noise", [])
    assert [len(axes.lines) for axes in figure.axes] == [2, 2]
    assert figure.axes[0].lines[0].get_ydata().tolist() == pytest.approx([0.91, 0.81, 0.71, 0.61, 0.51])


def test_one_fusion_alone_is_no_comparison(tmp_path):
    assert list(fusion_blocks([], tmp_path)) == []
