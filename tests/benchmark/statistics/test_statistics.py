"""Intervals, comparisons and power, against formulas by hand, SciPy and simulated truth."""

import numpy as np
import pandas as pd
import pytest
import scikit_posthocs as posthocs
from matplotlib.figure import Figure
from scipy import stats

from benchmark.statistics import (
    NotComparableError,
    Ranks,
    Scores,
    adjusted,
    compare,
    crossed_bootstrap,
    episode_interval,
    holm,
    minimum_detectable_difference,
    primary_interval,
    rank_methods,
    sign_flip_p_value,
    two_way_interval,
)


def draw(rng: np.random.Generator, seeds: int, episodes: int, sds: tuple[float, float, float]) -> np.ndarray:
    """Accuracies of the two-way model with mean zero and the given sds of seed, episode and residual."""
    of_seed, of_episode, residual = sds
    noise = rng.normal(0, residual, (seeds, episodes))
    return rng.normal(0, of_seed, (seeds, 1)) + rng.normal(0, of_episode, (1, episodes)) + noise


def test_episode_interval_is_the_t_interval_of_scipy() -> None:
    accuracy = np.random.default_rng(0).uniform(size=(1, 40))
    expected = stats.ttest_1samp(accuracy[0], 0)
    interval = episode_interval(accuracy)
    low, high = expected.confidence_interval(0.95)
    assert (interval.low, interval.high) == pytest.approx((low, high))
    assert interval.p_value == pytest.approx(expected.pvalue)
    assert interval.kind == "episodes only"


def test_two_way_interval_by_hand() -> None:
    # Means 2 and 4 of the seeds, 2, 3, 4 of the episodes; residuals by subtraction are 0, -1, 1 and 0, 1, -1.
    accuracy = np.array([[1.0, 1.0, 4.0], [3.0, 5.0, 4.0]])
    mean_seed, mean_episode, mean_residual = 6.0, 2.0, 2.0
    variance = (mean_seed + mean_episode - mean_residual) / 6
    freedom = variance**2 / ((mean_seed / 6) ** 2 / 1 + (mean_episode / 6) ** 2 / 2 + (mean_residual / 6) ** 2 / 2)
    interval = two_way_interval(accuracy)
    assert interval.mean == 3.0
    assert interval.half_width == pytest.approx(stats.t.ppf(0.975, freedom) * np.sqrt(variance))


def test_two_way_interval_with_no_episode_effect_is_a_t_interval_over_seed_means() -> None:
    means = np.array([0.1, 0.4, 0.3, 0.5])
    # Every row has the same mean offset zero and the episodes' means are all equal, so only seeds vary.
    wiggle = np.array([1.0, -1.0]) * np.array([[0.01], [-0.01], [0.01], [-0.01]])
    interval = two_way_interval(means[:, None] + wiggle)
    low, high = stats.ttest_1samp(means, 0).confidence_interval(0.95)
    assert (interval.low, interval.high) == pytest.approx((low, high), rel=1e-2)


def test_the_unit_passes_through() -> None:
    accuracy = np.random.default_rng(0).uniform(size=(3, 50))
    assert two_way_interval(100 * accuracy).half_width == pytest.approx(100 * two_way_interval(accuracy).half_width)


def test_a_constant_result_has_no_width() -> None:
    assert two_way_interval(np.ones((3, 4))).half_width == 0
    assert episode_interval(np.ones((1, 4))).half_width == 0


def test_primary_interval_needs_two_seeds_to_speak_of_seeds() -> None:
    accuracy = np.random.default_rng(0).uniform(size=(2, 9))
    assert primary_interval(accuracy).kind == "seeds x episodes"
    assert primary_interval(accuracy[:1]).kind == "episodes only"


@pytest.mark.parametrize("shape", [(0, 5), (1, 1), (5,)])
def test_too_little_data_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least two episodes"):
        primary_interval(np.ones(shape))


def test_two_seeds_are_needed_for_the_two_way_interval() -> None:
    with pytest.raises(ValueError, match="two seeds"):
        two_way_interval(np.ones((1, 5)))


