"""Folds keep their protocol whatever the table, and depend on names and seed alone."""

import json
import os
import runpy
import subprocess
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gbvnet.config import PROTOCOLS, SplitConfig
from gbvnet.datasets.amigos_file import LONG
from gbvnet.datasets.amigos_long import GROUPS
from gbvnet.errors import BadConfig, BadInput, LeakySplit
from gbvnet.evaluation.splits import (
    check_fold,
    fixed_folds,
    group_names,
    hold_out,
    make_folds,
    names,
    train_validation_split,
)

FOLDS = Path(__file__).parents[2] / "recipes" / "folds"
COLUMNS = {  # what may not be shared, read off the table without the code under test
    "window": [["recording", "window"]],
    "trial": [["subject", "trial"]],
    "stimulus": [["stimulus"]],
    "subject": [["subject"]],
    "subject+stimulus": [["subject"], ["stimulus"]],
}


def table(subjects=4, trials=6, windows=3, rng=None):
    """Windows of subjects x trials; every subject sees the stimuli in an order of their own."""
    rng = rng or np.random.default_rng(0)
    rows = []
    for subject in range(1, subjects + 1):
        for trial, stimulus in enumerate(rng.permutation(trials) + 1, start=1):
            n = windows if isinstance(windows, int) else int(rng.integers(*windows))
            rows += [
                {
                    "recording": f"s{subject:02d}_trial{trial:02d}",
                    "subject": f"s{subject:02d}",
                    "trial": f"{trial:02d}",
                    "stimulus": f"{stimulus:02d}",
                    "window": window,
                }
                for window in range(n)
            ]
    return pd.DataFrame(rows)


@st.composite
def tables_and_settings(draw):
    """A table as untidy as real ones: rows missing, unequal trials, any order; and any settings that it can bear."""
    protocol = draw(st.sampled_from(PROTOCOLS))
    scope = "pooled" if "subject" in protocol else draw(st.sampled_from(["pooled", "per-subject"]))
    folds = draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    windows = table(draw(st.integers(4, 7)), draw(st.integers(6, 9)), (1, 5), rng)
    windows = windows[rng.random(len(windows)) > draw(st.sampled_from([0.0, 0.2]))]
    windows = windows.sample(frac=1, random_state=int(rng.integers(2**31)))
    share = draw(st.sampled_from([0.01, 0.2, 0.5, 0.9]))
    return windows, SplitConfig(
        protocol=protocol, scope=scope, folds=folds, validation=share, seed=draw(st.integers(0, 99))
    )


@pytest.mark.journey
@settings(max_examples=80, deadline=None)
@given(tables_and_settings())
def test_no_group_of_the_protocol_is_ever_on_two_sides(given_):
    windows, split = given_
    try:
        folds = make_folds(windows, split)
    except LeakySplit:  # too few groups: refused, never bent
        return
    keys = [dict(zip(windows.index, windows[c].itertuples(index=False), strict=True)) for c in COLUMNS[split.protocol]]
    subject_of = windows["subject"].to_dict()
    for fold in folds:
        assert all(len(rows) for rows in fold.sides.values())
        for one, other in combinations(fold.sides.values(), 2):
            assert not set(one) & set(other)
            for key in keys:
                assert not {key[row] for row in one} & {key[row] for row in other}
        if fold.name:
            assert {subject_of[row] for rows in fold.sides.values() for row in rows} == {fold.name}
    assert [f.number for f in folds] == list(range(1, len(folds) + 1))
    tested = np.concatenate([f.test for f in folds])
    assert len(tested) == len(set(tested))
    if split.protocol != "subject+stimulus":
        assert sorted(tested) == sorted(windows.index)
        if split.scope == "pooled":
            for fold in folds:
                assert sorted(np.concatenate([*fold.sides.values()])) == sorted(windows.index)


@pytest.mark.journey
@settings(max_examples=40, deadline=None)
@given(tables_and_settings())
def test_folds_do_not_depend_on_the_order_of_the_rows(given_):
    windows, split = given_
    try:
        folds = make_folds(windows, split)
    except LeakySplit:
        return
    turned = make_folds(windows.iloc[::-1], split)
    for one, other in zip(folds, turned, strict=True):
        for side in one.sides:
            assert one.sides[side].tolist() == other.sides[side].tolist()


