"""
A pipeline of scikit-learn on folds without leakage
===================================================

A classical analysis needs nothing of gbvnet but its folds: ``ProtocolSplit`` is a cross-validation splitter, so that
``cross_val_score``, grid searches and pipelines take it as they take ``GroupKFold``. The folds are those of ``gbvnet
crossval``, and each is checked again when it is used.

The question here: band power and a support vector machine say how much about valence, and how much of it holds for new
trials, new films, new subjects?
"""

# %%
# Windows as arrays
# -----------------
#
# The windows are synthetic: valence shows in two of six channels, weakly, and each trial can be recognised as well. A
# store of your own is ``gbvnet.open_store("deap.store")``.

import matplotlib.pyplot as plt
import numpy as np
from scipy.signal import periodogram
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import gbvnet
from gbvnet.testing import SyntheticStore, SyntheticWindows

CHANNELS = ("F3", "F4", "C3", "Cz", "O1", "GSR")
kinds = tuple((name, "gsr" if name == "GSR" else "eeg") for name in CHANNELS)
store = SyntheticStore(
    SyntheticWindows(
        subjects=12, trials=12, windows=6, channels=kinds, samples=128, frames=0,
        effect=0.5, effect_channels=("Cz", "GSR"), fingerprint=0.4,
    )
)  # fmt: skip
print(store)
_, _, signals = store.read(range(len(store)), faces=False)
print("signals:", signals.shape, signals.dtype, "at", store.settings["rate_hz"], "Hz")

# %%
# Features
# --------
#
# Log power in five bands of each channel. A feature of a window must come from this window alone; what is learnt from
# several windows (the scaling) belongs into the pipeline, which sees the training side of a fold only.

BANDS = {"delta": (1, 4), "theta": (4, 8), "alpha": (8, 13), "beta": (13, 30), "gamma": (30, 45)}
frequency, power = periodogram(signals, store.settings["rate_hz"], axis=2)
bands = [power[:, :, (frequency >= low) & (frequency < high)].mean(axis=2) for low, high in BANDS.values()]
X = np.log(np.stack(bands, axis=2)).reshape(len(store), -1)
print("features:", X.shape)

# %%
# One pipeline, five protocols
# ----------------------------
#
# ``windows.rows`` are the windows that a run scores, ``windows.y`` their labels.

pipeline = make_pipeline(StandardScaler(), SVC())
scores, majority = {}, {}
for protocol in ("window", "trial", "stimulus", "subject", "subject+stimulus"):
    config = gbvnet.CrossvalConfig(protocol=protocol, target="valence", modality="bio", folds=4)
    windows = gbvnet.ProtocolSplit(store, config)
    scores[protocol] = cross_val_score(pipeline, X[windows.rows], windows.y, cv=windows)
    majority[protocol] = cross_val_score(DummyClassifier(), X[windows.rows], windows.y, cv=windows)
    print(f"{protocol:17} {scores[protocol].mean():.3f}, folds {scores[protocol].round(2)}")

# %%
# A search for C within the training side
# ---------------------------------------
#
# ``windows.groups`` has the subject of each window here: what must stay together within the training side, too. A
# search over all windows would choose C by windows that are tested afterwards.

windows = gbvnet.ProtocolSplit(
    store, gbvnet.CrossvalConfig(protocol="subject", target="valence", modality="bio", folds=4)
)
search = GridSearchCV(pipeline, {"svc__C": [0.01, 0.1, 1, 10]}, cv=GroupKFold(3))
searched = cross_validate(
    search, X[windows.rows], windows.y, cv=windows, params={"groups": windows.groups}, return_estimator=True
)
print("C of each fold:", [fitted.best_params_["svc__C"] for fitted in searched["estimator"]])
scores["subject, C searched"] = searched["test_score"]
majority["subject, C searched"] = majority["subject"]

# %%
# The scores
# ----------

fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for row, (name, folds) in enumerate(scores.items()):
    fill = "none" if name == "window" else "C0"
    ax.plot(100 * folds, [row] * len(folds), "o", ms=8, mfc=fill, mec="C0", alpha=0.8)
    ax.plot(100 * folds.mean(), row, "|", ms=24, mew=2, color="C0")
    ax.plot(100 * majority[name].mean(), row, "|", ms=24, mew=2, color="0.6")
ax.set(yticks=range(len(scores)), yticklabels=["window, LEAKY" if n == "window" else n for n in scores])
ax.set(xlim=(0, 100), ylim=(len(scores) - 0.4, -0.6), xlabel="accuracy of a fold, % of windows (synthetic data)")
ax.set_title("Blue: folds and their mean. Grey: the majority class", fontsize=10, loc="left")
plt.show()

# %%
# **How to read it.** Under ``window`` a window's neighbours of the same trial are in training: a part of the score is
# the recognition of trials. The others say what is left for new trials, new films, new subjects, and new subjects with
# new films, which leaves the least to train on. Four folds scatter widely, so a difference of some points between two
# rows means nothing yet.
#
# To have chance, intervals and tests, name the estimator in a run, ``gbvnet crossval deap.store runs/svc --system
# sklearn.svm:SVC --modality bio``, or give a file of the pipeline's own predictions to ``gbvnet report``, as in
# :ref:`the example on audits <sphx_glr_gallery_02_audit_a_split.py>`.
