"""An audit sees the leak where there is nothing else, sees skill where there is some, and says so in two sentences."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gbvnet.cli.main import main
from gbvnet.config import PROTOCOLS, AuditConfig, ModelConfig, TrainConfig
from gbvnet.errors import BadConfig, BadRun, LeakySplit
from gbvnet.evaluation.labels import shuffle_within_subjects
from gbvnet.evaluation.plan import choose_windows
from gbvnet.experiments import audit as audit_module
from gbvnet.experiments.audit import audit, plan_audit
from gbvnet.report.audit_results import read_audit
from gbvnet.report.audit_section import assess
from gbvnet.report.report import write_report
from gbvnet.systems import validate_config

from ..synthetic_store import write_store

pytestmark = pytest.mark.journey
CONFIG = AuditConfig(
    system="ridge",  # quick, and on faces it learns redness, which is what is planted
    modality="face",
    folds=3,
    shuffles=2,
    model=ModelConfig(variant="micro"),
    train=TrainConfig(epochs=1, batch_size=16, device="cpu"),
)


@pytest.fixture(scope="module", autouse=True)
def quick(module_patch):
    """Without the signal branch, which takes seconds; it has a test of its own below."""
    module_patch.setattr(audit_module, "LEARNERS", ("nearest", "ridge"))


@pytest.fixture(scope="module")
def module_patch():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def bait(tmp_path_factory):
    """Six subjects, no effect, every trial marked: a system that scores well has leaked."""
    folder = tmp_path_factory.mktemp("bait") / "store"
    return write_store(folder, subjects=6, trials=8, windows=8, effect=0.0, fingerprint=1.0)


@pytest.fixture(scope="module")
def of_bait(bait, tmp_path_factory):
    folder = tmp_path_factory.mktemp("audit") / "of bait"
    return audit(bait, folder, replace(CONFIG, system="nearest"))


@pytest.fixture(scope="module")
def of_planted(tmp_path_factory):
    store = write_store(tmp_path_factory.mktemp("planted") / "store", subjects=6, trials=8, effect=1.0)
    return audit(store, tmp_path_factory.mktemp("audit") / "a", replace(CONFIG, identities=False, baselines=False))


def accuracy(result):
    return result.scores.window["accuracy"]


def test_where_nothing_is_but_the_leak_the_assessment_says_so(of_bait):
    leak, honest = assess(of_bait)
    assert accuracy(of_bait.leaky) > 0.95
    assert np.mean([accuracy(r) for r in of_bait.shuffled]) > 0.95
    assert set(of_bait.by_protocol) == set(PROTOCOLS)
    assert not any(r.scores.chance["window"].above for r in of_bait.honest.values())
    assert "the score shows that trials are recognised, and nothing about emotion" in leak
    assert honest.startswith("Without the leak no score is above chance: trial ")
    assert leak.count(". ") == honest.count(". ") == 0


def test_where_something_is_planted_the_assessment_says_how_much_is_real(of_planted):
    leak, honest = assess(of_planted)
    for name in ("trial", "stimulus", "subject"):
        assert of_planted.by_protocol[name].scores.chance["window"].p < 0.01
        assert f"{name} " in honest
    assert "Without the leak it is above chance under trial" in honest
    assert re.search("of the difference from chance is the recognition|no recognition of trials is shown here", leak)
    assert "nothing about emotion" not in leak


def test_inflation_is_per_subject_on_the_same_windows(of_bait):
    for inflation in of_bait.inflations:
        leaky, honest = of_bait.leaky.table, of_bait.by_protocol[inflation.honest].table
        both = leaky.merge(honest, on=["recording", "window"], suffixes=("", "_honest"))
        right = both.assign(a=(both["p"] >= 0.5) == both["y"], b=(both["p_honest"] >= 0.5) == both["y_honest"])
        of_subject = right.groupby("subject")[["a", "b"]].mean()
        assert inflation.points == pytest.approx(100 * (right["a"].mean() - right["b"].mean()))
        expected = stats.wilcoxon(of_subject["a"], of_subject["b"], alternative="greater").pvalue
        assert inflation.paired.p == pytest.approx(expected)
        assert inflation.paired.effect > 0.9
        assert inflation.p_holm >= inflation.paired.p


def test_the_template_gives_every_trial_away_and_the_mean_does_not(tmp_path):
    """DEAP's case in small: pure noise, random labels, one waveform a trial."""
    store = write_store(tmp_path / "s", subjects=3, trials=12, windows=8, effect=0.0, faces=False)
    result = audit(store, tmp_path / "a", replace(CONFIG, system="nearest", modality="bio", identities=False))
    accuracies = {name: accuracy(r) for name, r in result.of_role("baseline").items()}
    assert accuracies["template-nearest-window"] > 0.9  # of 160 numbers a window; 5120 of DEAP give 1.0
    assert accuracies["template-ridge-window"] > accuracies["none-ridge-window"] + 0.08
    for quiet in ("none-nearest-window", "mean-ridge-window", "template-nearest-trial", "template-ridge-trial"):
        assert accuracies[quiet] < 0.75
    assert not list((tmp_path / "a/baseline").glob("*/fold*/*/model"))