def shares(windows, protocol, one, other):
    """Whether rows of both sides have anything of the protocol in common, read off the table."""
    return any(
        {*windows.loc[one, columns].itertuples(index=False)} & {*windows.loc[other, columns].itertuples(index=False)}
        for columns in COLUMNS[protocol]
    )


@pytest.mark.journey
@settings(max_examples=40, deadline=None)
@given(tables_and_settings(), st.integers(0, 10**6))
def test_stratified_folds_keep_the_protocol_and_test_each_row_once_whatever_the_labels(given_, seed):
    windows, split = given_
    labels = np.random.default_rng(seed).integers(0, 2, len(windows))
    try:
        folds = make_folds(windows, replace(split, stratify=True), labels)
    except (LeakySplit, BadConfig):  # too few groups, or too few of a class
        return
    for fold in folds:
        for one, other in combinations(fold.sides.values(), 2):
            assert not shares(windows, split.protocol, one, other)
    if split.protocol != "subject+stimulus":
        assert sorted(np.concatenate([f.test for f in folds])) == sorted(windows.index)


@pytest.mark.journey
@settings(max_examples=40, deadline=None)
@given(tables_and_settings())
def test_what_is_held_out_or_kept_back_shares_nothing_and_does_not_depend_on_the_order_of_the_rows(given_):
    windows, split = given_
    subjects, stimuli = (sorted(windows[c].unique()) for c in ("subject", "stimulus"))
    tested = (windows["subject"].isin(subjects[:2]) & windows["stimulus"].isin(stimuli[::2])).to_numpy()
    if split.protocol == "subject+stimulus":  # nobody and nothing that is tested may be there to learn from
        mixed = windows["subject"].isin(subjects[:2]) | windows["stimulus"].isin(stimuli[::2])
        windows, tested = windows[tested | ~mixed], tested[tested | ~mixed.to_numpy()]
    try:
        fold = hold_out(windows, tested, split)
    except LeakySplit:
        assert split.protocol in ("subject", "stimulus") or len(windows[~tested]) < 9
    else:
        assert sorted(fold.test) == sorted(windows.index[tested])
        assert not shares(windows, split.protocol, fold.test, np.concatenate([fold.train, fold.validation]))
        assert not shares(windows, "trial", fold.train, fold.validation)
        turned = hold_out(windows[::-1], tested[::-1], split)
        assert all(fold.sides[side].tolist() == turned.sides[side].tolist() for side in fold.sides)
    try:
        train, validation = train_validation_split(windows, split)
    except LeakySplit:
        return
    assert len(train) and not shares(windows, split.protocol, train, validation)
    assert [part.tolist() for part in train_validation_split(windows[::-1], split)] == [
        train.tolist(),
        validation.tolist(),
    ]


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4)


@pytest.mark.journey
@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(NAMES, NAMES, NAMES), min_size=6, max_size=16, unique_by=lambda names: names[:2]),
    st.sampled_from(["trial", "stimulus", "subject"]), st.integers(0, 9),
)  # fmt: skip
def test_names_of_any_characters_stay_separate(rows, protocol, seed):
    """A slash, a space or a line break in a name may make two groups one, which is safe, and never one group two."""
    windows = pd.DataFrame(
        [(*names, k) for names in rows for k in (0, 1)], columns=["subject", "trial", "stimulus", "window"]
    )
    try:
        folds = make_folds(windows, SplitConfig(protocol=protocol, folds=2, seed=seed))
    except LeakySplit:
        return
    for fold in folds:
        for one, other in combinations(fold.sides.values(), 2):
            assert not shares(windows, protocol, one, other)
    assert sorted(np.concatenate([f.test for f in folds])) == sorted(windows.index)


def test_folds_have_equally_many_groups_and_trials_are_spread_over_the_subjects():
    windows = table(subjects=5, trials=12)
    for protocol, unit, each in (("trial", "trial", 20), ("stimulus", "stimulus", 4)):
        folds = make_folds(windows, SplitConfig(protocol=protocol, folds=3))
        for fold in folds:
            assert group_names(windows, unit).loc[fold.test].nunique() == each
    for fold in make_folds(windows, SplitConfig(protocol="trial", folds=3)):
        for rows, each in ((fold.test, 4), (fold.train, None)):  # 12 trials per subject, 3 folds
            counts = windows.loc[rows].groupby("subject")["trial"].nunique()
            assert set(counts) == {each} if each else counts.max() - counts.min() <= 1


