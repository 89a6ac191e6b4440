"""
What does a model look at?
==========================

A score says that something was learnt, and not what. ``gbvnet explain`` takes parts of the input away, one at a time,
and measures how much worse each fold's own model predicts windows that it was not trained on: a channel gets the
samples of another window, a patch of the face is covered. Nothing looks inside of the network, so every system can be
explained.

Here the answer is known: the rating shows in the amplitude of two electrodes, ``F3`` and ``C4``, and in the redness of
the mouth. Does the explanation name them?
"""

# %%
# A model to explain
# ------------------
#
# Synthetic windows with ten channels and pictures of 32 x 32 pixels; what the face shows and what the signals show are
# drawn apart, so that the network needs both.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.patches import Rectangle

import gbvnet
from gbvnet.evaluation.metrics import scores_by_fold
from gbvnet.evaluation.predictions import read_run
from gbvnet.testing import SyntheticStore, SyntheticWindows

EEG = ("F3", "F4", "C3", "Cz", "C4", "P3", "P4", "O1", "O2")
folder = tempfile.TemporaryDirectory()
run = Path(folder.name) / "run"
store = SyntheticStore(
    SyntheticWindows(
        subjects=10, trials=12, windows=2, frames=1, effect=1.5, complementary=True,
        channels=(*((name, "eeg") for name in EEG), ("GSR1", "gsr")),
        effect_channels=("F3", "C4"), effect_region="mouth",
    )
)  # fmt: skip
config = gbvnet.CrossvalConfig(
    target="valence",
    protocol="trial",
    folds=2,
    model=gbvnet.ModelConfig(variant="micro", face_time="none"),
    train=gbvnet.TrainConfig(epochs=35, batch_size=16, learning_rate=3e-3, augment=False),
)
gbvnet.cross_validate(store, run, config)
print(f"accuracy of the folds: {scores_by_fold(read_run(run))['accuracy'].round(3).tolist()} (synthetic data)")

# %%
# Explain it
# ----------
#
# The same as ``gbvnet explain mine.store runs/trial --windows 96``. Tables are written into ``run/explain``, and
# ``gbvnet report`` then has a section with maps of the scalp and of the face.

explanation = gbvnet.explain_run(store, run, gbvnet.ExplainConfig(measures=("channels", "face"), windows=96))
print(str(explanation).removeprefix(f"{explanation.folder}: "))
channels = pd.read_csv(run / "explain" / "channels.csv")
saliency = pd.read_csv(run / "explain" / "saliency.csv")
columns = ["fold", "channel", "auc", "auc_drop", "logit_change"]
print(channels.nlargest(4, "auc_drop")[columns].to_string(index=False, float_format="{:.3f}".format))

# %%
# Channels and patches
# --------------------

fig, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.4), layout="constrained", width_ratios=(1.3, 1))
drops = channels.pivot(index="channel", columns="fold", values="auc_drop")
drops = drops.loc[drops.mean(axis=1).sort_values().index]
colours = ["C1" if name in ("F3", "C4") else "0.75" for name in drops.index]
left.barh(drops.index, drops.mean(axis=1), color=colours)
for fold in drops:
    left.plot(drops[fold], drops.index, "k.", ms=5)
left.axvline(0, color="0.4", lw=1)
left.set(xlabel="AUC lost without the channel (synthetic data)")
left.set_title("Orange: planted. Dots: folds", fontsize=10, loc="left")

patches = saliency.groupby(["row", "column"])["drop"].mean().unstack()
limit = np.abs(patches.to_numpy()).max()
picture = right.imshow(patches, cmap="RdBu_r", vmin=-limit, vmax=limit, extent=(0, 1, 1, 0))
right.add_patch(Rectangle((1 / 4, 5 / 8), 1 / 2, 1 / 4, fill=False, ec="k", ls="--"))
right.set(xticks=[], yticks=[])
right.set_title("The face, patch by patch. Dashed: planted", fontsize=10, loc="left")
fig.colorbar(picture, ax=right, label="logit towards wrong\nwithout the patch")
plt.show()

# %%
# **How to read it.** Above 0, what is taken away had helped; below 0 it had misled, or nothing was there and the
# difference is chance: the folds show how much of that there is. Redundant channels share their importance, since each
# can be missed as long as the others are there, so a small bar is no proof that a channel says nothing.
#
# An explanation is of a model and not of the world. Where the score is within chance, or the protocol leaks, it
# explains what does not hold for new subjects.

folder.cleanup()
