"""Intervals, paired comparisons and power for accuracies of seeds x shared test episodes.

A result is a matrix (S, E): row s is the method trained with seed s, column e the frozen test episode e, the same
episode in every row and for every method. Accuracies are fractions or percent; whatever goes in comes out.
"""

from benchmark.statistics.comparison import (
    Comparison,
    NotComparableError,
    Ranks,
    Scores,
    compare,
    compare_with_best,
    holm,
    rank_methods,
    sign_flip_p_value,
)
from benchmark.statistics.intervals import (
    LEVEL,
    Interval,
    crossed_bootstrap,
    episode_interval,
    primary_interval,
    two_way_interval,
)
from benchmark.statistics.power import minimum_detectable_difference

__all__ = [
    "LEVEL",
    "Comparison",
    "Interval",
    "NotComparableError",
    "Ranks",
    "Scores",
    "compare",
    "compare_with_best",
    "crossed_bootstrap",
    "episode_interval",
    "holm",
    "minimum_detectable_difference",
    "primary_interval",
    "rank_methods",
    "sign_flip_p_value",
    "two_way_interval",
]