def test_the_validation_side_is_the_requested_share_of_the_training_groups():
    windows = table(subjects=10, trials=10)
    fold = make_folds(windows, SplitConfig(protocol="trial", folds=10, validation=0.2))[0]
    trials = group_names(windows, "trial")
    assert trials.loc[fold.validation].nunique() == 18  # 20 % of the 90 trials that are not tested
    assert windows.loc[fold.validation, "subject"].nunique() >= 9  # of 10: spread over the subjects, not a few of them


def test_at_least_one_group_is_kept_back_and_at_least_one_is_left():
    windows = table(subjects=4, trials=2)
    for validation, kept in ((0.01, 1), (0.99, 2)):
        for fold in make_folds(windows, SplitConfig(protocol="subject", folds=4, validation=validation)):
            assert windows.loc[fold.validation, "subject"].nunique() == kept


def test_subject_and_stimulus_held_out_together_test_the_diagonal_only():
    windows = table(subjects=6, trials=9, windows=1)  # 54 windows
    folds = make_folds(windows, SplitConfig(protocol="subject+stimulus", folds=3, validation=0.25))
    for fold in folds:
        assert len(fold.test) == 2 * 3  # 2 of 6 subjects, 3 of 9 stimuli
        assert len(fold.train) + len(fold.validation) < 4 * 6  # of 4 subjects x 6 stimuli, mixed rows are dropped
        assert len(fold.validation) == 1 * 2  # a quarter of 4 subjects, of 6 stimuli (1.5, rounded to even)
        assert len(fold.train) == 3 * 4
    for column in ("subject", "stimulus"):
        tested = [name for fold in folds for name in sorted(set(windows.loc[fold.test, column]))]
        assert sorted(tested) == sorted(set(windows[column]))  # each subject and each stimulus once


def test_subject_and_stimulus_folds_hold_out_the_subjects_of_the_subject_folds():
    windows = table(subjects=6, trials=9)
    both = make_folds(windows, SplitConfig(protocol="subject+stimulus", folds=3))
    subjects = make_folds(windows, SplitConfig(protocol="subject", folds=3))
    for one, other in zip(both, subjects, strict=True):
        assert set(windows.loc[one.test, "subject"]) == set(windows.loc[other.test, "subject"])


def test_another_seed_gives_other_folds():
    windows = table(subjects=6, trials=9)
    one, other = (make_folds(windows, SplitConfig(folds=3, seed=seed))[0].test.tolist() for seed in (0, 1))
    assert one != other


def test_rows_keep_their_numbers_when_only_some_are_split():
    windows = table(subjects=4, trials=6)
    some = windows[windows["window"] != 1]
    folds = make_folds(some, SplitConfig(folds=3))
    assert sorted(np.concatenate([f.test for f in folds])) == some.index.tolist()


PROGRAM = """
import sys; sys.path.insert(0, sys.argv[1])
from test_splits import table
from gbvnet.config import SplitConfig
from gbvnet.evaluation.splits import make_folds
import numpy as np
windows = table(5, 8, 2)
labels = np.arange(len(windows)) // 5 % 2
for stratify in (False, True):
    folds = make_folds(windows, SplitConfig(folds=4, stratify=stratify), labels)
    print([f.test.tolist() + f.validation.tolist() for f in folds])
"""


@pytest.mark.journey
def test_folds_do_not_depend_on_pythons_hash_seed():
    def folds(hash_seed):
        env = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
        here = str(Path(__file__).parent)
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, here], env=env, capture_output=True, text=True, check=True
        ).stdout

    assert folds(1) == folds(2) != ""


