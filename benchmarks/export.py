"""A model in onnxruntime against the same in torch, on this CPU with as many threads each."""

import tempfile
from pathlib import Path

import torch

from gbvnet.config import GBVNetConfig
from gbvnet.network.checkpoint.checkpoint import save_model
from gbvnet.network.checkpoint.onnx import BATCH, export_onnx
from gbvnet.network.model import GBVNet

SIDE = 64


def measure() -> list[dict]:
    rows = []
    for variant in ("micro", "atto"):
        torch.manual_seed(0)
        with tempfile.TemporaryDirectory() as folder:
            save_model(Path(folder) / "model", GBVNet(GBVNetConfig(variant=variant)), {"face_side": SIDE})
            done = export_onnx(Path(folder) / "model", Path(folder) / "model.onnx")
        for n, onnx, plain in ((1, done.onnx_one, done.torch_one), (BATCH, done.onnx_batch, done.torch_batch)):
            windows = "1 window" if n == 1 else f"{n} windows"
            rows.append(
                {
                    "what": f"{variant}, {windows}: onnxruntime / torch",
                    "value": onnx / plain,
                    "unit": f"x ({1e3 * onnx:.0f} / {1e3 * plain:.0f} ms)",
                }
            )
    return rows
