"""How large a difference an experiment can find, before it is run."""

import math

from scipy import special

from benchmark.statistics.intervals import LEVEL

POWER = 0.8
"""Chance of finding a difference that is there."""


def minimum_detectable_difference(
    seeds: int,
    episodes: int,
    seed_sd: float,
    episode_sd: float = 0.06,
    correlation: float = 0.5,
    freedom: float | None = None,
) -> float:
    """The smallest true difference of two methods that the paired two-way test finds with 80 % power at 5 %, two-sided.

    Assumes that both methods vary alike: the variance of the mean difference is

        2 seed_sd^2 / seeds + 2 (1 - correlation) episode_sd^2 / episodes

    and the difference found is (t_0.975 + t_0.80) standard errors, with Satterthwaite's degrees of freedom. The
    second term is not divided by the seeds, as if all of it belonged to the episodes: a little pessimistic.

    Args:
        seeds: training seeds per method.
        episodes: shared test episodes.
        seed_sd: standard deviation, over seeds, of one method's mean accuracy; measured, as it differs between tasks by
            a factor of ten.
        episode_sd: standard deviation, over episodes, of one trained model's accuracy; the default is typical of 5-way
            and 20-way tasks on Omniglot and mini-ImageNet, as a fraction.
        correlation: of the two methods' accuracies over episodes; 0 if they did not share them.
        freedom: of the seed variance that the test will use, where it is pooled; seeds - 1 otherwise.

    Returns:
        A difference in the unit of the standard deviations.

    Raises:
        ValueError: fewer than two seeds, from which nothing follows about methods, or fewer than two episodes.
    """
    if seeds < 2 or episodes < 2:
        raise ValueError(f"needs at least two seeds and two episodes, not {seeds} and {episodes}")
    if not all(map(math.isfinite, (seed_sd, episode_sd, correlation))):
        raise ValueError(f"needs finite deviations and correlation, not {seed_sd}, {episode_sd}, {correlation}")
    of_seeds = 2 * seed_sd**2 / seeds
    of_episodes = 2 * (1 - correlation) * episode_sd**2 / episodes
    variance = of_seeds + of_episodes
    if variance == 0:
        return 0.0
    both = variance**2 / (of_seeds**2 / (freedom or seeds - 1) + of_episodes**2 / (episodes - 1))
    return float(special.stdtrit(both, (1 + LEVEL) / 2) + special.stdtrit(both, POWER)) * math.sqrt(variance)
