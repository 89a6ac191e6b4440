"""`gbvnet reproduce --plan` against the truth: what a small recipe was expected to take, and what it took."""

import tempfile
import time
from pathlib import Path

from gbvnet.config import PrepareConfig
from gbvnet.experiments.reproduction.plan import estimate_studies, plan_studies
from gbvnet.experiments.reproduction.recipe import load_recipe
from gbvnet.experiments.reproduction.reproduce import run_all
from gbvnet.store.dry_run import DryRunStore

RECIPE = """
name: estimate
about: three networks, enough windows for half a minute
protocols: [trial]
targets: [valence]
modalities: [facebio, bio]
crossval: {folds: 3, model: {variant: micro}, train: {epochs: 4}}
ablations: [variant small]
"""


def measure():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = DryRunStore("deap:4x9x10", PrepareConfig(frames_per_window=5))
        (folder / "estimate.yaml").write_text(RECIPE)
        studies = plan_studies([load_recipe(folder / "estimate.yaml")], [store])
        expected = sum(e.seconds for e in estimate_studies(studies, folder).values())
        began = time.perf_counter()
        problems = run_all([run for study in studies for run in study.runs], folder)
        took = time.perf_counter() - began
        assert not problems, problems
    yield {"what": "the plan's time for nine small trainings", "value": expected, "unit": "s"}
    yield {"what": "what they took", "value": took, "unit": "s"}
    yield {"what": "estimate / truth", "value": expected / took, "unit": "x", "aim": "0.7 to 1.3"}
