"""
Your own recordings: a wearable and a webcam
============================================

Many studies have no amplifier: a bracelet measures skin conductance, pulse and temperature, and a webcam films the
face. Files of wearables are read as they are; a table says which film and which seconds belong together. One thing must
come from the recording itself: **when** the film began on the bracelet's clock.

Here a subject presses the button of an Empatica E4 whenever a film starts. The button's times are in ``tags.csv``.
"""

# %%
# A session of an E4, and two films
# ---------------------------------
#
# Both are synthetic. Each signal of an E4 is a file of its own: the time of the first sample, the rate, then the
# samples. A skin response is planted 3 s after the start of each film. The films are by ``synth``: a drawing of a face
# that moves.

import shlex
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import gbvnet

folder = tempfile.TemporaryDirectory()
root = Path(folder.name)
FIRST_SAMPLE = datetime(2024, 3, 5, 10, 11, 12, tzinfo=UTC).timestamp()
SECONDS, FILMS_S, FILM_S = 50, (10.0, 32.0), 8  # length of the session; starts of the films; length of a film


def run(command):
    """Run a command as a terminal does, in the temporary folder."""
    words = [sys.executable, "-m", "gbvnet", *shlex.split(command)]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    print(f"$ gbvnet {command}\n{done.stdout}", end="")


def write_e4(folder):
    """Write the files of a session, as they are downloaded."""
    folder.mkdir(parents=True)
    for name, rate_hz in (("EDA", 4), ("BVP", 64), ("TEMP", 4)):
        t = np.arange(SECONDS * rate_hz) / rate_hz
        late = [np.clip(t - start_s - 3, 0, None) for start_s in FILMS_S]
        response = sum(np.exp(-s / 4) - np.exp(-s / 0.7) for s in late)
        values = {
            "EDA": 2
            + response
            + 0.01 * np.random.default_rng(0).normal(size=len(t)).cumsum() / rate_hz,  # microsiemens
            "BVP": 50 * np.sin(2 * np.pi * 1.2 * t) + 20 * np.sin(4 * np.pi * 1.2 * t + 1),  # 72 beats a minute
            "TEMP": 33 + 0.004 * t,  # degrees Celsius
        }[name]
        rows = "".join(f"{value:.6f}\n" for value in values)
        (folder / f"{name}.csv").write_text(f"{FIRST_SAMPLE:.6f}\n{rate_hz:.6f}\n{rows}")
    (folder / "tags.csv").write_text("".join(f"{FIRST_SAMPLE + start_s:.2f}\n" for start_s in FILMS_S))


write_e4(root / "lab" / "anna" / "E4_session")
run(f"synth deap films --subjects 1 --trials 2 --seconds {FILM_S} --jobs 1")
for trial in (1, 2):
    film = root / "films" / "face_video" / "s01" / f"s01_trial0{trial}.avi"
    shutil.copy(film, root / "lab" / "anna" / f"film{trial}.avi")

# %%
# A table to fill in
# ------------------
#
# ``table init`` scans the folder, knows the bracelet by the content of its files, and writes ``recordings.csv`` and
# ``table.yaml``. Both explain themselves in comments; here is what is left without them.

run("table init lab")
for name in ("recordings.csv", "table.yaml"):
    lines = (root / "lab" / name).read_text().splitlines()
    print(f"\n{name}", *(line for line in lines if line and not line.lstrip().startswith("#")), sep="\n")

# %%
# Second 0 is the bracelet's first sample, so a film starts at its tag less that time. The webcam's file begins with the
# film: its clock is behind by the same number of seconds. The store gets 64 samples a second, the rate of the pulse.

tags = pd.read_csv(root / "lab" / "anna" / "E4_session" / "tags.csv", header=None)[0] - FIRST_SAMPLE
table = pd.DataFrame(
    {
        "subject": "anna",
        "trial": [1, 2],
        "video": ["anna/film1.avi", "anna/film2.avi"],
        "signals": "anna/E4_session",
        "start_s": tags,
        "stop_s": tags + FILM_S,
        "video_offset_s": -tags,
        "valence": [3, 7],
    }
)
table.to_csv(root / "lab" / "recordings.csv", index=False)
settings = (root / "lab" / "table.yaml").read_text()
(root / "lab" / "table.yaml").write_text(settings.replace("rate_hz: 128", "rate_hz: 64", 1))
print(table.to_string(index=False))

# %%
# Check, and prepare
# ------------------

run("check table lab --jobs 1")
run("prepare table lab lab.store --jobs 1")

# %%
# Face and signals, second by second
# ----------------------------------

store = gbvnet.open_store(root / "lab.store")
windows = store.windows[store.windows["trial"] == "1"]
faces, face_ok, signals = store.read(windows.index)
names = [name for name, _ in store.settings["channels"]]
seconds = np.arange(signals.shape[2] * len(windows)) / store.settings["rate_hz"]
fig, axes = plt.subplots(4, 1, figsize=(8, 5), layout="constrained", sharex=True, height_ratios=(0.9, 1, 1, 1))
for start_s, pictures in zip(windows["start_s"], faces, strict=True):
    axes[0].imshow(pictures[len(pictures) // 2], extent=(start_s + 0.05, start_s + 0.95, 0, 1), aspect="auto")
axes[0].set(yticks=[], ylim=(0, 1))
axes[0].set_title("The middle frame of each window, and the signals (synthetic data)", fontsize=10, loc="left")
for ax, name, unit in zip(axes[1:], ("EDA", "BVP", "TEMP"), ("µS", "", "°C"), strict=True):
    ax.plot(seconds, np.concatenate(signals[:, names.index(name)]), color="C0", lw=1)
    ax.set_ylabel(f"{name}{unit and ', '}{unit}")
    ax.axvline(3, color="C1", ls="--", lw=1)
axes[-1].set(xlabel="seconds from the start of the film", xlim=(0, FILM_S))
plt.show()

# %%
# **How to read it.** Every second is a window: ten aligned pictures of the face, of which one is drawn, and the signals
# less their mean over the three seconds before the film. The skin response begins at the dashed line, where it was
# planted: the tag has placed the bracelet right. If the computer that shows the films logs their times instead, the
# column ``recording_start_utc`` takes them; two clocks may differ by seconds, a button does not.

folder.cleanup()
