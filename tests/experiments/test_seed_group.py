"""Several seeds of one experiment: what each is, where it is, that it resumes and grows, and what is refused."""

import json
import re
import shutil
from dataclasses import replace

import pandas as pd
import pytest

from gbvnet.cli.main import main
from gbvnet.config import AuditConfig, CompareConfig, CrossvalConfig, ModelConfig, TrainConfig
from gbvnet.errors import BadConfig, BadRun, GbvnetError
from gbvnet.evaluation import predictions
from gbvnet.experiments import seed_group
from gbvnet.experiments.audit import audit
from gbvnet.experiments.compare import compare
from gbvnet.experiments.crossval import cross_validate
from gbvnet.experiments.seed_group import cross_validate_seeds
from gbvnet.report.audit_results import read_audit

from ..synthetic_store import write_store

QUICK = {
    "folds": 3, "target": "valence", "model": ModelConfig(variant="micro"),
    "train": TrainConfig(epochs=1, batch_size=16, device="cpu"),
}  # fmt: skip
CONFIG = CrossvalConfig(system="ridge", modality="face", seed=4, **QUICK)
OPTIONS = ["--system", "ridge", "--modality", "face", "--seed", "4", "--folds", "3", "--target", "valence",
           "--model.variant", "micro", "--train.epochs", "1", "--train.batch_size", "16",
           "--train.device", "cpu"]  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("planted") / "store", subjects=6, trials=4, windows=3)


