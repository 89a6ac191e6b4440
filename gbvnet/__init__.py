"""Emotion recognition from a face video together with physiological signals, compared without leaks.

A dozen names, each loaded when it is first used: `import gbvnet` is instant.
"""

import os
from importlib import import_module
from typing import Any

# Threads of torch that wait for each other by spinning made a training step 20 times slower where another process
# shared the cores (measured: 3.0 s against 0.13 s). This is read when torch is loaded; a setting of the user's stays.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"

_HOME = {
    "open_corpus": "datasets",
    "prepare_store": "store.prepare",
    "open_store": "store.store",
    "cross_validate": "experiments.crossval",
    "Cluster": "parallel.ray_cluster",
    "write_report": "report.report",
    "load_model": "network.checkpoint.checkpoint",
    "save_model": "network.checkpoint.checkpoint",
    "train_model": "experiments.train",
    "predict_files": "inference.predict",
    "predict_recording": "inference.predict",
    "Predictor": "inference.predictor",
    "EmotionStream": "inference.streaming.emotion_stream",
    "GBVNet": "network.model",
    "SharedGBVNet": "network.checkpoint.hub_model",
    "GBVNetConfig": "config",
    "PrepareConfig": "config",
    "CrossvalConfig": "config",
    "FinalConfig": "config",
    "GbvnetError": "errors",
}
__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'gbvnet' has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