@pytest.mark.parametrize("sds", [(0.6, 6, 6), (1.5, 6, 6), (0.2, 6, 6)])
def test_two_way_interval_covers_the_truth_19_times_of_20(sds: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(1)
    intervals = [two_way_interval(draw(rng, 5, 600, sds)) for _ in range(1500)]
    covered = np.mean([interval.low < 0 < interval.high for interval in intervals])
    assert 0.93 < covered < 0.97


def test_pooling_episodes_covers_far_less_which_is_why_it_is_not_the_primary_interval() -> None:
    rng = np.random.default_rng(1)
    pooled = [draw(rng, 5, 600, (0.6, 6, 6)).ravel() for _ in range(500)]
    covered = np.mean([abs(one.mean()) < 1.96 * one.std(ddof=1) / np.sqrt(one.size) for one in pooled])
    assert covered < 0.70


def test_crossed_bootstrap_agrees_with_the_two_way_interval_when_there_are_many_seeds() -> None:
    accuracy = draw(np.random.default_rng(2), 40, 400, (1.0, 6.0, 6.0))
    ours, parametric = crossed_bootstrap(accuracy), two_way_interval(accuracy)
    assert ours.half_width == pytest.approx(parametric.half_width, rel=0.1)
    assert (ours.low, ours.high) == (crossed_bootstrap(accuracy).low, crossed_bootstrap(accuracy).high)


def test_crossed_bootstrap_of_one_seed_is_the_bootstrap_over_episodes() -> None:
    accuracy = np.random.default_rng(3).normal(size=(1, 200))
    expected = stats.bootstrap((accuracy[0],), np.mean, method="percentile", rng=np.random.default_rng(0))
    ours = crossed_bootstrap(accuracy)
    assert ours.low == pytest.approx(expected.confidence_interval.low, abs=0.01)
    assert ours.high == pytest.approx(expected.confidence_interval.high, abs=0.01)


def test_sign_flips_agree_with_scipy() -> None:
    rng = np.random.default_rng(4)
    for shift in (0.0, 0.1, 0.2):
        differences = np.round(rng.normal(shift, 1, 60) * 5) / 5
        expected = stats.permutation_test(
            (differences,), np.mean, permutation_type="samples", vectorized=True, n_resamples=9999, rng=rng
        ).pvalue
        assert sign_flip_p_value(differences) == pytest.approx(expected, abs=0.02)


def test_sign_flips_of_equal_results_find_nothing() -> None:
    assert sign_flip_p_value(np.zeros(20)) == 1.0


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def scores(name: str, accuracy: np.ndarray, sha256: str = "a" * 64, seeds: tuple[int, ...] | None = None) -> Scores:
    return Scores(name, accuracy, seeds or tuple(range(len(accuracy))), sha256)


def test_results_on_different_episodes_are_not_paired() -> None:
    accuracy = np.random.default_rng(0).uniform(size=(2, 10))
    with pytest.raises(NotComparableError, match="different episodes"):
        compare(scores("ht", accuracy, "a" * 64), scores("maml", accuracy, "b" * 64))


def test_only_common_seeds_are_paired() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.uniform(size=(3, 10)), rng.uniform(size=(2, 10))
    comparison = compare(scores("ht", first, seeds=(0, 1, 2)), scores("maml", second, seeds=(2, 0)))
    expected = two_way_interval(first[[0, 2]] - second[[1, 0]])
    assert comparison.interval.low == pytest.approx(expected.low)
    assert comparison.interval.seeds == 2
    with pytest.raises(NotComparableError, match="no finished seed in common"):
        compare(scores("ht", first[:1], seeds=(0,)), scores("maml", second[:1], seeds=(7,)))


def test_wins_count_ties_half() -> None:
    comparison = compare(scores("a", np.array([[1.0, 0.5, 0.5, 0.0]])), scores("b", np.array([[0.0, 0.5, 0.0, 0.5]])))
    assert comparison.wins == (1 + 0.5 + 1) / 4


def test_what_differs_and_what_is_undecided() -> None:
    rng = np.random.default_rng(5)
    shared = rng.normal(90, 5, (1, 300))
    c, a, b = (scores(name, shared + gap + rng.normal(0, 1, (3, 300))) for name, gap in [("c", -4), ("a", 0), ("b", 0)])
    comparisons = adjusted([compare(a, b), compare(a, c)])
    assert not comparisons[0].differ
    assert comparisons[1].differ
    assert comparisons[1].p_permutation == pytest.approx(1e-4)


def test_pairing_finds_more_than_comparing_intervals() -> None:
    rng = np.random.default_rng(6)
    gap, paired, unpaired = 0.8, 0, 0
    for _ in range(400):
        shared = rng.normal(0, 6, (1, 600))
        a, b = (shared + draw(rng, 5, 600, (0.4, 0, 6)) + shift for shift in (gap, 0.0))
        paired += two_way_interval(a - b).low > 0
        first, second = two_way_interval(a), two_way_interval(b)
        unpaired += first.mean - second.mean > np.hypot(first.half_width, second.half_width)
    assert paired > 1.2 * unpaired


@pytest.mark.parametrize(("seeds", "episodes"), [(5, 600), (10, 200)])
def test_a_difference_of_the_minimum_detectable_size_is_found_four_times_of_five(seeds: int, episodes: int) -> None:
    rng = np.random.default_rng(7)
    seed_sd, shared_sd, own_sd = 0.6, 4.0, 4.0
    gap = minimum_detectable_difference(
        seeds, episodes, seed_sd, np.hypot(shared_sd, own_sd), correlation=shared_sd**2 / (shared_sd**2 + own_sd**2)
    )
    found = []
    for _ in range(600):
        shared = rng.normal(0, shared_sd, (1, episodes))
        # What a method finds easy stays the same over its seeds: no residual.
        a, b = (shared + draw(rng, seeds, episodes, (seed_sd, own_sd, 1e-3)) for _ in range(2))
        interval = two_way_interval(a - b + gap)
        found.append(interval.low > 0)
    assert np.mean(found) == pytest.approx(0.8, abs=0.06)


def test_more_seeds_or_episodes_find_smaller_differences() -> None:
    base = minimum_detectable_difference(3, 600, 0.6, 8.0)
    assert minimum_detectable_difference(5, 600, 0.6, 8.0) < base
    assert minimum_detectable_difference(3, 600, 0.3, 8.0) < base
    assert minimum_detectable_difference(10, 2400, 0.6, 8.0) < minimum_detectable_difference(10, 600, 0.6, 8.0)
    assert minimum_detectable_difference(2, 600, 0.6, 8.0, freedom=10) < minimum_detectable_difference(2, 600, 0.6, 8.0)
    for seeds in (0, 1):
        with pytest.raises(ValueError, match="at least two seeds"):
            minimum_detectable_difference(seeds, 600, 0.6, 8.0)
    with pytest.raises(ValueError, match="finite"):
        minimum_detectable_difference(2, 600, float("nan"), 8.0)


def test_ranks_over_few_tasks_are_refused() -> None:
    with pytest.raises(NotComparableError, match="cannot reach"):
        rank_methods(["a", "b"], np.ones((5, 2)))


def test_ranks_by_hand() -> None:
    accuracy = np.array([[0.9, 0.5, 0.5]] * 6) + np.arange(6)[:, None] * 1e-3 * np.array([3.0, 2.0, -1.0])
    ranks = rank_methods(["a", "b", "c"], accuracy)
    assert ranks.mean_rank == pytest.approx({"a": 1.0, "b": 2 + 0.5 / 6, "c": 3 - 0.5 / 6})
    assert ranks.p_adjusted["a", "b"] == pytest.approx(3 * stats.wilcoxon(accuracy[:, 0], accuracy[:, 1]).pvalue)


def test_ranks_agree_with_scikit_posthocs() -> None:
    names = list("abcde")
    accuracy = np.random.default_rng(8).normal(0.8, 0.02, (12, 5)) + np.array([0.1, 0.0, 0.1, 0.0, 0.05])
    ranks = rank_methods(names, accuracy)
    p_values = posthocs.posthoc_wilcoxon(accuracy.T.tolist(), p_adjust="holm")
    p_values.index = p_values.columns = pd.Index(names)
    for (a, b), p in ranks.p_adjusted.items():
        assert p == pytest.approx(p_values.loc[a, b])
    mean_ranks = pd.DataFrame(accuracy, columns=names).rank(axis=1, ascending=False).mean()
    assert ranks.mean_rank == pytest.approx(mean_ranks.to_dict())
    drawn = posthocs.critical_difference_diagram(mean_ranks, p_values, ax=Figure().subplots())
    bars = sorted(sorted(np.asarray(line.get_xdata())) for (line,) in drawn["crossbars"])
    ours = sorted([ranks.mean_rank[group[0]], ranks.mean_rank[group[-1]]] for group in ranks.tied_groups)
    assert len(bars) == 2
    assert np.array(ours) == pytest.approx(np.array(bars))


def test_tied_groups_are_runs_of_neighbours() -> None:
    ranks = Ranks(
        {"d": 4.0, "a": 1.0, "b": 2.0, "c": 3.0},
        {("a", "b"): 0.5, ("a", "c"): 0.01, ("a", "d"): 0.9, ("b", "c"): 0.5, ("b", "d"): 0.01, ("d", "c"): 0.01},
    )
    assert ranks.tied_groups == [("a", "b"), ("b", "c")]
