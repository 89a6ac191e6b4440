"""Recipes mark what the paper does not give, multiply out to numbers worked by hand, and refuse mistakes."""

import re
from importlib import resources

import pytest
import yaml

from gbvnet.config import PrepareConfig
from gbvnet.errors import BadConfig, BadStore
from gbvnet.evaluation.splits import fixed_folds
from gbvnet.experiments.reproduction.recipe import (
    changed,
    check_store,
    differs_in_windows_only,
    load_recipe,
    parse_recipe,
    prepare_command,
    runs_of,
    shipped,
)
from gbvnet.experiments.reproduction.runtime_estimate import Workload, workload_of
from gbvnet.store.dry_run import CHANNELS, DryRunStore

from .synthetic_store import write_store

ALL = (
    "affec-honest",
    "deap-honest", "deap-lineage", "deap-paper", "fusion", "mahnob-honest", "mahnob-lineage", "mahnob-paper", "tiny",
)  # fmt: skip

# What section 4 of the paper gives, and section 3 of the network: any other line is an implementation choice, which it
# must say.
PAPER = {
    "prepare.window_s": 1.0, "prepare.step_s": None, "prepare.faces": True, "prepare.signals": True,
    "prepare.channels": None, "prepare.filter": True, "prepare.baseline": "mean",
    "crossval.folds": 10, "crossval.rows": "complete", "crossval.joint": False,
    "crossval.model.face_time": "transformer", "crossval.model.local_cnn": True, "crossval.model.tcn": "sequential",
    "crossval.model.self_attention": True, "crossval.model.residual": True, "crossval.model.pooling": "adaptive",
    "crossval.model.fusion": "gate",
    "crossval.train.batch_size": 256, "crossval.train.learning_rate": 0.001, "crossval.train.augment": True,
    "systems.gbvnet": "facebio",
}  # fmt: skip
PAPER_ITEMS = {
    "protocols": {"window"}, "targets": {"valence", "arousal"}, "modalities": {"facebio", "face", "bio"},
}  # fmt: skip
FRAMES = {"deap": 10, "mahnob": 12}
NO_SETTING = {"name", "about", "dataset", "leaky"}


def text_of(name):
    return resources.files("gbvnet.recipes").joinpath(f"{name}.yaml").read_text("utf-8")


def settings_in(text):
    """(dotted name, value, whether the line says implementation choice) of each line that sets something."""
    above = []
    for line in text.splitlines():
        code, _, comment = line.partition("#")
        if not code.strip():
            continue
        depth = (len(code) - len(code.lstrip())) // 2
        name, _, value = (
            code.strip().partition(":") if not code.strip().startswith("-") else ("-", "", code.strip()[1:])
        )
        above = [*above[:depth], name]
        if value.strip() and above[0] not in NO_SETTING and value.strip() not in ("[]", "{}"):
            yield ".".join(above), yaml.safe_load(value), comment.strip().startswith("implementation choice: ")


def is_the_papers(name, value, dataset):
    if name == "prepare.frames_per_window":
        return value == FRAMES.get(dataset)
    part, _, last = name.rpartition(".")
    if last == "-":
        return value in PAPER_ITEMS.get(part, ())
    return name in PAPER and PAPER[name] == value and type(PAPER[name]) is type(value)


@pytest.mark.parametrize("name", ALL)
def test_a_line_says_implementation_choice_exactly_where_the_paper_does_not_give_its_value(name):
    dataset, lines = name.split("-")[0], list(settings_in(text_of(name)))
    assert len(lines) > 10
    wrong = [f"{n} = {v}" for n, v, is_choice in lines if is_choice == is_the_papers(n, v, dataset)]
    assert wrong == []


@pytest.mark.journey
def test_every_shipped_recipe_loads_under_its_own_name():
    assert shipped() == ALL
    for name in ALL:
        assert load_recipe(name).name == name


@pytest.mark.journey
def test_what_leaks_is_stamped():
    honest = {"fusion", *(name for name in ALL if "honest" in name)}
    assert {name for name in ALL if load_recipe(name).leaky} == {*ALL} - honest
    for name in ("deap-lineage", "mahnob-lineage"):
        recipe = load_recipe(name)
        assert recipe.leaky and recipe.crossval.train.select == "test" and recipe.protocols == ("window",)
        assert recipe.crossval.train.batch_size == 64 and recipe.crossval.scope == "per-subject"
        assert recipe.prepare["baseline"] == "template" and recipe.prepare["frames_per_window"] == 5


