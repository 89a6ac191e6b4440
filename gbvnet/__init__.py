"""Emotion recognition from a face video together with physiological signals, compared without leaks.

What the command line does, as functions; each name is loaded when it is first used, so that `import gbvnet` is instant.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# Threads of torch that wait for each other by spinning made a training step 20 times slower where another process
# shared the cores (measured: 3.0 s against 0.13 s). This is read when torch is loaded; a setting of the user's stays.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.2.0"

# Where each public name is. The imports say the same to type checkers, and are not run.
_HOME = {
    "open_corpus": "datasets",
    "check_corpus": "datasets.check",
    "prepare_store": "store.prepare",
    "open_store": "store.reader",
    "cross_validate": "experiments.crossval",
    "cross_validate_seeds": "experiments.seed_group",
    "compare": "experiments.compare",
    "audit": "experiments.audit",
    "transfer": "experiments.transfer",
    "tune": "experiments.tune",
    "explain_run": "experiments.explain",
    "write_report": "report.report",
    "ProtocolSplit": "evaluation.splitter",
    "WindowDataset": "store.interop",
    "to_mne_epochs": "store.interop",
    "Cluster": "parallel.ray_cluster",
    "train_model": "experiments.train",
    "load_model": "network.checkpoint.checkpoint",
    "save_model": "network.checkpoint.checkpoint",
    "export_onnx": "network.checkpoint.onnx",
    "predict_files": "inference.predict",
    "predict_recording": "inference.predict",
    "Predictor": "inference.predictor",
    "EmotionStream": "inference.streaming.emotion_stream",
    "StreamSettings": "inference.streaming.emotion_stream",
    "GBVNet": "network.model",
    "HubGBVNet": "network.checkpoint.hub_model",
    "GBVNetConfig": "config",
    "PrepareConfig": "config",
    "CrossvalConfig": "config",
    "CompareConfig": "config",
    "AuditConfig": "config",
    "TuneConfig": "config",
    "ExplainConfig": "config",
    "FinalConfig": "config",
    "ModelConfig": "config",
    "TrainConfig": "config",
    "Times": "config",
    "GbvnetError": "errors",
}
if TYPE_CHECKING:
    from .config import AuditConfig as AuditConfig
    from .config import CompareConfig as CompareConfig
    from .config import CrossvalConfig as CrossvalConfig
    from .config import ExplainConfig as ExplainConfig
    from .config import FinalConfig as FinalConfig
    from .config import GBVNetConfig as GBVNetConfig
    from .config import ModelConfig as ModelConfig
    from .config import PrepareConfig as PrepareConfig
    from .config import Times as Times
    from .config import TrainConfig as TrainConfig
    from .config import TuneConfig as TuneConfig
    from .datasets import open_corpus as open_corpus
    from .datasets.check import check_corpus as check_corpus
    from .errors import GbvnetError as GbvnetError
    from .evaluation.splitter import ProtocolSplit as ProtocolSplit
    from .experiments.audit import audit as audit
    from .experiments.compare import compare as compare
    from .experiments.crossval import cross_validate as cross_validate
    from .experiments.explain import explain_run as explain_run
    from .experiments.seed_group import cross_validate_seeds as cross_validate_seeds
    from .experiments.train import train_model as train_model
    from .experiments.transfer import transfer as transfer
    from .experiments.tune import tune as tune
    from .inference.predict import predict_files as predict_files
    from .inference.predict import predict_recording as predict_recording
    from .inference.predictor import Predictor as Predictor
    from .inference.streaming.emotion_stream import EmotionStream as EmotionStream
    from .inference.streaming.emotion_stream import StreamSettings as StreamSettings
    from .network.checkpoint.checkpoint import load_model as load_model
    from .network.checkpoint.checkpoint import save_model as save_model
    from .network.checkpoint.hub_model import HubGBVNet as HubGBVNet
    from .network.checkpoint.onnx import export_onnx as export_onnx
    from .network.model import GBVNet as GBVNet
    from .parallel.ray_cluster import Cluster as Cluster
    from .report.report import write_report as write_report
    from .store.interop import WindowDataset as WindowDataset
    from .store.interop import to_mne_epochs as to_mne_epochs
    from .store.prepare import prepare_store as prepare_store
    from .store.reader import open_store as open_store
__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'gbvnet' has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
