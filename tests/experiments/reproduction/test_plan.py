"""A plan that can be checked: which recipe runs on which store, and what is left out with the reason."""

import re
from pathlib import Path

import pytest

from gbvnet.config import PrepareConfig
from gbvnet.errors import BadConfig, BadStore
from gbvnet.experiments.reproduction.plan import (
    assign,
    duration,
    estimate_studies,
    plan_studies,
    plan_text,
    recipes_for,
    run_folder,
)
from gbvnet.experiments.reproduction.recipe import load_recipe, runs_of
from gbvnet.store.dry_run import DryRunStore

from ...synthetic_store import write_store


@pytest.mark.journey
@pytest.mark.usefixtures("stub")
def test_the_plan_trains_no_run_and_writes_nothing(store, tmp_path):
    studies = plan_studies([load_recipe("tiny")], [store])
    text = plan_text(studies, estimate_studies(studies, tmp_path / "new"), [store], tmp_path / "new")
    assert not (tmp_path / "new").exists()
    rows = [line.split() for line in text.splitlines() if line.startswith("tiny")]
    assert sum(int(row[-4]) for row in rows) == 16 and sum(int(row[-3]) for row in rows) == 48
    assert re.search(r"store .*: \d\.\d MB, 150 windows, deap \(synthetic data\)", text)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (119, "119 s"), (120, "2.0 min"), (7200, "2.0 h"), (172_800, "2.0 days")]
)
def test_durations_are_in_the_unit_that_a_reader_expects(seconds, words):
    assert duration(seconds) == words


@pytest.mark.journey
def test_what_a_store_is_too_small_for_is_left_out_and_reported(tmp_path):
    store = write_store(tmp_path / "few", subjects=2, trials=3, windows=2)
    recipe = load_recipe("tiny")
    text = (
        (Path(__file__).parents[3] / "recipes" / "tiny.yaml").read_text().replace("- window", "- subject\n  - window")
    )
    (tmp_path / "mine.yaml").write_text(text)
    study = plan_studies([load_recipe(tmp_path / "mine.yaml")], [store])[0]
    assert len(study.runs) == len(plan_studies([recipe], [store])[0].runs)
    assert len(study.left_out) == 1
    assert re.match("tiny, protocol subject: 3 folds need at least 3 subjects.*(7 runs)", study.left_out[0])


@pytest.mark.journey
def test_the_subjects_of_the_paper_alone_where_the_recipe_says_so(tmp_path):
    store = write_store(tmp_path / "s", subjects=3, trials=6, windows=2)
    text = (Path(__file__).parents[3] / "recipes" / "tiny.yaml").read_text()
    mine = text.replace("protocols:", "paper_people: [s01, s03, s09]\nprotocols:", 1)
    (tmp_path / "mine.yaml").write_text(mine)
    [study] = plan_studies(recipes_for([str(tmp_path / "mine.yaml")], []), [store])
    assert study.runs[0].config.subjects is None and study.left_out == []
    papers = recipes_for([str(tmp_path / "mine.yaml")], [], "paper")
    [study] = plan_studies(papers, [store])
    assert {run.config.subjects for run in study.runs} == {("s01", "s03")}
    assert study.left_out == [f"tiny: of the paper's subjects s09 are not in {store.path}"]
    assert study.workloads[0].test == 2 * 6 * 2
    with pytest.raises(BadConfig, match="recipe tiny: subjects_from is paper, and paper_subjects names none"):
        plan_studies(recipes_for(["tiny"], [], "paper"), [store])
    (tmp_path / "mine.yaml").write_text(mine.replace("s01, s03, s09", "p01"))
    with pytest.raises(BadConfig, match="has none of p01"):
        plan_studies(recipes_for([str(tmp_path / "mine.yaml")], [], "paper"), [store])


# Which recipe takes which store


@pytest.mark.journey
def test_stores_go_to_the_recipes_that_they_suit():
    texts = {name: PrepareConfig(**load_recipe(name).prepare) for name in ("deap-honest", "deap-lineage")}
    whole, lineage = (DryRunStore("deap:3x4x4", made) for made in texts.values())
    longer = DryRunStore("deap:3x4x4", PrepareConfig(window_s=2, frames_per_window=10))
    for number, store in enumerate((whole, lineage, longer)):
        store.path = Path(f"store{number}")
    recipes = [load_recipe(f"deap-{kind}") for kind in ("paper", "honest", "lineage")]
    assert assign(recipes, [lineage, longer, whole]) == [
        (recipes[0], whole, []), (recipes[1], whole, [longer]), (recipes[2], lineage, []),
    ]  # fmt: skip
    with pytest.raises(
        BadStore, match=r"store1: .*frames_per_window = 10 .*one made with 5\. Make it with: gbvnet prepare"
    ):
        assign(recipes[:2], [whole, lineage])
    with pytest.raises(BadStore, match=r"store2: expected a store made with window_s = 1\.0"):
        assign(recipes[:1], [whole, longer])
    with pytest.raises(BadConfig, match="recipe mahnob-paper is for mahnob, and the stores given are of deap"):
        assign([load_recipe("mahnob-paper")], [whole])


@pytest.mark.journey
def test_a_comparison_method_that_would_leak_under_a_protocol_is_left_out_and_reported():
    store = DryRunStore("deap:6x10x4", PrepareConfig(**load_recipe("deap-paper").prepare))
    [study] = plan_studies([load_recipe("deap-paper")], [store])
    names = {run.name for run in study.runs}
    assert {"window-huang-faceeeg", "window-deepvanet-facebio"} <= names
    assert not any("zhu" in name or "mindlink" in name for name in names)
    assert sum("is not tested by protocol window" in why for why in study.left_out) == 2


@pytest.mark.journey
def test_a_recipe_for_any_corpus_is_done_for_each_with_runs_of_its_own(tmp_path):
    stores = [DryRunStore("deap:3x4x4", PrepareConfig()), DryRunStore("mahnob:3x4x4", PrepareConfig())]
    for store in stores:
        store.path = Path(store.settings["dataset"])
    assigned = assign([load_recipe("tiny")], stores)
    assert [(r.name, r.dataset, s.settings["dataset"]) for r, s, _ in assigned] == [
        ("tiny-deap", "deap", "deap"), ("tiny-mahnob", "mahnob", "mahnob"),
    ]  # fmt: skip
    folders = {run_folder(tmp_path, run) for r, s, _ in assigned for run in runs_of(r, s)}
    assert len(folders) == 2 * len(runs_of(load_recipe("tiny"), stores[0]))


@pytest.mark.journey
def test_the_default_is_the_papers_recipe_and_the_honest_one_of_each_corpus():
    names = [r.name for r in recipes_for([], ["deap", "mahnob", "deap"])]
    assert names == ["deap-paper", "deap-honest", "mahnob-paper", "mahnob-honest"]
    assert [r.name for r in recipes_for(["tiny,deap-paper", "tiny"], ["deap"])] == ["tiny", "deap-paper"]
    assert [r.name for r in recipes_for(["tiny"], ["other"])] == ["tiny"]
    with pytest.raises(BadConfig, match="there is no recipe for other: give --recipe tiny"):
        recipes_for([], ["other", "deap"])