def test_trials_are_identified_by_their_marks_and_subjects_are_not(of_bait):
    identities = {(i["what"], i["modality"]): i for i in of_bait.about["identities"]}
    assert identities["trial", "face"]["accuracy"] > 0.9
    assert identities["trial", "face"]["chance"] == pytest.approx(1 / 48)
    assert identities["person", "face"]["accuracy"] < 0.5  # the marks are of trials, and other trials tell nothing


def test_trials_of_one_window_each_are_not_identified(tmp_path, caplog):
    store = write_store(tmp_path / "s", subjects=2, trials=6, windows=1)
    identities = audit_module.identification_accuracies(store, CONFIG)
    assert [one["what"] for one in identities] == ["person"]
    assert "too few windows of each recording to identify them by face" in caplog.text


def test_an_audit_goes_on_where_it_stopped_and_refuses_another(of_bait, bait, monkeypatch):
    monkeypatch.setattr(audit_module, "identification_accuracies", lambda *a: pytest.fail("done already"))
    before = {f: f.stat().st_mtime_ns for f in of_bait.folder.rglob("predictions.parquet")}
    audit(bait, of_bait.folder, replace(CONFIG, system="nearest"))
    assert before == {f: f.stat().st_mtime_ns for f in of_bait.folder.rglob("predictions.parquet")}
    with pytest.raises(BadRun, match="expected an audit with seed = 5, found one with 0"):
        audit(bait, of_bait.folder, replace(CONFIG, system="nearest", seed=5))


def test_what_the_store_cannot_have_is_left_out_and_reported(tmp_path):
    store = write_store(tmp_path / "s", subjects=2, trials=6, faces=False)
    steps, left_out = plan_audit(store, replace(CONFIG, modality="bio"))
    assert {s.name for s in steps if s.role == "ladder"} == {"window", "trial", "stimulus"}
    assert [line.split(":")[0] for line in left_out] == ["protocol subject", "protocol subject+stimulus"]
    assert "3 folds need at least 3 subjects" in left_out[0]


def test_the_baseline_comparison_takes_as_many_subjects_as_its_folds_need_or_is_left_out(tmp_path, monkeypatch):
    """In a corpus of few long trials the first subject alone is too large, and has too few trials for the folds."""
    monkeypatch.setattr(audit_module, "BASELINE_WINDOWS", 5)
    store = write_store(tmp_path / "s", subjects=4, trials=2, windows=8, faces=False)
    config = replace(CONFIG, modality="bio", protocols=("window", "trial"))
    steps, left_out = plan_audit(store, config)
    assert {s.config.subjects for s in steps if s.role == "baseline"} == {("s01", "s02")}  # 3 folds, 4 trials
    assert not left_out
    with pytest.raises(BadConfig, match=r"none of the protocols .* possible: protocol trial: 9 folds need at least 9"):
        plan_audit(store, replace(config, folds=9))
    few = replace(config, protocols=("window", "subject"), folds=2)
    monkeypatch.setattr(audit_module, "make_plan", without_trials(audit_module.make_plan))
    assert "the baseline comparison: too few" in plan_audit(store, few)[1]


def test_an_audit_of_a_network_that_scales_by_subject_has_steps_that_all_its_systems_take(bait):
    train = replace(CONFIG.train, normalise="subject")
    steps, _ = plan_audit(bait, replace(CONFIG, system="gbvnet", modality="facebio", train=train))
    for step in steps:
        validate_config(step.config, bait)
    assert {s.config.train.normalise for s in steps if s.role == "ladder"} == {"subject"}


def without_trials(make_plan):
    """As where the trials of all subjects are too few for the folds."""

    def made(store, config):
        if config.protocol == "trial":
            raise LeakySplit("too few")
        return make_plan(store, config)

    return made


def test_subjects_are_identified_by_as_many_folds_as_their_recordings_allow(tmp_path, monkeypatch):
    monkeypatch.setattr(audit_module, "IDENTIFICATION_WINDOWS", 32)  # two subjects of two trials: four recordings
    store = write_store(tmp_path / "s", subjects=4, trials=2, windows=8, faces=False)
    config = replace(CONFIG, modality="bio", protocols=("window", "trial"), folds=5)
    assert {one["what"] for one in audit_module.identification_accuracies(store, config)} == {"person", "trial"}


