"""
A model for others: folder, hub, ONNX
=====================================

A trained model is of use to others if three things travel with it: how its input was prepared, what its output means,
and what it is worth. A model folder has all three, without any pickle. This example trains one, lets it travel, shows
what happens if a file is changed on the way, and exports it to ONNX, which runs without torch and without gbvnet.

The export needs ``pip install 'gbvnet[onnx]'``.
"""

# %%
# A model, and what it is worth
# -----------------------------
#
# ``train_model`` trains on all windows, so nothing is left to test it on. Its accuracy is estimated by
# cross-validations with the same settings, whose scores go on the model's card. Windows are synthetic, and read
# features of the face instead of pictures.

import contextlib
import json
import shutil
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
import torch

import gbvnet
from gbvnet.network.checkpoint.describe import describe_model
from gbvnet.testing import SyntheticStore, SyntheticWindows

folder = tempfile.TemporaryDirectory()
root = Path(folder.name)
store = SyntheticStore(SyntheticWindows(subjects=8, trials=8, windows=3, kept="features", complementary=True))
settings = {
    "target": "valence",
    "protocol": "subject",
    "model": gbvnet.ModelConfig(variant="micro", face_input="features"),
    "train": gbvnet.TrainConfig(epochs=20, batch_size=32, learning_rate=3e-3, augment=False),
}
gbvnet.cross_validate(store, root / "subject", gbvnet.CrossvalConfig(folds=3, **settings))
gbvnet.train_model(store, root / "model", gbvnet.FinalConfig(**settings), runs=[root / "subject"])
print(*(f"{file.name:20} {file.stat().st_size:>9,} bytes" for file in sorted((root / "model").iterdir())), sep="\n")

# %%
# ``gbvnet model show MODEL`` prints what is in them; it reads no tensors.

with contextlib.chdir(root):
    print(describe_model("model"))

# %%
# To the hub, and back
# --------------------
#
# On the Hugging Face hub a model is the same folder. Two commands upload it; from then on its name stands wherever a
# folder may stand:
#
# .. code-block:: bash
#
#    hf auth login
#    gbvnet model push model user/name          # private, unless --public is given
#    gbvnet predict user/name video.mp4 eeg.bdf out
#
# No network is used here: the folder is copied, as the hub's cache does. ``HubGBVNet`` has the three methods that users
# of the hub know.

shutil.copytree(root / "model", root / "cache" / "model")
model = gbvnet.HubGBVNet.from_pretrained(root / "cache" / "model")
print(model.about["targets"], model.about["protocol"], f"{sum(p.numel() for p in model.parameters()):,} parameters")

# %%
# A file that was changed is refused. Config and tensors are bound by a hash: a model whose channels are in another
# order would load and predict nonsense.

config = root / "cache" / "model" / "config.json"
edited = json.loads(config.read_text())
edited["about"]["channels"].reverse()
config.write_text(json.dumps(edited))
try:
    with contextlib.chdir(root / "cache"):
        gbvnet.HubGBVNet.from_pretrained(Path("model"))
except gbvnet.GbvnetError as error:
    print(error)

# %%
# As ONNX
# -------
#
# ``gbvnet model export MODEL model.onnx`` writes one file, with the normalisation in it, for any number of windows.
# Before it is kept it is compared with torch.

with contextlib.chdir(root):
    print(gbvnet.export_onnx("model", "model.onnx"))
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = torch.get_num_threads()  # as many as torch has
session = onnxruntime.InferenceSession(root / "model.onnx", options)
print(*(f"{entry.name:14} {entry.type:15} {entry.shape}" for entry in session.get_inputs()), sep="\n")

# %%
# The same windows through both, once with all that they have, and once without the face:

predictor = gbvnet.Predictor(root / "model")
rows = np.arange(len(store))
_, face_ok, signals = store.read(rows)
features, no_face = store.face_features(rows), np.zeros_like(face_ok)
probabilities = {}
for name, ok in (("face and signals", face_ok), ("signals alone", no_face)):
    inputs = {"face_features": features, "face_ok": ok, "signals": signals, "has_signals": np.ones(len(rows), bool)}
    (logits,) = session.run(["logits"], inputs)
    by_torch = predictor.predict_windows(features, ok, signals).values[:, 0]
    probabilities[name] = by_torch, 1 / (1 + np.exp(-logits[:, 0]))
    print(f"{name}: largest difference {np.abs(np.subtract(*probabilities[name])).max():.1e}")

# %%
# Torch and ONNX
# --------------


def milliseconds(call):
    """Median time of a call."""
    times = []
    for _ in range(15):
        began = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - began))
    return np.median(times)


fig, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.3), layout="constrained", width_ratios=(1, 1.2))
left.plot([0, 1], [0, 1], color="0.7", lw=1)
for (name, (by_torch, by_onnx)), marker in zip(probabilities.items(), "o+", strict=True):
    left.plot(by_torch, by_onnx, marker, ms=5, mfc="none", label=name)
left.set(xlabel="probability of high, torch", ylabel="ONNX", aspect="equal")
left.legend(frameon=False, fontsize=8)
left.set_title("One dot a window (synthetic data)", fontsize=10, loc="left")
for place, n in enumerate((1, 16, 64)):
    some = {name: value[:n] for name, value in (inputs | {"face_ok": face_ok}).items()}
    by_torch = milliseconds(lambda n=n: predictor.predict_windows(features[:n], face_ok[:n], signals[:n]))
    by_onnx = milliseconds(lambda some=some: session.run(None, some))
    right.bar([place - 0.2, place + 0.2], [by_torch, by_onnx], 0.4, color=["C0", "C1"])
right.set(xticks=range(3), xticklabels=["1 window", "16", "64"], ylabel="milliseconds on this processor")
right.set_title("Blue: torch. Orange: ONNX", fontsize=10, loc="left")
plt.show()

# %%
# **How to read it.** Left: on the line both predict the same. Crosses are windows whose face was left out: the
# missing-modality embedding is part of the file. Right: median times of this machine and of a very small network;
# measure yours. ``--int8`` and ``gbvnet model prune`` make a model smaller, and report what that costs.

folder.cleanup()
