"""
Audit a split of somebody else's
================================

A paper reports a high accuracy, and there is a file with its predictions or its folds. How much of the score is
leakage? Names are enough to see what is in training and in test at once; with the predictions the score itself stands
beside chance, in the same report as runs of gbvnet.

Here the other program is a nearest neighbour of scikit-learn. It is run on synthetic windows whose signals say
*nothing* about the rating: a score above chance cannot be emotion.
"""

# %%
# The other program
# -----------------
#
# One number for each channel of a window, and ten folds of windows drawn at random, as is often published. The store is
# in memory here; yours is ``gbvnet.open_store("deap.store")``.

import contextlib
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.model_selection import KFold
from sklearn.neighbors import KNeighborsClassifier

import gbvnet
from gbvnet.evaluation.split_check import check_splits
from gbvnet.testing import SyntheticStore, SyntheticWindows

folder = tempfile.TemporaryDirectory()
root = Path(folder.name)
store = SyntheticStore(SyntheticWindows(subjects=8, trials=12, windows=8, effect=0, fingerprint=0.6, frames=0))
_, _, signals = store.read(range(len(store)), faces=False)  # (windows, channels, samples)
X = np.log(signals.std(axis=2))
y = (store.windows["valence"] >= 5).to_numpy(int)


def predict(folds):
    """Return a table of predictions: a row for each tested window."""
    parts = []
    for number, (train, test) in enumerate(folds, 1):
        p = KNeighborsClassifier(5).fit(X[train], y[train]).predict_proba(X[test])[:, 1]
        parts.append(store.windows.loc[test, ["recording", "subject", "trial", "stimulus", "window"]])
        parts[-1] = parts[-1].assign(fold=number, p=p)
    return pd.concat(parts)


published = predict(KFold(10, shuffle=True, random_state=0).split(X))
published.to_csv(root / "published.csv", index=False)
print(published.head(3).to_string(index=False))
print(f"accuracy: {((published['p'] > 0.5) == y[published.index]).mean():.1%} (synthetic data)")

# %%
# What the split shares
# ---------------------
#
# ``gbvnet audit --splits published.csv`` prints this; it reads names alone, of tables like this one and of several
# forms of JSON. The exit code is 1 if there is a leak.

with contextlib.chdir(root):
    shared = {"published": check_splits("published.csv")}
print(shared["published"])

# %%
# The same program on other folds
# -------------------------------
#
# ``ProtocolSplit`` gives the folds of ``gbvnet crossval``. Protocol ``trial`` keeps the windows of a trial together,
# ``subject`` those of a subject. Nothing else is changed.

for protocol in ("trial", "subject"):
    config = gbvnet.CrossvalConfig(protocol=protocol, target="valence", modality="bio", folds=8)
    predict(gbvnet.ProtocolSplit(store, config).split()).to_csv(root / f"{protocol}.csv", index=False)
    shared[protocol] = check_splits(root / f"{protocol}.csv")
    print(shared[protocol].assessment)

# %%
# Scores beside chance
# --------------------
#
# A report takes the files as they are. Labels come from a run on the same windows; ``majority``, which always predicts
# the majority class, is the fastest. The protocol of each file is derived from its folds, so nobody has to state it.

config = gbvnet.CrossvalConfig(system="majority", target="valence", modality="bio", folds=8)
gbvnet.cross_validate(store, root / "majority", config)
gbvnet.write_report([*(root / f"{name}.csv" for name in shared), root / "majority"], root / "report")
results = pd.read_csv(root / "report" / "tables" / "results.csv").set_index("system")
columns = ["protocol", "leaky", "window_accuracy", "chance_window_upper", "chance_window_p"]
print(results[columns].to_string(float_format="{:.4f}".format))

# %%
# Both together
# -------------

fig, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3), layout="constrained", width_ratios=(1.25, 1))
shares = np.array([[s.train / s.groups for s in check.shared] for check in shared.values()])
left.imshow(shares, cmap="Oranges", vmin=0, vmax=1.5, aspect="auto")
for (row, column), share in np.ndenumerate(shares):
    left.text(column, row, f"{share:.0%}", ha="center", va="center")
left.set(xticks=range(4), xticklabels=["windows", "trials", "stimuli", "subjects"])
left.set(yticks=range(len(shared)), yticklabels=[f"{name}.csv" for name in shared])
left.set_title("Tested and trained on in the same fold", fontsize=10, loc="left")

scores = results.loc[[f"{name} (outside)" for name in shared]]
for row, (_, score) in enumerate(scores.iterrows()):
    right.barh(row, 100 * score["chance_window_upper"], height=0.5, color="0.88", zorder=0)
    right.plot(100 * score["window_accuracy"], row, "o", ms=9, mfc="none" if score["leaky"] else "C0", mec="C0")
    right.text(103, row, "LEAKY" if score["leaky"] else score["protocol"], va="center")
right.axvline(100 * results.loc["majority", "window_accuracy"], color="0.4", ls=":", lw=1)
right.set(xlim=(0, 100), ylim=(2.5, -0.5), yticks=[], xlabel="accuracy, % of windows (synthetic data)")
right.set_title("Grey: within chance. Dotted: majority class", fontsize=10, loc="left")
plt.show()

# %%
# **How to read it.** Left: in the published split every tested trial is trained on as well, through its other windows,
# and the score on the right is nothing but that. In the other two files no trial is on both sides, and the same program
# is within chance, as it must be here. That subjects are shared is no error under protocol ``trial``: it says what the
# score is about, new trials of known subjects.
#
# A file cannot show everything. Whether features were scaled or chosen on the tested windows, too, is not in it.
# ``gbvnet audit`` measures more where the data are at hand: the same network under every protocol, and on shuffled
# labels.

folder.cleanup()
