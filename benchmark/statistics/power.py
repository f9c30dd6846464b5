"""How large a difference an experiment can find, before it is run."""

import math

from scipy import stats

from benchmark.statistics.intervals import LEVEL

POWER = 0.8
"""Chance of finding a difference that is there."""


def minimum_detectable_difference(
    seeds: int, episodes: int, seed_sd: float = 0.006, episode_sd: float = 0.06, correlation: float = 0.5
) -> float:
    """The smallest true difference of two methods that the paired two-way test finds with 80 % power at 5 %, two-sided.

    Assumes that both methods vary alike: the variance of the mean difference is

        2 seed_sd^2 / seeds + 2 (1 - correlation) episode_sd^2 / episodes

    and the difference found is (t_0.975 + t_0.80) standard errors, with Satterthwaite's degrees of freedom. The
    second term is not divided by the seeds, as if all of it belonged to the episodes: a little pessimistic. With one
    seed, the first term is left out, and the answer is about the two trained models only.

    Args:
        seeds: training seeds per method.
        episodes: shared test episodes.
        seed_sd: standard deviation, over seeds, of one method's mean accuracy.
        episode_sd: standard deviation, over episodes, of one trained model's accuracy.
        correlation: of the two methods' accuracies over episodes; 0 if they did not share them.

    Returns:
        A difference in the unit of the two standard deviations; with the defaults, which are typical of 5-way and
        20-way tasks on Omniglot and mini-ImageNet, a fraction: 0.02 is two points of accuracy.

    Raises:
        ValueError: no seed, or fewer than two episodes.
    """
    if seeds < 1 or episodes < 2:
        raise ValueError(f"needs at least one seed and two episodes, not {seeds} and {episodes}")
    of_seeds = 2 * seed_sd**2 / seeds if seeds > 1 else 0.0
    of_episodes = 2 * (1 - correlation) * episode_sd**2 / episodes
    variance = of_seeds + of_episodes
    if variance == 0:
        return 0.0
    freedom = variance**2 / ((of_seeds**2 / (seeds - 1) if seeds > 1 else 0.0) + of_episodes**2 / (episodes - 1))
    return float(stats.t.ppf((1 + LEVEL) / 2, freedom) + stats.t.ppf(POWER, freedom)) * math.sqrt(variance)