def test_the_guard_names_the_group_that_was_moved():
    windows = table(subjects=4, trials=6)
    fold = make_folds(windows, SplitConfig(protocol="trial", folds=3))[1]
    check_fold(windows, fold, "trial")
    moved = replace(fold, train=np.append(fold.train, fold.test[0]), test=fold.test[1:])
    name = group_names(windows, "trial")[fold.test[0]]
    with pytest.raises(
        LeakySplit, match=f"fold 2 breaks protocol trial: trial {name} on both the train and the test side"
    ):
        check_fold(windows, moved, "trial")


@pytest.mark.parametrize("side", ["train", "validation"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_guard_sees_each_protocol_broken_on_either_side(protocol, side):
    windows = table(subjects=6, trials=9)
    fold = make_folds(windows, SplitConfig(protocol=protocol, folds=3))[0]
    broken = replace(fold, **{side: np.append(fold.sides[side], fold.test[:1])})
    with pytest.raises(LeakySplit, match=f"breaks protocol {protocol.replace('+', '.')}.*the {side} and the test side"):
        check_fold(windows, broken, protocol)


def test_the_guard_catches_one_shared_stimulus_between_different_subjects():
    windows = table(subjects=6, trials=9)
    folds = make_folds(windows, SplitConfig(protocol="subject", folds=3))
    check_fold(windows, folds[0], "subject")
    with pytest.raises(LeakySplit, match=r"stimuli 01, 02, 03, 04, 05 and 4 more on both"):
        check_fold(windows, folds[0], "subject+stimulus")


def test_a_window_split_passes_as_window_and_fails_as_trial():
    windows = table(subjects=3, trials=4, windows=8)
    fold = make_folds(windows, SplitConfig(protocol="window", folds=3))[0]
    check_fold(windows, fold, "window")
    with pytest.raises(LeakySplit, match="breaks protocol trial"):
        check_fold(windows, fold, "trial")


@pytest.mark.journey
@pytest.mark.parametrize("protocol", ["window", "trial", "stimulus", "subject"])
def test_stratified_folds_balance_the_labels_and_keep_the_protocol(protocol):
    windows = table(subjects=12, trials=12, windows=4)
    labels = (windows["stimulus"].astype(int) % 3 == 0).to_numpy(int)  # a third is high
    if protocol == "subject":
        labels = (windows["subject"] <= "s04").to_numpy(int)
    for fold in make_folds(windows, SplitConfig(protocol=protocol, folds=4, stratify=True), labels):
        check_fold(windows, fold, protocol)
        assert labels[fold.test].mean() == pytest.approx(1 / 3, abs=0.02)


@pytest.mark.parametrize("protocol", ["window", "trial"])
def test_stratifying_does_not_depend_on_the_order_of_the_rows(protocol):
    windows = table(subjects=6, trials=8, windows=(1, 5))
    labels = pd.Series(np.arange(len(windows)) // 7 % 2, windows.index)
    turned = windows.sample(frac=1, random_state=3)
    split = SplitConfig(protocol=protocol, folds=4, stratify=True)
    one, other = (
        make_folds(windows, split, labels.to_numpy()),
        make_folds(turned, split, labels[turned.index].to_numpy()),
    )
    assert [f.test.tolist() for f in one] == [f.test.tolist() for f in other]


def test_stratifying_without_labels_is_refused():
    with pytest.raises(BadConfig, match="no labels were given"):
        make_folds(table(), SplitConfig(folds=2, stratify=True))


def test_too_few_groups_are_reported_with_numbers():
    windows = table(subjects=4, trials=6)
    with pytest.raises(LeakySplit, match=r"10 folds need at least 10 subjects; the windows to score have 4 subjects"):
        make_folds(windows, SplitConfig(protocol="subject", folds=10))
    with pytest.raises(
        LeakySplit, match=r"7 folds need at least 7 trials; the windows of subject s01 to score have 6 trials"
    ):
        make_folds(windows, SplitConfig(protocol="trial", scope="per-subject", folds=7))
    with pytest.raises(LeakySplit, match=r"fold 1 has 1 subject left to train on, and 2 are needed"):
        make_folds(table(subjects=2), SplitConfig(protocol="subject", folds=2))
    with pytest.raises(BadConfig, match="no row of the store is left"):
        make_folds(windows[:0], SplitConfig(folds=2))


@pytest.mark.journey
def test_the_sides_are_named_so_that_no_name_is_on_two_of_them():
    windows = table(subjects=6, trials=9, windows=2)
    for protocol, example in (
        ("window", "s01/01/0"),
        ("trial", "s01/01"),
        ("stimulus", "01"),
        ("subject", "s01"),
        ("subject+stimulus", "stimulus 01"),
    ):
        fold = make_folds(windows, SplitConfig(protocol=protocol, folds=3))[0]
        sides = names(windows, fold, protocol)
        assert list(sides) == ["train", "inner", "test"]
        assert sum(len(side) for side in sides.values()) == len(set().union(*sides.values()))
        everything = {
            n
            for f in make_folds(windows, SplitConfig(protocol=protocol, folds=3))
            for n in names(windows, f, protocol)["test"]
        }
        assert example in everything


# Fixed folds


def test_fixed_folds_are_what_their_maker_makes_byte_for_byte():
    maker = runpy.run_path(str(FOLDS / "make.py"))
    assert {f.stem for f in FOLDS.glob("*.json")} == set(maker["CORPORA"])
    for name in maker["CORPORA"]:
        assert (FOLDS / f"{name}.json").read_bytes() == maker["text"](name).encode()


def test_amigos_long_v1_keeps_groups_in_one_fold():
    folds = fixed_folds(str(FOLDS / "amigos-long-v1.json")).parts
    assert len({name for part in folds["subject"] for name in part}) == 37 and {
        len(part) for part in folds["subject"]
    } == {3, 4}
    assert {len(part) for part in folds["trial"]} == {14, 15} and sum(map(len, folds["trial"])) == 37 * 4
    for group in GROUPS:
        assert [set(group) <= set(part) for part in folds["subject"]].count(True) == 1
        for film in LONG:
            watched = {f"{name}/{film}" for name in group}
            assert [watched <= set(part) for part in folds["trial"]].count(True) == 1


def test_mahnob_v1_names_a_trial_by_its_film_whatever_its_session_is_called():
    folds = fixed_folds("mahnob-v1")
    films = {film for part in folds.parts["stimulus"] for film in part}
    assert len(films) == 20 and "earworm_f" in films
    assert [len(part) for part in folds.parts["trial"]] == [60] * 10  # two films of each of 30 subjects
    lost = ["p12", "p15", "p26"]
    assert {len(set(part) - {*lost}) for part in folds.parts["subject"]} == {2, 3}
    subjects, ordered = ["p01", "p02", "p13"], sorted(films)
    windows = pd.DataFrame(
        [(subject, str(1000 + 7 * n), film, 0) for subject in subjects for n, film in enumerate(ordered)],
        columns=["subject", "trial", "stimulus", "window"],
    )
    made = make_folds(windows, SplitConfig(fixed="mahnob-v1"))
    for fold, part in zip(made, folds.parts["trial"], strict=True):
        tested = windows.loc[fold.test]
        assert set(tested["subject"] + "/" + tested["stimulus"]) == {t for t in part if t.split("/")[0] in subjects}
    with pytest.raises(BadConfig, match="do not name trial s01/"):
        make_folds(table(), SplitConfig(fixed="mahnob-v1"))


def test_deap_v1_contains_every_trial_stimulus_and_subject_once_and_spreads_the_filmed_ones():
    folds = fixed_folds("deap-v1").parts
    subjects = [f"s{n:02d}" for n in range(1, 33)]
    whole = {
        "trial": [f"{p}/{t:02d}" for p in subjects for t in range(1, 41)],
        "stimulus": [f"{n:02d}" for n in range(1, 41)],
        "subject": subjects,
    }
    for unit, all_names in whole.items():
        assert len(folds[unit]) == 10
        assert sorted(n for part in folds[unit] for n in part) == all_names
    assert {sum(p <= "s22" for p in part) for part in folds["subject"]} == {2, 3}
    for part in folds["trial"]:
        assert all(sum(t.startswith(p) for t in part) == 4 for p in subjects)


@pytest.mark.journey
@pytest.mark.parametrize("protocol", ["trial", "stimulus", "subject", "subject+stimulus"])
def test_fixed_folds_serve_the_filmed_subjects_alone_and_agree_with_the_file(protocol):
    windows = table(subjects=22, trials=40, windows=1)
    folds = make_folds(windows, SplitConfig(protocol=protocol, fixed="deap-v1"))
    assert len(folds) == 10
    held = fixed_folds("deap-v1").parts
    for fold, trials, subjects in zip(folds, held["trial"], held["subject"], strict=True):
        if protocol == "trial":
            assert names(windows, fold, "trial")["test"] == [t for t in trials if t < "s23"]
        if "subject" in protocol:
            assert {*windows.loc[fold.test, "subject"]} <= {*subjects}


def test_fixed_folds_with_nobody_to_test_are_left_out_and_the_others_keep_their_numbers():
    windows = table(subjects=3, trials=4)
    held = fixed_folds("deap-v1").parts["subject"]
    with_somebody = [n for n, part in enumerate(held, start=1) if {"s01", "s02", "s03"} & {*part}]
    folds = make_folds(windows, SplitConfig(protocol="subject", fixed="deap-v1"))
    assert [f.number for f in folds] == with_somebody


@pytest.mark.journey
def test_fixed_folds_do_not_mind_leading_zeros():
    windows = table(subjects=3, trials=12)
    plain = windows.assign(trial=windows["trial"].str.lstrip("0"), stimulus=windows["stimulus"].str.lstrip("0"))
    for protocol in ("trial", "stimulus"):
        split = SplitConfig(protocol=protocol, fixed="deap-v1")
        for one, other in zip(make_folds(windows, split), make_folds(plain, split), strict=True):
            assert one.test.tolist() == other.test.tolist()


def test_fixed_folds_can_come_from_a_file_of_ones_own(tmp_path):
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"trial": [], "stimulus": [], "subject": [["s01"], ["s02", "s03"], ["s04"]]}))
    windows = table(subjects=4, trials=2)
    folds = make_folds(windows, SplitConfig(protocol="subject", folds=3, fixed=str(file)))
    assert [sorted({*windows.loc[f.test, "subject"]}) for f in folds] == [["s01"], ["s02", "s03"], ["s04"]]


