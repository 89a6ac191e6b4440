"""The seed of a training, from the run's seed and the training's name."""

import hashlib


def training_seed(seed: int, name: str) -> int:
    """Return a seed below 2**32 that differs from training to training. name : of the training, unique in the run"""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:4], "big")
