"""Grey wolves find what tells the classes apart, and are judged on groups that they have not learnt from."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import balanced_accuracy_score

from gbvnet.systems.learners.grey_wolf import COST_OF_ALL, RIDGE, ridge_cost, select_features


def noise_with_two_that_tell(rows=400, features=30, seed=0):
    rng = np.random.default_rng(seed)
    groups, x = np.arange(rows) // 10, rng.normal(size=(rows, features))
    y = rng.permutation(np.arange(rows // 10) % 2)[groups]
    x[:, 3] += 1.2 * y
    x[:, 7] += 1.2 * (1 - y)
    return x, y[:, None], groups


@pytest.mark.journey
def test_wolves_come_down_to_the_least_cost_of_an_easy_hill():
    """Of 200 features, as many right as no random choice of the same number of tries would have."""
    goal, rng = np.arange(200) % 3 == 0, np.random.default_rng(0)
    cost = lambda choice: float((choice != goal).mean())  # noqa: E731
    by_chance = min(cost(rng.random(200) < share) for share in rng.random(2000))
    costs = [cost(select_features(cost, 200, np.random.default_rng(seed), rounds=40)) for seed in range(5)]
    assert max(costs) < by_chance


@pytest.mark.journey
def test_what_tells_is_kept_and_much_else_is_not():
    x, y, groups = noise_with_two_that_tell()
    cost = ridge_cost(x, y, groups, np.random.default_rng(0))
    chosen = select_features(cost, 30, np.random.default_rng(0))
    assert chosen[[3, 7]].all()
    assert chosen.sum() < 20
    assert cost(chosen) < cost(np.ones(30, bool))
    assert np.array_equal(chosen, select_features(cost, 30, np.random.default_rng(0)))
    assert not np.array_equal(chosen, select_features(cost, 30, np.random.default_rng(1)))


def test_more_rounds_never_end_worse():
    x, y, groups = noise_with_two_that_tell()
    cost = ridge_cost(x, y, groups, np.random.default_rng(0))
    costs = [cost(select_features(cost, 30, np.random.default_rng(0), rounds=rounds)) for rounds in (0, 10)]
    assert costs[1] < costs[0]


def test_a_choice_is_never_empty():
    assert select_features(lambda choice: float(choice.sum()), 3, np.random.default_rng(0), rounds=40).sum() == 1


def test_the_cost_is_the_balanced_error_of_scikit_learns_ridge_and_a_little_for_each_feature():
    x, y, groups = noise_with_two_that_tell()
    y[:, 0] = np.where(groups % 3 > 0, 1, y[:, 0])  # four of five are high
    choice, predicted = np.arange(30) % 2 == 1, np.zeros(400)
    for held in np.array_split(np.random.default_rng(4).permutation(np.unique(groups)), 4):
        test = np.isin(groups, held)
        z = (x - x[~test].mean(axis=0)) / x[~test].std(axis=0)
        ridge = Ridge(alpha=RIDGE * (~test).sum()).fit(z[~test][:, choice], 2 * y[~test, 0] - 1)
        parameters = ridge.predict(z[~test][:, choice])
        even = (parameters[y[~test, 0] == 1].mean() + parameters[y[~test, 0] == 0].mean()) / 2
        predicted[test] = ridge.predict(z[test][:, choice]) > even
    error = 1 - balanced_accuracy_score(y[:, 0], predicted)
    cost = ridge_cost(x, y, groups, np.random.default_rng(4))
    assert cost(choice) == pytest.approx((1 - COST_OF_ALL) * error + COST_OF_ALL / 2)


@pytest.mark.journey
def test_no_group_is_on_both_sides():
    """What only tells groups apart is worth nothing: on rows of known groups it would be worth everything."""
    rng = np.random.default_rng(0)
    groups = np.arange(400) // 10
    x = 3 * rng.normal(size=(40, 60))[groups] + 0.1 * rng.normal(size=(400, 60))
    y = rng.permutation(np.arange(40) % 2)[groups][:, None]
    everything = np.ones(60, bool)
    errors = [ridge_cost(x, y, groups, np.random.default_rng(seed))(everything) for seed in range(20)]
    leaky = ridge_cost(x, y, np.arange(400), np.random.default_rng(0))(everything)
    assert np.mean(errors) > 0.35
    assert leaky < 0.05


def test_where_nothing_can_be_judged_there_is_no_cost():
    x, y, groups = noise_with_two_that_tell(rows=40)
    rng = np.random.default_rng(0)
    assert ridge_cost(x, y, np.zeros(40), rng) is None
    assert ridge_cost(x, np.ones((40, 1)), groups, rng) is None
    both = ridge_cost(x, np.concatenate([y, np.ones((40, 1))], axis=1), np.arange(40), rng)
    assert 0 <= both(np.ones(30, bool)) <= 1  # by the target that has both classes
