"""
Live, from a camera and a stream of signals
===========================================

In real time nothing is known of the next second: filters look back only, a baseline has to be over before the first
window, and what does not arrive in time is missing. ``gbvnet live model --video 0 --lsl BioSemi`` predicts from a
camera and an LSL stream; ``EmotionStream`` does the same for any device whose frames and samples your own program
receives.

What does a stream predict if the camera is covered for a while, and the amplifier is unplugged? Here both devices are
played from files, so that this runs without any.
"""

# %%
# A model, and a recording of somebody new
# ----------------------------------------
#
# Both are synthetic. Two subjects of the training were filmed; the other eight help with their signals. The new
# recording has three seconds before the film starts, which are its baseline.

import heapq
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import gbvnet

folder = tempfile.TemporaryDirectory()
root = Path(folder.name)
SECONDS, BASELINE_S = 12, 3


def run(command):
    """Run a command as a terminal does, in the temporary folder."""
    words = [sys.executable, "-m", "gbvnet", *shlex.split(command)]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    print(f"$ gbvnet {command}\n{done.stdout}", end="")


effects = "--face 0.4 --effect 2 --fingerprint 0.3"
run(f"synth deap corpus --subjects 10 --trials 6 --seconds 3 --videos 2 {effects} --jobs 1")
run("prepare deap corpus deap.store --store_faces features --frames_per_window 3 --jobs 1")
run(f"synth deap new --subjects 1 --trials 1 --seconds {SECONDS} {effects} --seed 12 --jobs 1")

config = gbvnet.FinalConfig(
    target="valence",
    rows="any",  # windows without a face are trained on, too
    model=gbvnet.ModelConfig(variant="micro", face_input="features"),
    train=gbvnet.TrainConfig(epochs=6, batch_size=16, learning_rate=1e-3, augment=False),
)
gbvnet.train_model(gbvnet.open_store(root / "deap.store"), root / "model", config)
predictor = gbvnet.Predictor(root / "model")
corpus = gbvnet.open_corpus("deap", root / "new")
recording = corpus.inspect(corpus.recordings("s01")[0])
print(recording.name, recording.ratings)
print(predictor.accuracy_note)

# %%
# Two devices
# -----------
#
# Each yields what it has and when it arrived, on one clock. In your program these are the loops around
# ``cv2.VideoCapture(0)`` and around the inlet of LSL. Second 0 is the start of the film. From 4 to 7 s a hand covers
# the camera; from 9 to 10.5 s the cable is out.

signals = corpus.signals(recording)


def camera():
    film = cv2.VideoCapture(str(recording.video))
    fps, number = film.get(cv2.CAP_PROP_FPS), 0
    while (picture := film.read()[1]) is not None:
        time_s = number / fps
        if 4 <= time_s < 7:
            picture = np.zeros_like(picture)
        yield time_s, "frame", cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        number += 1


def amplifier():
    rate_hz, size = signals.rate_hz, round(0.05 * signals.rate_hz)
    for first in range(0, signals.samples.shape[1], size):
        time_s, chunk = (first - signals.onset) / rate_hz, signals.samples[:, first : first + size]
        if not 9 <= time_s < 10.5:
            yield time_s + chunk.shape[1] / rate_hz, "chunk", (chunk, time_s)


# %%
# The stream
# ----------
#
# Frames and samples are pushed as they arrive; each call returns the windows that have become complete. A window waits
# half a second for a modality that is late, and is then predicted without it.

names = [channel.name for channel in signals.channels]
settings = gbvnet.StreamSettings(baseline_start_s=-BASELINE_S)
rows = []
with gbvnet.EmotionStream(predictor, signals.rate_hz, names, settings=settings) as stream:
    for arrived_s, what, data in heapq.merge(camera(), amplifier(), key=lambda event: event[0]):
        new = stream.frame(data, arrived_s) if what == "frame" else stream.samples(*data)
        rows += [row | {"delay_s": arrived_s - row["stop_s"]} for row in new]
    rows += stream.finish()
table = pd.DataFrame(rows)
columns = ["start_s", "valence", "gate_face", "face_ok", "has_signals", "flags", "delay_s"]
print(table[columns].round(2).to_string(index=False))

# %%
# Beside the whole recording
# --------------------------
#
# ``predict`` has the same recording without the disturbances, and its filters look forward as well.

whole = gbvnet.predict_recording(predictor, corpus, recording).table
fig, (top, bottom) = plt.subplots(2, 1, figsize=(8, 4), layout="constrained", sharex=True, height_ratios=(2, 1))
top.plot(whole["start_s"] + 0.5, whole["valence"], "-", color="0.6", label="predict, undisturbed")
top.plot(table["start_s"] + 0.5, table["valence"], "o", color="C0", ms=7, label="live")
top.set(ylim=(0, 1), ylabel="probability of\nhigh valence")
top.legend(frameon=False, fontsize=8)
top.set_title(f"Rated {recording.ratings['valence']:.1f} of 9 (synthetic data)", fontsize=10, loc="left")
for ax in (top, bottom):
    ax.axvspan(4, 7, color="C1", alpha=0.15, lw=0)
    ax.axvspan(9, 10.5, color="C3", alpha=0.15, lw=0)
bottom.plot(table["start_s"] + 0.5, table["face_ok"], "s", color="C1", label="frames with a face, share")
bottom.plot(table["start_s"] + 0.5, table["has_signals"], "x", color="C3", ms=8, label="signals")
bottom.set(xlabel="seconds of the film", yticks=[0, 1], ylim=(-0.25, 1.25), xlim=(0, SECONDS))
bottom.legend(frameon=False, fontsize=8, loc="center left")
plt.show()

# %%
# **How to read it.** The orange span is the covered camera, the red one the missing cable. Rows keep coming. For up to
# a second the last good face is used, then there is none, and the missing-modality embedding takes its place; ``flags``
# says so beside the number. Windows that overlap the gap have no signals, and the first of them waited half a second
# for its samples (``delay_s``). Afterwards both are back without a restart, and a channel that has moved far from the
# training is flagged.
#
# Differences from the grey line where nothing was disturbed are those of filters that look back only. How large they
# are for your model is measured by ``python -m benchmarks.streaming MODEL VIDEO SIGNALS``.
#
# .. code-block:: bash
#
#    gbvnet live model --video 0 --lsl BioSemi --out today.csv     # a camera and an LSL stream
#    gbvnet live model --video film.avi --signals eeg.bdf          # the same from files, in real time

folder.cleanup()