def test_fixed_folds_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(BadConfig, match="do not name subject s33"):
        make_folds(table(subjects=33, trials=1, windows=1), SplitConfig(protocol="subject", fixed="deap-v1"))
    with pytest.raises(BadConfig, match="are 10 and the setting folds is 3"):
        make_folds(table(), SplitConfig(folds=3, fixed="deap-v1"))
    with pytest.raises(LeakySplit, match="fold 10 has 0 trials left to train on"):
        make_folds(table(subjects=1, trials=1), SplitConfig(fixed="deap-v1"))
    with pytest.raises(BadInput, match=r"deap-v9: expected the name of fixed folds.*Shipped: .*deap-v1, mahnob-v1"):
        fixed_folds("deap-v9")
    for text, why in (("[", "not JSON"), ("[]", "found list"), ('{"trial": 3}', "found int")):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(BadInput, match=why):
            fixed_folds(str(tmp_path / "bad.json"))
    (tmp_path / "bad.json").write_text('{"trial": [["s01/01"], ["s01/01"]], "stimulus": [], "subject": []}')
    with pytest.raises(BadInput, match="each trial in one fold, found s01/01 in several"):
        fixed_folds(str(tmp_path / "bad.json"))


def test_names_of_fixed_folds_may_be_numbers_and_are_compared_without_leading_zeros(tmp_path):
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"trial": [], "stimulus": [], "subject": [[1], [2, "3"], [4]]}))
    windows = table(subjects=4, trials=2)
    windows = windows.assign(subject=windows["subject"].str[1:])
    folds = make_folds(windows, SplitConfig(protocol="subject", folds=3, fixed=str(file)))
    assert [sorted({*windows.loc[f.test, "subject"]}) for f in folds] == [["01"], ["02", "03"], ["04"]]
    for of_subjects, why in (
        ('[["01"], ["1"]]', "each subject in one fold, found 01 and 1 in several"),
        ("[[1], [true]]", "names under 'subject' that are text or whole numbers, found True"),
        ("[[1], [null]]", "found None"),
    ):
        file.write_text(f'{{"trial": [], "stimulus": [], "subject": {of_subjects}}}')
        with pytest.raises(BadInput, match=why):
            fixed_folds(str(file))
