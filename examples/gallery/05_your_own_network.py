"""
A network of your own in forty lines
====================================

A ``torch.nn.Module`` that knows nothing of gbvnet takes part in every experiment: it is named by its file and class.
Its constructor gets the shape of the windows, and ``forward`` names its inputs. Training, early stopping, folds, seeds
and the report are those of every other system, so a difference between two rows is one of the networks.

The question here: does a small network of two branches use both modalities, and how does it compare on the same folds?
"""

# %%
# The network
# -----------
#
# Constructor arguments are braindecode's: ``n_chans, n_times, n_outputs, sfreq``, of which a network needs
# ``n_outputs`` and may have the others; ``n_frames`` and ``side`` for faces. ``forward`` gets ``signals`` (B, C, L),
# z-scored by the training windows, and ``faces`` (B, F, 3, S, S) from 0 to 1, by these names; it returns logits
# (B, n_outputs).

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

import gbvnet
from gbvnet.testing import SyntheticStore, SyntheticWindows, check_system

NETWORK = '''
import torch
from torch import nn


class TwoBranches(nn.Module):
    """Log power of learnt filters, and colours of learnt features of the face, side by side."""

    def __init__(self, n_chans, n_outputs, sfreq, n_filters=8):
        super().__init__()
        self.filters = nn.Conv1d(n_chans, n_filters, max(1, round(sfreq / 5)), bias=False)
        self.signal_norm = nn.BatchNorm1d(n_filters)
        self.face = nn.Sequential(
            nn.Conv2d(3, n_filters, 4, stride=4), nn.BatchNorm2d(n_filters), nn.GELU(),
            nn.Conv2d(n_filters, n_filters, 2, stride=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )
        self.head = nn.Linear(2 * n_filters, n_outputs)

    def forward(self, signals, faces):
        power = self.signal_norm(self.filters(signals)).square().mean(dim=2)
        colours = self.face(faces.mean(dim=1))  # the mean of the frames of a window
        return self.head(torch.cat([torch.log(power + 1e-6), colours], dim=1))
'''

# %%
# This is the text of a file, in which the class stands in a project of yours, too.

folder = tempfile.TemporaryDirectory()
root = Path(folder.name)
file = root / "my_net.py"
file.write_text(NETWORK.lstrip())
name = f"{file}:TwoBranches"

# %%
# Does it keep the contract?
# --------------------------
#
# ``check_system`` trains it on windows in memory, for each task, and checks in seconds what goes wrong most often:
# whether a prediction depends on the other windows of a batch, whether the same seed gives the same, whether a saved
# model predicts the same, whether it learns an easy effect. As a test of your own project it is this one line.

results = check_system(name)
print(f"{sum(result.kept for result in results)} of {len(results)} checks kept")

# %%
# Against other systems on the same folds
# ---------------------------------------
#
# In these windows the face shows one half of the rating and the signals the other: either alone is right in three
# trials of four, both together always. ``expression`` sees the face alone, ``logreg`` the signals alone. For a store on
# the disk the command is:
#
# .. code-block:: bash
#
#    gbvnet compare mine.store compared --systems my_net.py:TwoBranches,expression,logreg,majority

store = SyntheticStore(SyntheticWindows(subjects=8, trials=8, windows=3, complementary=True))
config = gbvnet.CompareConfig(
    systems=(name, "expression", "logreg", "majority"),
    target="valence",
    protocol="trial",
    folds=3,
    train=gbvnet.TrainConfig(epochs=12, batch_size=16, learning_rate=3e-3, augment=False),
)
gbvnet.compare(store, root / "compared", config)
tables = root / "compared" / "report" / "tables"
ranking = pd.read_csv(tables / "ranking-valence.csv")
print(ranking[["a", "b", "difference", "p_holm"]].to_string(index=False, float_format="{:.3f}".format))
print(pd.read_csv(tables / "costs.csv").to_string(index=False, float_format="{:.3g}".format))

# %%
# Each subject under each system
# ------------------------------

subjects = pd.read_csv(tables / "subjects.csv").pivot(index="subject", columns="system", values="accuracy")
order = ["majority", "expression", "logreg", "my_net.py:TwoBranches"]
sees = ["nothing", "the face", "signals", "both"]
fig, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
ax.plot(100 * subjects[order].T.to_numpy(), "-o", color="0.75", ms=4, lw=0.8)
ax.plot(100 * subjects[order].mean().to_numpy(), "D", color="C0", ms=9)
ax.set_xticks(range(len(order)), [f"{system}\nsees {what}" for system, what in zip(order, sees, strict=True)])
ax.set(ylim=(0, 103), ylabel="accuracy, % of windows\n(synthetic data)")
ax.set_title("Grey: each subject. Blue: their mean", fontsize=10, loc="left")
plt.show()

# %%
# **How to read it.** Each grey line is a subject; it rises where the system that sees more is right more often.
# Differences are tested over subjects, all pairs corrected together (``p_holm``): with eight subjects only large ones
# can show. No setting of the network was tuned; ``gbvnet tune`` searches for them in each fold, by its training side
# alone.

folder.cleanup()
