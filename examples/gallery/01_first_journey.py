"""
The first journey: from raw files to a report
=============================================

Four commands take a corpus from its raw files to a report: ``check``, ``prepare``, ``crossval`` and ``report``. They
are the same for DEAP, MAHNOB-HCI or recordings of your own. Here the corpus is a synthetic one, written by ``synth`` in
the exact format of DEAP; its ratings have a known effect on the signals.

Everything is written into a temporary folder. Signals alone are used, and the smallest variant of the network, so that
it takes half a minute; ``gbvnet demo`` does the same with faces.
"""

# %%
# Commands run in a terminal. In Python each is a call of ``main`` with the same words, which this function does, in the
# temporary folder.

import contextlib
import shlex
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from gbvnet.cli.main import main
from gbvnet.evaluation.metrics import majority_accuracy, scores_by_fold
from gbvnet.evaluation.predictions import read_run

folder = tempfile.TemporaryDirectory()
root = Path(folder.name)


def run(command):
    print(f"$ gbvnet {command}")
    with contextlib.chdir(root):
        code = main(shlex.split(command))
    assert code == 0, f"exit code {code}"


# %%
# A corpus, and its check
# -----------------------
#
# The effect is strong, so that a few trials are enough; with ``--effect 0`` nothing could be learnt but leakage.
# ``check`` reads every recording and says what is missing; its exit code is 1 if any is bad.

run("synth deap corpus --subjects 4 --trials 12 --effect 2 --fingerprint 0.5 --videos 0 --jobs 1")
run("check deap corpus --jobs 1")

# %%
# A store of windows
# ------------------
#
# ``prepare`` filters the signals, subtracts each trial's baseline and cuts windows of one second. It is needed once a
# corpus, and goes on where it was interrupted. With videos it also aligns the faces; here there are none.

run("prepare deap corpus store --faces false --jobs 1")

# %%
# Two cross-validations
# ---------------------
#
# Protocol ``trial`` keeps all windows of a trial on one side. Protocol ``window`` is the published one: windows of one
# trial are in training and in test, so its score is too high, and everything made from it is marked LEAKY.

settings = "--modality bio --target valence --folds 3"
settings += " --model.variant micro --train.epochs 8 --train.batch_size 32"
run(f"crossval store runs/trial  --protocol trial  {settings}")
run(f"crossval store runs/window --protocol window {settings}")

# %%
# The report
# ----------
#
# One HTML file with tables, figures and the complete settings; the tables are there as CSV files, too.

run("report runs/trial runs/window report")
print(*sorted(path.name for path in (root / "report" / "tables").iterdir()), sep="\n")

# %%
# From here on in Python
# ----------------------
#
# A run is a folder. Its ``predictions.parquet`` has a row for each tested window, and every number of a report is
# worked out from it.

tables = {name: read_run(root / "runs" / name) for name in ("trial", "window")}
print(tables["trial"][["recording", "window", "fold", "y", "p"]].head())

# %%
# The scores of the folds, beside what is scored by always predicting the majority class of the training side:

fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for row, (name, table) in enumerate(tables.items()):
    folds = scores_by_fold(table)
    fill = "C0" if name == "trial" else "none"
    ax.plot(100 * folds["accuracy"], [row] * len(folds), "o", ms=11, mfc=fill, mec="C0")
    ax.plot(100 * folds["accuracy"].mean(), row, "|", ms=40, mew=2, color="C0")
    ax.plot(100 * majority_accuracy(table)["fold"], row, "|", ms=40, mew=2, color="0.5")
ax.set(xlim=(0, 100), ylim=(1.6, -0.6))
ax.set_yticks([0, 1], ["trial", "window\nLEAKY"], fontsize=12)
ax.set_xlabel("accuracy of a fold, % of windows (synthetic data)")
ax.set_title("Blue: folds and their mean. Grey: the majority class", fontsize=10, loc="left")
plt.show()

# %%
# The difference between both rows is leakage, or chance: two runs on 48 trials do not tell. ``gbvnet audit`` measures
# it with shuffled labels and a test over subjects.

folder.cleanup()