@pytest.mark.parametrize(("before_s", "words"), [(0.0, "mean and template subtract nothing"), (0.5, "a template sub")])
def test_baselines_that_subtract_nothing_are_not_compared(tmp_path, monkeypatch, before_s, words):
    store = write_store(tmp_path / "s", subjects=3, trials=4, faces=False)
    monkeypatch.setitem(store.settings, "baseline_s", before_s)
    steps, (left_out,) = plan_audit(store, replace(CONFIG, modality="bio", protocols=("window", "trial")))
    assert not [s for s in steps if s.role == "baseline"]
    assert left_out.startswith("the baseline comparison: ") and words in left_out


def test_shuffles_exchange_labels_among_the_trials_of_a_subject(bait):
    windows, _ = choose_windows(bait, CONFIG)
    high = {target: (windows[target] >= 5).astype("int8") for target in ("valence", "arousal")}
    shuffled = shuffle_within_subjects(windows, high, 1)
    for target, y in high.items():
        by_trial = shuffled[target].groupby(windows["recording"])
        assert (by_trial.nunique() == 1).all()
        assert (shuffled[target].groupby(windows["subject"]).sum() == y.groupby(windows["subject"]).sum()).all()
        assert (shuffled[target] != y).any()
    assert ((shuffled["valence"] + shuffled["arousal"]) == 1).all()  # planted so: both targets move together
    assert shuffle_within_subjects(windows, high, 1)["valence"].equals(shuffled["valence"])
    assert not shuffle_within_subjects(windows, high, 2)["valence"].equals(shuffled["valence"])


def test_a_shuffled_run_is_stamped_wherever_it_goes(of_bait, tmp_path):
    run = of_bait.folder / "shuffled/window-1"
    table = pd.read_parquet(run / "predictions.parquet")
    assert (table["system"] == "nearest on shuffled labels").all()
    report = write_report([run], tmp_path / "r")
    assert "SHUFFLED LABELS" in report.path.read_text()


def test_the_command_writes_a_report_and_says_the_assessment(of_bait, bait, capsys):
    options = "--system nearest --modality face --folds 3 --shuffles 2 --model.variant micro --train.epochs 1"
    options += " --train.batch_size 16 --train.device cpu"
    assert main(["audit", str(bait.path), str(of_bait.folder), *options.split()]) == 0
    out = capsys.readouterr().out
    assert "nothing about emotion" in out
    assert "labels shuffled, 2" in out
    page = (of_bait.folder / "report/report.md").read_text()
    for words in (
        "Audit: how much of the score is leakage",
        "Baseline correction",
        "Identity",
        "Inflation",
        "synthetic data",
    ):
        assert words in page
    assert assess(of_bait)[0] in page
    assert main(["audit", str(bait.path)]) == 2
    assert "The order is: gbvnet audit STORE AUDIT" in capsys.readouterr().err


def test_settings_that_make_no_audit_are_refused():
    for wrong, message in (
        ({"target": "both"}, "an audit has one target"),
        ({"protocols": ("trial",)}, "needs protocol window and at least one other"),
        ({"scope": "per-subject"}, "all subjects together"),
        ({"shuffles": 0}, "shuffles must be at least 1"),
    ):
        with pytest.raises(BadConfig, match=message):
            replace(CONFIG, **wrong)


def test_a_folder_that_is_no_audit_is_refused(tmp_path, bait):
    with pytest.raises(BadRun, match=r"an audit, with audit\.json in it"):
        read_audit(tmp_path)
    (tmp_path / "audit.json").write_text("{")
    with pytest.raises(BadRun, match="cannot be read"):
        read_audit(tmp_path)
    (tmp_path / "audit.json").write_text(json.dumps({"format": 1}))
    with pytest.raises(BadRun, match="goes on where it stopped"):
        read_audit(tmp_path)
    window = {"role": "ladder", "name": "window"}
    for wrong, message in (
        ({"runs": []}, "goes on where it stopped"),
        ({"runs": [window], "store": []}, "cannot be read"),
        ({"runs": [window, {"role": "ladder", "name": "../../else"}]}, r"a run called 'ladder/\.\./\.\./else'"),
        ({"runs": [window], "store": {"synthetic": True}, "identities": [1]}, "cannot be read"),
    ):
        (tmp_path / "audit.json").write_text(json.dumps({"format": 1} | wrong))
        with pytest.raises(BadRun, match=message):
            read_audit(tmp_path)
    (tmp_path / "else").mkdir()
    (tmp_path / "else/file").write_text("mine")
    with pytest.raises(BadRun, match="other things in it"):
        audit(bait, tmp_path / "else", CONFIG)
