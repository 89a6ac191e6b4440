"""python -m tests.fuzz.reached TARGET COUNT SEED CORPUS KEEP RESULT: one parser under atheris; guided.py calls it."""

import importlib
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from random import Random


def main() -> None:
    import atheris

    name, count, seed, corpus, keep, result_file = sys.argv[1:]
    with atheris.instrument_imports(include=["gbvnet"]):
        hunt = importlib.import_module("tests.fuzz.hunt")
        targets = importlib.import_module("tests.fuzz.targets").targets()
        importlib.import_module("gbvnet.inference.predictor")  # which its target imports later
    from .mutate import change

    target, result, began = targets[name], hunt.HuntResult(name), time.perf_counter()

    def one(data: bytes) -> None:
        if data:  # it always begins with nothing, which says little
            hunt.tried(target, data, result, Path(keep))
        if result.tried >= int(count):
            result.seconds = time.perf_counter() - began
            Path(result_file).write_text(json.dumps(asdict(result)))
            os._exit(0)  # libFuzzer has no other end that keeps what Python found

    def corrupt(data: bytes, longest: int, number: int) -> bytes:
        rng = Random(number)
        if rng.random() < 0.5:
            return atheris.Mutate(data, longest)
        return change(rng, data, target.seeds, target.kind)[:longest]

    settings = [f"-seed={int(seed) + 1}", "-max_len=16384", "-timeout=60", "-rss_limit_mb=4096"]
    atheris.Setup([sys.argv[0], *settings, f"-artifact_prefix={keep}/", corpus], one, custom_mutator=corrupt)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
