"""
Your own recordings: LSL and LabRecorder
========================================

Two computers, an amplifier, a skin sensor and a stimulus program that sends markers: LabRecorder writes all of it into
one ``.xdf`` file. From such files to a store of windows takes three commands. The question that matters is of time: are
the streams, each stamped by a clock of its own, on one clock afterwards?

A known event in each trial answers it, in a lab a tap or a flash. In the synthetic recordings here all electrodes jump
and the skin responds **3 s** after each start of a film.
"""

# %%
# Files as a lab has them
# -----------------------
#
# The amplifier's clock is 500 s and 20 ppm off, its stamps have jitter, the skin sensor counts in kOhm, and one marker
# was sent twice. ``synth`` also writes the settings; they are deleted, as a lab has none.

import contextlib
import shlex
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import gbvnet
from gbvnet.cli.main import main

folder = tempfile.TemporaryDirectory()
root = Path(folder.name)


def run(command):
    """Run a command as in a terminal, in the temporary folder."""
    print(f"$ gbvnet {command}")
    with contextlib.chdir(root):
        code = main(shlex.split(command))
    assert code == 0, f"exit code {code}"


run("synth xdf lab --subjects 2 --trials 6 --seconds 6 --videos 0 --mark_s 3 --jobs 1")
(root / "lab" / "xdf.yaml").unlink()
files = sorted((root / "lab").rglob("*.xdf"))
print(*(file.relative_to(root) for file in files), sep="\n")

# %%
# Settings, drafted from a file
# -----------------------------
#
# ``table init`` lists the streams with their rates and spans and writes ``xdf.yaml``: which channels are used, which
# markers start and stop a trial, which one has the ratings. Read it; what it cannot know is marked ``FILL IN``.

run(f"table init {files[0].relative_to(root)}")
settings = (root / "lab" / "xdf.yaml").read_text().splitlines()
print(*(line for line in settings if not line.lstrip().startswith("#")), sep="\n")

# %%
# Check, and prepare
# ------------------
#
# Each stream's clock, its true rate and its breaks are reported. Markers become trials with the ratings that follow
# them.

run("check xdf lab --jobs 1")
run("prepare xdf lab lab.store --faces false --jobs 1")

# %%
# Is the event where it was?
# --------------------------
#
# The windows of a trial, one behind the other, are its signals from the start of the film on: filtered, less the mean
# of the three seconds before, at one rate. kOhm become ohm: a resistance stays a resistance.

store = gbvnet.open_store(root / "lab.store")
names = [name for name, _ in store.settings["channels"]]
eeg, skin = [names.index(name) for name in names if name != "GSR"], names.index("GSR")
fig, (top, bottom) = plt.subplots(2, 1, figsize=(7, 4), layout="constrained", sharex=True)
peaks = []
for _, windows in store.windows.groupby("recording"):
    _, _, signals = store.read(windows.index, faces=False)  # (windows, channels, samples)
    trial = np.concatenate(list(signals), axis=1)
    seconds = np.arange(trial.shape[1]) / store.settings["rate_hz"]
    jump = np.abs(trial[eeg].mean(axis=0))
    peaks.append(seconds[jump.argmax()])
    top.plot(seconds, jump, color="C0", lw=0.8, alpha=0.6)
    bottom.plot(seconds, trial[skin] / 1000, color="C1", lw=0.8, alpha=0.8)
print(f"largest jump at {np.mean(peaks):.3f} s (SD {np.std(peaks):.3f} s) in {len(peaks)} trials; planted at 3 s")
for ax in (top, bottom):
    ax.axvline(3, color="k", ls="--", lw=1)
top.set(ylabel="|mean of EEG|,\nµV")
top.set_title("One line a trial. Dashed: the planted event (synthetic data)", fontsize=10, loc="left")
bottom.set(ylabel="skin, kOhm\nless baseline", xlabel="seconds from the start of the film", xlim=(0, seconds[-1]))
plt.show()

# %%
# **How to read it.** All trials of both subjects jump at the dashed line, although the amplifier's stamps were 500 s
# away from those of the markers: LabRecorder measures the offset of clocks, and the reader undoes it. If all lines came
# early or late by the same time, a device would have a constant delay, which is in no file; if they spread, a clock
# would not be corrected. The filters work forwards and backwards, which is why the lines bend a little before the
# event.
#
# A camera belongs into the same file: a stream with the number of each frame ties its film to the other streams, also
# where the camera lost some.

folder.cleanup()
