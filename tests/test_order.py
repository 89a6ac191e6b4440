"""The order of the rooms: a file imports only from lines above its own. This is what keeps flat flat."""

import ast
import re
from pathlib import Path

import gbvnet

PACKAGE = Path(gbvnet.__file__).parent
ORDER = """
errors
text
config files published notation path_kinds names
modelfolder
hub worth
passport
weights frametimes
video
recording
cluster memory ahead
parallel
units
channels
datasets.text_file datasets.mne_units datasets.signal_formats datasets.segments
datasets.signal_text datasets.pauses
datasets.signal_file
datasets.known_channels
datasets.bdf datasets.pickled datasets.table_file
datasets.deap datasets.table datasets.mahnob_session
datasets.deap_raw datasets.mahnob
datasets.template datasets.lone
datasets.synthetic_face datasets.synthetic_signals
datasets.made_up
datasets.synthetic_bdf
datasets.synthetic datasets.synthetic_mahnob
datasets.synthetic_lone
datasets
fetched
faceevents
participant
faces signals windows store
facewindows facestats causal deviceclock
facestream signalstream
joined
rebaseline described remembering
check duplicates
prepare
splits predictions
model
pretrained
cost
augment checkpoint batches devices
shared export
fitting
systems
features derivations classical
linear scalp smoothing spectra svm waveforms grey_wolf
autonomic
networks
face_cnn fusion sequences
systems.*
confounds
plan
recipe
timing
runs
series
crossval
transfer
metrics
ranking
page
figures
diagram rank_figure
results
summary
leakage splitcheck
paper_data
paper
maps
explained
explain
report
rivals
audit compare
reproduce slurm
train
emotions
predictor
plot_theme
timeline
stream
predict
feeds curves
lsl
live
playable
disk_quota same_origin
upload_limits
visit
webpage
app
demo
cli
__main__
"""
LINE = {name: number for number, line in enumerate(ORDER.split("\n")) for name in line.split()}
SYSTEMS_LINE = LINE.pop("systems.*")  # a system imports no other
LINE |= {f"systems.{f.stem}": SYSTEMS_LINE for f in (PACKAGE / "systems").glob("*.py") if f.stem != "__init__"}


def modules():
    for file in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        if name != "__init__":
            yield name, file


def imported(name: str, file: Path):
    """The package's own modules that a file imports, anywhere in it."""
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    known = {n for n, _ in modules()}
    for node in ast.walk(ast.parse(file.read_text())):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = package[: len(package) + 1 - node.level] + (node.module.split(".") if node.module else [])
        if ".".join(base) in known:
            yield ".".join(base)
        yield from (m for a in node.names if (m := ".".join([*base, a.name])) in known)


def test_every_file_has_its_place():
    assert {name for name, _ in modules()} == set(LINE)


def test_a_file_imports_only_from_lines_above():
    wrong = [
        f"{name} imports {other}"
        for name, file in modules()
        for other in imported(name, file)
        if LINE[other] >= LINE[name] and not name.startswith(other + ".") and other != name
    ]
    assert wrong == []


def test_each_public_name_loads_and_none_is_also_a_files_name():
    files = {name for name, _ in modules()}
    for name in gbvnet.__all__:
        assert getattr(gbvnet, name) is not None
        assert name not in files
    assert set(dir(gbvnet)) == set(gbvnet.__all__)


def test_the_readme_names_every_file():
    readme = (PACKAGE.parent / "README.md").read_text()
    told = set(re.findall(r"`([a-z_]+)`", readme))
    files = {name.split(".")[-1] for name, _ in modules() if not name.startswith("systems.")}
    grouped = {name for name in files if name.startswith(("synthetic", "__"))} | {"datasets", "systems"}
    assert files - told - grouped == set()
