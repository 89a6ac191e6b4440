"""What gates do: the controls change gates and nothing else, and every number is that of a slower computation."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from gbvnet.config import CrossvalConfig, ExplainConfig, GBVNetConfig, ModelConfig, TrainConfig
from gbvnet.errors import GbvnetError
from gbvnet.evaluation.predictions import read_run
from gbvnet.evaluation.statistics import adjust_holm, paired_test
from gbvnet.experiments.crossval import cross_validate
from gbvnet.experiments.explain import explain_run
from gbvnet.experiments.gate_measures import N_CONTROLS, binary_entropy, replaced_gates
from gbvnet.network.checkpoint.checkpoint import load_model
from gbvnet.network.model import GBVNet, pixels
from gbvnet.report.explanation_section import read_explanation
from gbvnet.report.gate_section import control_tests
from gbvnet.report.report import write_report

from ..synthetic_store import write_store

CONFIG = CrossvalConfig(
    target="valence",
    folds=2,
    model=ModelConfig(variant="micro"),
    train=TrainConfig(epochs=6, batch_size=16, device="cpu", select="last", augment=False, learning_rate=3e-3),
)
GATES = ExplainConfig(measures=("gates",))


def network(fusion="gate", **settings):
    torch.manual_seed(0)
    config = GBVNetConfig(variant="micro", n_channels=2, n_frames=2, n_samples=32, fusion=fusion, **settings)
    return GBVNet(config).eval()


def inputs(n=6):
    draw = torch.Generator().manual_seed(1)
    return torch.rand(n, 2, 3, 32, 32, generator=draw), None, torch.randn(n, 2, 32, generator=draw)


@pytest.mark.journey
@pytest.mark.parametrize("fusion", ["gate", "literal", "experts"])
@torch.no_grad()
def test_a_networks_own_gates_put_in_their_place_change_nothing_and_others_do(fusion):
    net = network(fusion)
    before = net(*inputs())
    with replaced_gates(net, before.gates) as replaced:
        again = net(*inputs())
    assert torch.equal(again.logits, before.logits)
    assert torch.equal(torch.cat(replaced.recorded), before.gates)
    with replaced_gates(net, before.gates.flip(0)):
        parts = [net(*(None if x is None else x[i : i + 2] for x in inputs())) for i in (0, 2, 4)]  # in batches
    assert torch.equal(torch.cat([part.gates for part in parts]), before.gates.flip(0))
    assert not torch.equal(torch.cat([part.logits for part in parts]), before.logits)
    assert torch.equal(net(*inputs()).logits, before.logits)  # as it was


@pytest.mark.journey
@torch.no_grad()
def test_gates_that_do_not_depend_on_the_window_lose_nothing_when_they_are_frozen():
    net = network()
    nn.init.zeros_(net.fusion.fc2.weight)
    before = net(*inputs())
    with replaced_gates(net, before.gates.mean(0)):
        torch.testing.assert_close(net(*inputs()).logits, before.logits)


@pytest.mark.journey
def test_a_network_without_gates_is_refused():
    for net in (network("concat"), network(modality="bio")):
        with pytest.raises(GbvnetError, match="has no gates to replace"), replaced_gates(net):
            pass


def test_the_entropy_of_a_gate_is_that_of_a_coin():
    assert binary_entropy(np.array([0.5, 0.25, 0.0, 1.0])) == pytest.approx([1, 0.811278, 0, 0], abs=1e-6)


@pytest.mark.journey
def test_what_a_control_costs_is_tested_over_subjects():
    rng = np.random.default_rng(0)
    rows = [
        {"control": c, "subject": s, "windows": w, "accuracy": rng.random(), "fold": f}
        for f, w in ((1, 10), (2, 30)) for s in (*"abcdef", "all") for c in ("own", "frozen", "shuffled")
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    frozen, shuffled = control_tests(table, "accuracy")
    of = {
        c: pd.Series({s: (10 * each(table, c, s, 1) + 30 * each(table, c, s, 2)) / 40 for s in "abcdef"})
        for c in ("own", "frozen", "shuffled")
    }
    expected = [paired_test(of["own"], of[c], "two-sided") for c in ("frozen", "shuffled")]
    assert (frozen.paired, shuffled.paired) == tuple(expected)
    assert [frozen.p_holm, shuffled.p_holm] == pytest.approx(adjust_holm([test.p for test in expected]))
    assert frozen.own == pytest.approx(of["own"].mean())
    assert shuffled.score == pytest.approx(of["shuffled"].mean())


def each(table, control, subject, fold):
    rows = table[(table["control"] == control) & (table["subject"] == subject) & (table["fold"] == fold)]
    return rows["accuracy"].item()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("store") / "store", missing={(1, 1): "face"}.items())


@pytest.fixture(scope="module")
def run(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "facebio"
    cross_validate(store, folder, CONFIG)
    progress = []
    explain_run(store, folder, GATES, lambda done, total, doing: progress.append((done, total)))
    assert progress[-1] == (2 * (9 + N_CONTROLS),) * 2
    return folder


@torch.no_grad()
def gates_of(store, model, rows):
    faces, ok, signals = store.read(rows)
    return model(pixels(torch.from_numpy(faces)), torch.from_numpy(ok), torch.from_numpy(signals)).gates.numpy()


@pytest.mark.journey
@pytest.mark.usefixtures("one_core")
def test_gates_and_their_controls_are_those_of_each_folds_own_network(store, run):
    from gbvnet.evaluation.plan import make_plan

    explanation, table = read_explanation(run), read_run(run)
    assert sorted(f.name for f in (run / "explain").iterdir()) == ["explain.json", "gate_controls.csv", "gates.csv"]
    for fold in make_plan(store, CONFIG).folds:
        model, _ = load_model(run / f"fold{fold.number:02d}/valence/model")
        gates = gates_of(store, model, fold.test)
        rows = explanation.gates[explanation.gates["fold"] == fold.number]
        every = rows[(rows["subject"] == "all") & (rows["noisy"] == "none")].set_index("gate")
        for name, part in (("face", gates[:, :128]), ("signals", gates[:, 128:])):
            assert every.loc[name, "mean"] == pytest.approx(part.mean(), rel=1e-4)
            assert every.loc[name, "sd"] == pytest.approx(part.mean(axis=1).std(), rel=1e-3)
            assert every.loc[name, "feature_sd"] == pytest.approx(part.std(axis=0).mean(), rel=1e-3)
            p = torch.distributions.Bernoulli(torch.from_numpy(part).double())
            assert every.loc[name, "entropy"] == pytest.approx(float(p.entropy().mean()) / np.log(2), rel=1e-4)
        assert set(rows["noise"]) == {0, 0.25, 0.5, 0.75, 1}
        assert set(rows["subject"]) == {"all", *store.windows["subject"].iloc[fold.test]}

        controls = explanation.controls[explanation.controls["fold"] == fold.number]
        own = controls[controls["control"] == "own"].set_index("subject")["accuracy"]
        tested = table[table["fold"] == fold.number]
        right = (tested["p"] >= 0.5) == tested["y"]
        assert own["all"] == pytest.approx(right.mean(), rel=1e-5)
        for subject, of_subject in right.groupby(tested["subject"]):
            assert own[subject] == pytest.approx(of_subject.mean(), rel=1e-5)

        # frozen: by hand, with the mean over the training rows in a network whose gates are constant
        mean = torch.from_numpy(gates_of(store, model, fold.train).mean(axis=0))
        nn.init.zeros_(model.fusion.fc2.weight)
        model.fusion.fc2.bias.data = torch.logit(mean)
        faces, ok, signals = store.read(fold.test)
        logits = model(pixels(torch.from_numpy(faces)), torch.from_numpy(ok), torch.from_numpy(signals)).logits[:, 0]
        y = tested.set_index(["recording", "window"])["y"]
        names = store.windows[["recording", "window"]].iloc[fold.test].itertuples(index=False, name=None)
        expected = ((logits.detach().numpy() > 0) == y.loc[list(names)].to_numpy()).mean()
        frozen = controls[(controls["control"] == "frozen") & (controls["subject"] == "all")]["accuracy"].item()
        assert frozen == pytest.approx(expected, abs=1e-5)


@pytest.mark.journey
@pytest.mark.usefixtures("one_core")
def test_the_report_has_both_tables_and_says_what_dynamics_are_worth(run, tmp_path):
    page = write_report([run], tmp_path / "report").path.with_suffix(".md").read_text()
    assert "SD between windows" in page and "frozen at their mean over training windows" in page
    assert "what the gates' dynamics are worth here" in page
    assert "with so few subjects none could be" in page  # of four


@pytest.mark.journey
@pytest.mark.usefixtures("one_core")
def test_a_network_without_gates_has_neither_file(store, tmp_path):
    from dataclasses import replace

    model = ModelConfig(variant="micro", fusion="low_rank")
    cross_validate(store, tmp_path / "run", replace(CONFIG, model=model, train=replace(CONFIG.train, epochs=1)))
    explain_run(store, tmp_path / "run", ExplainConfig(measures=("noise", "gates")))
    assert sorted(f.name for f in (tmp_path / "run/explain").iterdir()) == ["explain.json", "robustness.csv"]
