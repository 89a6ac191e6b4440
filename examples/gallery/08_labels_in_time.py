"""
A label that changes in time
============================

A subject moves a joystick while a film runs: instead of one rating a film there is a curve. Each window has the mean of
the curve over its second as label, and the task is regression. One thing is new: a hand follows what is felt by some
seconds, so the label of a window comes late. By how much?

The corpus is a synthetic one in the format of CASE (eight signals at 1,000 Hz, valence and arousal by joystick, no
video), whose joystick is 2.4 s late.
"""

# %%
# From files to a store
# ---------------------

import contextlib
import json
import shlex
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

import gbvnet
from gbvnet.cli.main import main
from gbvnet.evaluation.metrics import scores_by_fold
from gbvnet.evaluation.predictions import read_run

folder = tempfile.TemporaryDirectory()
root = Path(folder.name)


def run(command):
    """Run a command as in a terminal, in the temporary folder."""
    print(f"$ gbvnet {command}")
    with contextlib.chdir(root):
        code = main(shlex.split(command))
    assert code == 0, f"exit code {code}"


run("synth case corpus --subjects 3 --seconds 20 --lag_s 2.4 --jobs 1")
run("prepare case corpus case.store --jobs 1")

# %%
# In one film of each subject the joystick was never moved, which ``prepare`` reports: look at such films before you
# believe them. The store keeps the curves themselves, so that a label at any lag can be worked out from it.

store = gbvnet.open_store(root / "case.store")
times_s, joystick = store.trace("s01_v1", "valence")
print(f"{len(times_s)} positions in {times_s[-1]:.1f} s, from {joystick.min():.1f} to {joystick.max():.1f}")

# %%
# The lag, found by the training side
# -----------------------------------
#
# ``--lag_s search`` tries 0 to 9.6 s in each fold and takes the lag at which plain features of the *training* windows
# follow the label best. The label of no test window is used.

settings = "--system logreg --modality bio --target valence --task regression --protocol subject --folds 3"
run(f"crossval case.store runs/search {settings} --lag_s search")
about = json.loads((root / "runs" / "search" / "environment.json").read_text())["data"]
print("lag of each fold, s:", about["lags_s"])
print("left out:", about["excluded"])

# %%
# What a wrong lag costs
# ----------------------
#
# The same system at fixed lags. These scores are of the *test* side: such a curve is for looking. A lag that was chosen
# from it would be chosen by the test.

ccc = {}
for lag_s in (0, 0.8, 1.6, 2.4, 3.2, 4.0, 5.6):
    config = gbvnet.CrossvalConfig(
        system="logreg",
        modality="bio",
        target="valence",
        task="regression",
        protocol="subject",
        folds=3,
        lag_s=float(lag_s),
    )
    gbvnet.cross_validate(store, root / "runs" / f"{lag_s:g}", config)
    ccc[lag_s] = scores_by_fold(read_run(root / "runs" / f"{lag_s:g}"))["ccc"]
    print(f"lag {lag_s:g} s: CCC {ccc[lag_s].mean():.2f}")

# %%
# A subject that was not trained on
# ---------------------------------
#
# A window's prediction is of the joystick's position a lag later, and is drawn there. The run is that at the lag which
# was found above, as it has more windows: a search needs all lags for each of them.

lag_s = about["lags_s"]["1"]
table = read_run(root / "runs" / f"{lag_s:g}")
film = table[table["recording"] == "s01_v1"].sort_values("start_s")
fig, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3), layout="constrained", width_ratios=(1.7, 1))
left.plot(times_s, joystick, color="0.4", label="joystick")
left.plot(film["start_s"] + 0.5 + lag_s, film["y_hat"], "o", color="C0", ms=6, label="predicted")
left.set(xlabel="seconds of the film", ylabel="valence, 0.5 to 9.5", ylim=(0.5, 9.5))
left.legend(frameon=False, loc="lower right")
left.set_title("One film of a subject not trained on (synthetic data)", fontsize=10, loc="left")

right.plot(list(ccc), [folds.mean() for folds in ccc.values()], "-", color="C0")
for at, folds in ccc.items():
    right.plot([at] * len(folds), folds, "o", color="C0", ms=5, alpha=0.6)
right.axvline(lag_s, color="C1", ls="--", lw=1.5)
right.text(lag_s + 0.1, 0.02, "found by the\ntraining side", color="C1", fontsize=8)
right.set(xlabel="lag, s", ylabel="CCC of a fold, test side", ylim=(-0.2, 1))
right.set_title("A wrong lag", fontsize=10, loc="left")
plt.show()

# %%
# **How to read it.** Left: predictions follow the curve of a subject who was not trained on; their ends are drawn
# towards the mean. Right: at a lag of 0 nothing is left of the score, although the signals show everything: features
# and labels are of different moments. The last windows of a film have no label a lag later and are left out, which the
# run counts.
#
# Neighbouring windows share most of their label. Chance in reports exchanges whole curves between trials of a subject
# and shifts them in time, never single windows.

folder.cleanup()