@pytest.fixture(scope="module")
def two(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("two") / "run"
    return folder, cross_validate_seeds(store, folder, CONFIG, 2)


def files(folder):
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


# crossval


@pytest.mark.journey
def test_each_seed_is_the_run_that_it_would_be_alone(store, two, tmp_path):
    folder, done = two
    assert sorted(p.name for p in folder.iterdir()) == ["seed-4", "seed-5", "seeds.json"]
    assert list(done.runs) == [4, 5] and done.errors == {}
    cross_validate(store, tmp_path / "alone", replace(CONFIG, seed=5))
    for name in (predictions.FILE, "config.yaml", "splits.json"):
        assert (tmp_path / "alone" / name).read_bytes() == (folder / "seed-5" / name).read_bytes()
    splits = [json.loads((folder / f"seed-{k}" / "splits.json").read_text())["folds"] for k in (4, 5)]
    assert splits[0] != splits[1]


@pytest.mark.journey
def test_one_seed_is_an_ordinary_run_folder(store, tmp_path):
    done = cross_validate_seeds(store, tmp_path / "run", CONFIG, 1)
    assert done.runs == {4: tmp_path / "run"}
    cross_validate(store, tmp_path / "plain", CONFIG)
    assert (tmp_path / "run" / predictions.FILE).read_bytes() == (tmp_path / "plain" / predictions.FILE).read_bytes()
    assert set(files(tmp_path / "run")) == set(files(tmp_path / "plain"))


@pytest.mark.journey
def test_more_seeds_later_leave_those_that_are_done(store, two, tmp_path):
    shutil.copytree(two[0], tmp_path / "run")
    before = files(tmp_path / "run")
    done = cross_validate_seeds(store, tmp_path / "run", CONFIG, 3)
    after = files(tmp_path / "run")
    assert list(done.runs) == [4, 5, 6]
    assert {name: after[name] for name in before if name != "seeds.json"} == {
        name: text for name, text in before.items() if name != "seeds.json"
    }
    assert json.loads(after["seeds.json"])["seeds"] == 3


@pytest.mark.journey
def test_an_interrupted_group_goes_on_where_it_stopped(store, two, tmp_path, monkeypatch):
    plain = seed_group.cross_validate

    def stopped(store, run, config, *others):
        if config.seed == 5:
            raise KeyboardInterrupt
        return plain(store, run, config, *others)

    monkeypatch.setattr(seed_group, "cross_validate", stopped)
    with pytest.raises(KeyboardInterrupt):
        cross_validate_seeds(store, tmp_path / "run", CONFIG, 2)
    first = files(tmp_path / "run" / "seed-4")
    monkeypatch.setattr(seed_group, "cross_validate", plain)
    cross_validate_seeds(store, tmp_path / "run", CONFIG, 2)
    assert files(tmp_path / "run" / "seed-4") == first
    for seed in (4, 5):
        name = f"seed-{seed}/{predictions.FILE}"
        assert (tmp_path / "run" / name).read_bytes() == (two[0] / name).read_bytes()


@pytest.mark.journey
def test_a_seed_that_fails_does_not_stop_the_others(store, two, tmp_path, capsys):
    shutil.copytree(two[0], tmp_path / "run")
    (tmp_path / "run" / "seed-4" / "config.yaml").write_text("[")
    done = cross_validate_seeds(store, tmp_path / "run", CONFIG, 3)
    assert list(done.runs) == [5, 6] and list(done.errors) == [4]
    code = main(["crossval", str(store.path), str(tmp_path / "run"), *OPTIONS, "--seeds", "3"])
    out = capsys.readouterr().out
    assert code == 1 and "mean ± SD" in out
    assert re.search(r"BAD  .*seed-4/config.yaml: expected .*, found .* Use another folder, or delete this one", out)


@pytest.mark.journey
def test_if_every_seed_fails_the_first_error_is_raised(store, tmp_path, monkeypatch):
    def fail(store, run, config, *others):
        raise GbvnetError(f"no luck with {config.seed}")

    monkeypatch.setattr(seed_group, "cross_validate", fail)
    with pytest.raises(GbvnetError, match="no luck with 4"):
        cross_validate_seeds(store, tmp_path / "run", CONFIG, 2)


@pytest.mark.journey
def test_what_does_not_fit_is_refused_in_one_line(store, two, tmp_path):
    folder = two[0]
    with pytest.raises(BadConfig, match="seeds must be at least 1, not 0"):
        cross_validate_seeds(store, tmp_path / "new", CONFIG, 0)
    with pytest.raises(BadRun, match=r"at most 1 seed, found one with 2\. Give --seeds 2 or more"):
        cross_validate_seeds(store, folder, CONFIG, 1)
    with pytest.raises(BadRun, match="a group of seeds with folds = 2, found one with 3"):
        cross_validate_seeds(store, folder, replace(CONFIG, folds=2), 2)
    with pytest.raises(BadRun, match=r"a group of seeds with train\.epochs = 7, found one with 1"):
        cross_validate_seeds(store, folder, replace(CONFIG, train=replace(CONFIG.train, epochs=7)), 2)
    with pytest.raises(BadRun, match="a group of seeds with seed = 0, found one with 4"):
        cross_validate_seeds(store, folder, replace(CONFIG, seed=0), 2)
    with pytest.raises(BadRun, match=r"found a run of one seed\. Give another folder"):
        cross_validate_seeds(store, folder / "seed-4", CONFIG, 2)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(BadRun, match="a folder with other things in it"):
        cross_validate_seeds(store, tmp_path / "other", CONFIG, 2)


@pytest.mark.journey
def test_memory_may_change_and_a_lost_record_is_written_again(store, two, tmp_path):
    shutil.copytree(two[0], tmp_path / "run")
    (tmp_path / "run" / "seeds.json").write_text("[")
    with pytest.raises(BadRun, match="Delete this file"):
        cross_validate_seeds(store, tmp_path / "run", CONFIG, 2)
    (tmp_path / "run" / "seeds.json").unlink()
    less = replace(CONFIG, train=replace(CONFIG.train, memory_gib=CONFIG.train.memory_gib / 2))
    assert cross_validate_seeds(store, tmp_path / "run", less, 2).errors == {}
    assert (tmp_path / "run" / "seeds.json").exists()


@pytest.mark.journey
@pytest.mark.parametrize(
    ("value", "message"),
    [("0", "seeds must be at least 1, not 0"), ("many", "--seeds: expected a whole number, found many")],
)
@pytest.mark.parametrize("command", ["crossval", "compare", "audit", "reproduce"])
def test_every_command_says_what_is_wrong_with_a_number_of_seeds(store, tmp_path, capsys, command, value, message):
    assert main([command, str(store.path), str(tmp_path / "new"), "--seeds", value]) == 2
    assert capsys.readouterr().err.strip().endswith(message)


# compare


@pytest.mark.journey
def test_a_comparison_of_one_seed_grows_and_ranks_seed_means(store, tmp_path):
    config = CompareConfig(systems=("ridge", "majority", "nearest"), **QUICK)
    compare(store, tmp_path / "c", config)
    record, first = json.loads((tmp_path / "c" / "compare.json").read_text()), files(tmp_path / "c" / "runs")
    assert "seeds" not in record
    report = compare(store, tmp_path / "c", config, seeds=2)
    assert report.errors == [] and files(tmp_path / "c" / "runs") == first
    names = {f.name for f in (tmp_path / "c" / "seed-1").iterdir()}
    assert names == {f.name for f in (tmp_path / "c" / "runs").iterdir()}
    grown = json.loads((tmp_path / "c" / "compare.json").read_text())
    assert grown == record | {"seeds": 2}
    pairs = pd.read_csv(tmp_path / "c" / "report" / "tables" / "ranking-valence.csv")
    means = {}
    for name in names:
        tables = [pd.read_parquet(tmp_path / "c" / part / name / predictions.FILE) for part in ("runs", "seed-1")]
        right = [((t["p"] >= 0.5) == (t["y"] == 1)).groupby(t["subject"]).mean() for t in tables]
        means[name.split("-")[0]] = pd.concat(right, axis=1)
    row = pairs.iloc[0]
    a, b = (means[row[side].split(" ")[0]] for side in "ab")
    assert row["difference"] == pytest.approx((a.mean(axis=1) - b.mean(axis=1)).mean())
    assert row["sd_over_seeds"] == pytest.approx((a - b).mean().std(ddof=1))
    with pytest.raises(BadRun, match="a comparison with at most 1 seed, found one with 2"):
        compare(store, tmp_path / "c", config)


@pytest.mark.journey
def test_a_comparison_goes_on_without_a_seed_of_a_system(store, tmp_path):
    config = CompareConfig(systems=("ridge", "majority"), **QUICK)
    compare(store, tmp_path / "c", config, seeds=2)
    bad = next((tmp_path / "c" / "seed-1").glob("ridge-*"))
    (bad / "config.yaml").write_text("[")
    report = compare(store, tmp_path / "c", config, seeds=2)
    assert [r.seeds for r in report.results if r.key("system") == "ridge"] == ["0"]
    assert [r.seeds for r in report.results if r.key("system") == "majority"] == ["0, 1"]
    assert len(report.errors) == 1 and str(bad) in str(report.errors[0])
    text = (tmp_path / "c" / "report" / "report.md").read_text()
    assert "Ranks and differences are of the seeds that all systems have (0)." in text
    assert f"{bad.name}, seed 1: " in text


# audit


@pytest.mark.journey
def test_an_audit_of_one_seed_grows_by_what_stands_in_its_comparison_of_protocols(store, tmp_path):
    config = AuditConfig(
        system="ridge", modality="face", protocols=("window", "trial"), shuffles=1, baselines=False, identities=False,
        **{k: v for k, v in QUICK.items() if k != "target"},
    )  # fmt: skip
    one = audit(store, tmp_path / "a", config)
    assert "seeds" not in (tmp_path / "a" / "audit.json").read_text()
    two = audit(store, tmp_path / "a", config, seeds=2)
    assert {f.name for f in (tmp_path / "a" / "seed-1").iterdir()} == {"ladder", "majority", "shuffled"}
    assert set(two.results) == set(one.results) and two.failed == {}
    assert all(r.seeds == "0, 1" for r in two.results.values())
    trial = two.by_protocol["trial"]
    alone = [
        pd.read_parquet(tmp_path / "a" / part / predictions.FILE) for part in ("ladder/trial", "seed-1/ladder/trial")
    ]
    accuracies = [((t["p"] >= 0.5) == (t["y"] == 1)).mean() for t in alone]
    assert trial.scores.window["accuracy"] == pytest.approx(sum(accuracies) / 2)
    (inflation,) = two.inflations
    differences = [
        two.leaky.by_seed[k].scores.window["accuracy"] - trial.by_seed[k].scores.window["accuracy"] for k in (0, 1)
    ]
    assert inflation.difference == pytest.approx(sum(differences) / 2)
    assert inflation.seeds.sd == pytest.approx(abs(differences[0] - differences[1]) / 2**0.5)
    text = (tmp_path / "a" / "report" / "report.md").read_text()
    assert "SD over seeds" in text and "Beside the seeds" in text
    (tmp_path / "a" / "seed-1" / "ladder" / "trial" / "config.yaml").write_text("[")
    three = audit(store, tmp_path / "a", config, seeds=2)
    assert list(three.failed) == ["seed-1/ladder/trial"] and three.by_protocol["trial"].seeds == "0"
    assert read_audit(tmp_path / "a").failed == three.failed
    with pytest.raises(BadRun, match="an audit with at most 1 seed, found one with 2"):
        audit(store, tmp_path / "a", config)
