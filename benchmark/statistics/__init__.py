"""Intervals, paired comparisons and power for accuracies of seeds x shared test episodes.

A result is a matrix (S, E): row s is the method trained with seed s, column e the frozen test episode e, the same
episode in every row and for every method. Accuracies are fractions or percent; whatever goes in comes out.
"""

from benchmark.statistics.collapse import collapsed
from benchmark.statistics.comparison import (
    MARGIN,
    Comparison,
    NotComparableError,
    Ranks,
    Scores,
    adjusted,
    compare,
    holm,
    paired_difference,
    rank_methods,
    sign_flip_p_value,
)
from benchmark.statistics.intervals import (
    LEVEL,
    Interval,
    crossed_bootstrap,
    episode_interval,
    mean_squares,
    primary_interval,
    two_way_interval,
)
from benchmark.statistics.pooling import Prior, fit_prior, prior_of_pair
from benchmark.statistics.power import minimum_detectable_difference

__all__ = [
    "LEVEL",
    "MARGIN",
    "Comparison",
    "Interval",
    "NotComparableError",
    "Prior",
    "Ranks",
    "Scores",
    "adjusted",
    "collapsed",
    "compare",
    "crossed_bootstrap",
    "episode_interval",
    "fit_prior",
    "holm",
    "mean_squares",
    "minimum_detectable_difference",
    "paired_difference",
    "primary_interval",
    "prior_of_pair",
    "rank_methods",
    "sign_flip_p_value",
    "two_way_interval",
]