@pytest.mark.journey
@pytest.mark.parametrize("dataset", ["deap", "mahnob"])
def test_the_honest_recipe_differs_from_the_papers_in_its_protocols_alone(dataset):
    paper, honest = load_recipe(f"{dataset}-paper"), load_recipe(f"{dataset}-honest")
    assert paper.prepare == honest.prepare
    assert paper.crossval.model == honest.crossval.model and paper.crossval.train == honest.crossval.train
    assert paper.protocols == ("window",) and "window" not in honest.protocols
    assert paper.crossval.model.modality_dropout == 0


@pytest.mark.journey
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs: 4", "epocs: 4", "no setting crossval.train.epocs; did you mean crossval.train.epochs?"),
        ("epochs: 4", "epochs: four", 'crossval, "train.epochs": Expected a .*int.*four'),
        ("folds: 3", "folds: 1", "folds must be at least 2, not 1"),
        ("folds: 3", "folds: 3\n  target: both", "crossval.target is set by targets"),
        ("  - trial", "  - tril", "Expected .*'trial'.* Got value: tril"),
        ("leaky: true", "leaky: false", "leaky is False, and its protocols leak"),
        ("fusion concat", "fuson concat", "no setting model.fuson; did you mean model.fusion?"),
        ("fusion concat", "fusion cat", "Expected .*'concat'.* Got value: cat"),
        ("fusion concat", "fusion", "expected a setting of the network and its value"),
        ("face_time none", "face_time transformer", "what the recipe's network has already"),
        ("prepare: {}", "prepare: {window: 3}", "no setting prepare.window; did you mean prepare.window_s?"),
        ("prepare: {}", "prepare: {window_s: -1}", "window_s must be above 0, not -1"),
        ("prepare: {}", "prepare: [window_s]", r"prepare: expected settings by name, found \['window_s'\]"),
        ("ridge: bio", "ridge: bo", "Expected .*'bio'.* Got value: bo"),
        ("targets:", "target:", "no setting target; did you mean targets?"),
        ("epochs: 4", "epochs:", "crossval.train.epochs has no value"),
        ("ablations:", "ablations: null\nmodalities_:", "ablations has no value"),
        ("fusion concat", "fusion '[", "its value is no YAML"),
        ("    epochs: 4", "    select: test", "test chooses the epoch by the windows that it is tested on"),
        ("name: tiny", "", "required: name"),
        ("name: tiny", "name: [", "no YAML"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_named(old, new, message):
    text = text_of("tiny")
    assert old in text
    with pytest.raises(BadConfig, match=f"^recipe tiny.*{message}"):
        parse_recipe(text.replace(old, new), "tiny")


@pytest.mark.journey
def test_names_in_a_recipe_stay_text():
    text = "name: mine\nabout: x\npeople: paper\npaper_people: [01, no]\n"
    text += "crossval: {subjects: [1e3]}\nprepare: {channels: [1, 02]}\n"
    recipe = parse_recipe(text, "mine")
    assert (recipe.paper_subjects, recipe.crossval.subjects) == (("01", "no"), ("1e3",))
    assert recipe.prepare["channels"] == ("1", "02")


@pytest.mark.journey
def test_a_setting_of_the_store_may_be_its_default_without_repeating_it():
    text = text_of("tiny").replace("prepare: {}", "prepare: {face_side: default, window_s: 2.0}")
    assert parse_recipe(text, "tiny").prepare == {"face_side": PrepareConfig().face_side, "window_s": 2.0}


@pytest.mark.journey
def test_a_recipe_has_options_by_system_and_one_of_before_is_read():
    text = text_of("tiny").replace("  ridge: bio", "  yuvaraj-like: eeg\n  ridge: bio")
    options = {"yuvaraj-like": {"feature_set": "hos"}}
    new = parse_recipe(text + "options: {yuvaraj-like: {feature_set: hos}}\n", "tiny")
    old = parse_recipe(
        text.replace("  folds: 3", "  folds: 3\n  rival: {feature_set: hos, head: mlp, fusion: null}"), "tiny"
    )
    assert new.options == old.options == options
    runs = runs_of(new, DryRunStore("deap:3x4x4"))
    assert {run.config.system: run.config.options for run in runs} == {
        "gbvnet": None, "majority": None, "ridge": None, "yuvaraj-like": options["yuvaraj-like"],
    }  # fmt: skip
    for wrong, message in (
        ("zhu: {}", "options of zhu, which is not among its systems"),
        ("yuvaraj-lik: {}", r"did you mean yuvaraj-like\?"),
        ("yuvaraj-like: {feature_st: hos}", r"no option feature_st of yuvaraj-like; did you mean feature_set\?"),
    ):
        with pytest.raises(BadConfig, match=f"^recipe tiny: .*{message}"):
            parse_recipe(text + f"options: {{{wrong}}}\n", "tiny")


@pytest.mark.journey
def test_an_unknown_recipe_gets_the_nearest_name_and_ones_own_is_given_by_its_path(tmp_path):
    with pytest.raises(BadConfig, match=r"no recipe and no YAML file deap-papr; did you mean deap-paper\?"):
        load_recipe("deap-papr")
    (tmp_path / "mine.yaml").write_text(text_of("tiny").replace("name: tiny", "name: mine"))
    assert load_recipe(tmp_path / "mine.yaml").name == "mine"


# Numbers worked by hand: 22 subjects x 40 trials x 60 s are 52,800 windows of 1 s.


def workloads(name, size):
    recipe = load_recipe(name)
    store = DryRunStore(size, PrepareConfig(**recipe.prepare))
    known = {}
    return store, {run.name: workload_of(run, known) for run in runs_of(recipe, store)}


@pytest.mark.journey
def test_the_papers_recipe_on_deap():
    store, work = workloads("deap-paper", "deap:22x40x60")
    assert len(store) == 52_800
    # GBV-Net in five modalities, eighteen comparison methods and two reference systems; ten folds, valence and arousal.
    assert len(work) == 25 and sum(e.trainings for e in work.values()) == 25 * 10 * 2 == 500
    # A fold trains on 9/10 = 47,520 windows, of which a fifth, 9,504, choose the epoch; 20 trainings.
    assert work["window-facebio"] == Workload(20, train=20 * 38_016, validation=20 * 9_504, test=2 * 52_800)
    assert work["window-facebio"].train_each == 38_016


@pytest.mark.journey
def test_the_honest_recipe_on_deap():
    _, work = workloads("deap-honest", "deap:22x40x60")
    assert len(work) == 4 * 25 + 12 and sum(e.trainings for e in work.values()) == 112 * 20
    assert work["subject-face"].test == 2 * 52_800
    # subject+stimulus: each subject once with the 4 stimuli of their fold: 22 x 4 trials of 60 windows.
    assert work["subject+stimulus-bio"].test == 2 * 22 * 4 * 60


@pytest.mark.journey
@pytest.mark.parametrize(("dataset", "n"), [("deap", 22), ("mahnob", 27)])
def test_the_papers_subjects_are_as_many_as_it_says_and_known_to_the_reader(dataset, n):
    made = {load_recipe(f"{dataset}-{kind}").paper_subjects for kind in ("paper", "honest", "lineage")}
    assert len(made) == 1
    names = made.pop()
    assert len(set(names)) == len(names) == n
    subjects = {name for part in fixed_folds(f"{dataset}-v1").parts["subject"] for name in part}
    assert set(names) < subjects


@pytest.mark.journey
def test_the_lineage_trains_within_each_subject():
    _, work = workloads("deap-lineage", "deap:22x40x60")
    assert {name: e.trainings for name, e in work.items()} == dict.fromkeys(
        ("window-facebio", "window-face", "window-bio"), 22 * 10 * 2
    )


@pytest.mark.journey
def test_the_papers_recipe_on_mahnob():
    store, work = workloads("mahnob-paper", "mahnob:27x20x81")
    assert len(store) == 43_740
    assert sum(e.trainings for e in work.values()) == 500
    assert len(store.settings["channels"]) == 38


@pytest.mark.journey
def test_the_bytes_of_a_store_that_is_not_there():
    # a window: 10 frames of 64 x 64 x 3 bytes, 10 flags, 10 x 52 coefficients of 4 bytes, 40 x 128 samples of 4 bytes
    window = 10 * 64 * 64 * 3 + 10 + 10 * 52 * 4 + 40 * 128 * 4
    assert DryRunStore("deap:22x40x60").nbytes == 52_800 * window + 880 * 40 * 384 * 4 == 7_733_827_200


@pytest.mark.parametrize("size", ["deap", "deap:22x40", "deap:0x4x4", "dreamer:2x3x4"])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(BadConfig, match="expected deap or mahnob, then subjects x trials x seconds"):
        DryRunStore(size)


@pytest.mark.journey
def test_an_ablation_changes_one_setting():
    model = load_recipe("deap-honest").crossval.model
    made = changed(model, "local_cnn false")
    assert made.local_cnn is False
    assert changed(made, "local_cnn true") == model
    runs = runs_of(load_recipe("deap-honest"), DryRunStore("deap:22x40x60"))
    ablations = {run.name: run for run in runs if run.role == "ablation"}
    assert ablations["trial-ablation-tcn-none"].config.model.tcn == "none"
    assert all(run.config.protocol == "trial" and run.config.modality == "facebio" for run in ablations.values())


@pytest.mark.journey
def test_fusions_run_under_every_honest_protocol_and_are_measured():
    text = text_of("tiny").replace("ablations:", "fusions: [low_rank, sum]\nmeasures: [noise, gates]\nablations:")
    recipe = parse_recipe(text.replace("  - window", "  - subject\n  - window"), "tiny")
    runs = runs_of(recipe, DryRunStore("deap:4x4x4"))
    fusions = {run.name: run for run in runs if run.role == "fusion"}
    assert [*fusions] == [f"{p}-fusion-{f}" for p in ("trial", "subject") for f in ("low-rank", "sum")]
    assert fusions["subject-fusion-low-rank"].config.model.fusion == "low_rank"
    assert {run.config.modality for run in fusions.values()} == {"facebio"}
    measured = {run.name for run in runs if run.measures}
    whole = {f"{p}-{n}" for p in ("trial", "subject") for n in ("facebio", "majority-facebio")}
    assert measured == {*fusions, *whole}
    for wrong, message in (("gate", "has already"), ("tensor", "Got value: tensor")):
        with pytest.raises(BadConfig, match=message):
            parse_recipe(text.replace("[low_rank, sum]", f"[{wrong}]"), "tiny")
    with pytest.raises(BadConfig, match="ablations and fusions need a protocol that does not leak"):
        parse_recipe(text.replace("  - trial", "").replace("fusion concat", "variant small"), "tiny")


# Which store


@pytest.mark.journey
def test_a_store_of_other_settings_is_refused_with_what_to_type(tmp_path):
    store = write_store(tmp_path / "store", subjects=2, trials=2, windows=2)
    with pytest.raises(BadStore, match=r"frames_per_window = 10 .*found one made with 2.*gbvnet prepare deap ") as e:
        check_store(load_recipe("deap-paper"), store)
    assert "gbvnet prepare deap DEAP_FOLDER deap-paper.store --frames-per-window 10" in str(e.value)
    with pytest.raises(BadStore, match="expected a store of mahnob for recipe mahnob-paper, found one of deap"):
        check_store(load_recipe("mahnob-paper"), store)
    check_store(load_recipe("tiny"), store)


@pytest.mark.journey
def test_the_command_makes_a_store_that_fits():
    for name in ALL:
        recipe = load_recipe(name)
        if recipe.dataset == "any":
            continue
        command = prepare_command(recipe, recipe.dataset)
        assert re.fullmatch(rf"gbvnet prepare {recipe.dataset} \w+ {name}\.store( --[a-z-]+ \S+)*", command)
        given = dict(re.findall(r"--([a-z-]+) (\S+)", command))
        typed = {option.replace("-", "_"): yaml.safe_load(value) for option, value in given.items()}
        if recipe.dataset in CHANNELS:  # of affec they stand in its files
            check_store(recipe, DryRunStore(f"{recipe.dataset}:2x2x2", PrepareConfig(**typed)))
        assert PrepareConfig(**recipe.prepare) == PrepareConfig(**typed)


@pytest.mark.journey
def test_stores_that_differ_in_windows_or_frames_alone_are_ablations():
    one = DryRunStore("deap:3x4x4")
    longer, fewer = (
        DryRunStore("deap:3x4x4", PrepareConfig(**how)) for how in ({"window_s": 2}, {"frames_per_window": 5})
    )
    assert differs_in_windows_only(one, longer) and differs_in_windows_only(one, fewer)
    assert not differs_in_windows_only(one, one)
    assert not differs_in_windows_only(one, DryRunStore("deap:3x4x4", PrepareConfig(window_s=2, face_side=112)))
    runs = runs_of(load_recipe("tiny"), one, [longer, fewer])
    assert [run.label for run in runs if run.store is not one] == ["windows of 2 s", "5 frames a window"]
