"""
Low or high, three classes, or the rating itself
================================================

The paper asks whether a rating is low or high. The same label may as well be three classes, or a number; which of them
fits depends on the question and on the ratings. A *target* is a label, a task and a rule, and a report never compares
results that differ in one of them.

Here one label is predicted in three ways by the same classical system, on the same folds.
"""

# %%
# A label with five values
# ------------------------
#
# The windows are synthetic: the rating, 3 to 7 on a scale from 1 to 9, shows in the amplitude of two channels of five.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import gbvnet
from gbvnet.evaluation.metrics import aggregate_trials, baseline_scores, metrics_of, scores_by_fold
from gbvnet.evaluation.predictions import read_run
from gbvnet.testing import SyntheticStore, SyntheticWindows

folder = tempfile.TemporaryDirectory()
root = Path(folder.name)
store = SyntheticStore(SyntheticWindows(subjects=8, trials=15, windows=4, levels=5, effect=0.5, frames=0))
ratings = store.windows.drop_duplicates("recording")["valence"]
print(ratings.value_counts().sort_index().to_string())

# %%
# Three targets
# -------------
#
# On the command line these are ``--rule '>=5'``, ``--rule 4.5,5.5`` and ``--task regression``. The rule of two classes
# is the middle of the scale if none is given, and is stated everywhere. Rules of each subject's own ratings are
# ``median`` and ``terciles``; ``quadrant`` makes four classes of valence and arousal.

targets = {
    "low or high": {"rule": ">=5"},
    "three classes": {"rule": "4.5,5.5"},
    "number": {"task": "regression"},
}
tables = {}
for name, target in targets.items():
    config = gbvnet.CrossvalConfig(
        system="logreg", modality="bio", target="valence", protocol="subject", folds=4, **target
    )
    gbvnet.cross_validate(store, root / name, config)
    tables[name] = read_run(root / name)
    headline = metrics_of(tables[name]).main
    folds, baseline = scores_by_fold(tables[name])[headline], baseline_scores(tables[name])["fold"][headline]
    print(f"{name:14} {headline} {folds.mean():.3f} (SD {folds.std():.3f} over folds), baseline {baseline:.3f}")

# %%
# A table of predictions has columns by its task: ``p``, the probability of high; ``p_0`` to ``p_2``, one of each class;
# or ``y_hat``, in the units of the rating. Accuracies of two and of three classes cannot be compared, as chance
# differs: each stands beside what the majority class scores. The score of numbers is the concordance correlation (CCC),
# which is 0 for a constant and 1 only if the numbers are the same.

print(tables["three classes"].filter(regex="recording|window|rating|^y|^p_").head(3).round(3).to_string(index=False))

# %%
# One label, three answers
# ------------------------

fig, (left, middle, right) = plt.subplots(1, 3, figsize=(9.5, 3.3), layout="constrained")
jitter = np.random.default_rng(0).uniform(-0.25, 0.25, len(store))

table = tables["low or high"]
left.plot(table["rating"] + jitter, table["p"], ".", ms=4, alpha=0.5)
left.axvline(4.5, color="0.5", lw=1)
left.axhline(0.5, color="0.5", lw=1)
left.set(xlabel="rating", ylabel="predicted probability of high")
left.set_title("Low or high, by window", fontsize=10, loc="left")

trials = aggregate_trials(tables["three classes"])
chosen = trials[["p_0", "p_1", "p_2"]].to_numpy().argmax(axis=1)
confusion = np.zeros((3, 3), int)
np.add.at(confusion, (trials["y"].to_numpy(), chosen), 1)
middle.imshow(confusion, cmap="Blues", vmax=1.6 * confusion.max())
for (row, column), n in np.ndenumerate(confusion):
    middle.text(column, row, n, ha="center", va="center")
classes = ["below 4.5", "4.5 to 5.5", "above"]
middle.set(xticks=range(3), xticklabels=classes, yticks=range(3), yticklabels=classes)
middle.set(xlabel="predicted", ylabel="rating")
middle.set_title("Three classes, by trial", fontsize=10, loc="left")

trials = aggregate_trials(tables["number"])
right.plot([2, 8], [2, 8], color="0.5", lw=1)
right.plot(trials["y"] + jitter[: len(trials)], trials["y_hat"], "o", ms=4, alpha=0.6)
right.set(xlim=(2, 8), ylim=(2, 8), aspect="equal", xlabel="rating", ylabel="predicted rating")
right.set_title("The number, by trial", fontsize=10, loc="left")
fig.suptitle("Subjects that were not trained on (synthetic data)", fontsize=10)
plt.show()

# %%
# **How to read it.** Left: 4 and 5, on either side of the rule, are the hardest, as their windows lie around one half.
# In the centre the middle class is the smallest, and most errors are its. Right: predictions of numbers are drawn
# towards the mean, which is why the ends miss the diagonal: squared error rewards caution, and the CCC shows what it
# costs.
#
# Where a rule leaves the middle out (``outside 4-6``), an accuracy looks better and is about fewer windows; reports
# count those that are left out.

folder.cleanup()
