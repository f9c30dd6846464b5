"""Paired comparisons of methods tested on the same episodes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from benchmark.statistics.intervals import LEVEL, Interval, as_matrix, check_finite, primary_interval
from benchmark.statistics.pooling import Prior

MARGIN = 0.01
"""A point of accuracy, as a fraction: what is shown to be behind by less counts as being as good."""

FEWEST_TASKS = 6
"""Below six tasks a two-sided Wilcoxon signed-rank test cannot reach p < 0.05 (five tasks: at best 0.0625)."""


_ROUNDING = 1e-12
"""Accuracies, fractions or percent, that differ by less differ by rounding only."""


class NotComparableError(ValueError):
    """Two results that cannot be paired; the message says why."""


@dataclass(frozen=True)
class Scores:
    """One method's test accuracies.

    Attributes:
        name: for messages.
        accuracy: (S, E).
        seeds: the S training seeds, in the order of the rows.
        episodes_sha256: identifies the E test episodes.
    """

    name: str
    accuracy: NDArray[np.floating]
    seeds: tuple[int, ...]
    episodes_sha256: str


@dataclass(frozen=True)
class Comparison:
    """How much better `a` is than `b`.

    Attributes:
        a: name of the first method.
        b: name of the second method.
        interval: of the difference a - b, paired; `interval.p_value` is its own test.
        p_permutation: sign-flip test over episodes: evidence about these trained models, whatever the seed does.
        p_adjusted: `interval.p_value` after Holm's correction over the family compared together.
        wins: fraction of seed x episode pairs in which `a` is more accurate, ties counted half.
    """

    a: str
    b: str
    interval: Interval
    p_permutation: float
    p_adjusted: float
    wins: float

    @property
    def differ(self) -> bool:
        """Whether the methods are shown to differ, by the corrected test; one shared seed never shows it."""
        return self.interval.speaks_of_methods and self.p_adjusted <= 1 - LEVEL

    @property
    def b_as_good(self) -> bool:
        """Whether `b` is shown not to be worse than `a` by more than `MARGIN`, accuracies being fractions."""
        return self.interval.speaks_of_methods and self.interval.high <= MARGIN

    @property
    def a_as_good(self) -> bool:
        """Whether `a` is shown not to be worse than `b` by more than `MARGIN`."""
        return self.interval.speaks_of_methods and self.interval.low >= -MARGIN


def compare(a: Scores, b: Scores, prior: Prior | None = None) -> Comparison:
    """Compare two methods on the episodes and seeds they share; `prior` is of differences like theirs.

    Raises:
        NotComparableError: tested on different episodes, or no training seed in common.
        ValueError: an accuracy is not finite.
    """
    if a.episodes_sha256 != b.episodes_sha256:
        raise NotComparableError(
            f"{a.name} and {b.name} were tested on different episodes "
            f"({a.episodes_sha256[:12]} and {b.episodes_sha256[:12]}); test both on the same ones"
        )
    shared = [seed for seed in a.seeds if seed in b.seeds]
    if not shared:
        raise NotComparableError(f"{a.name} and {b.name} have no finished seed in common; run one that both have")
    difference = paired_difference(a, b)
    interval = primary_interval(difference, prior)
    wins = float(((difference > 0) + 0.5 * (difference == 0)).mean())
    p_permutation = sign_flip_p_value(difference.mean(axis=0))
    return Comparison(a.name, b.name, interval, p_permutation, interval.p_value, wins)


def paired_difference(a: Scores, b: Scores) -> NDArray[np.float64]:
    """Accuracies of `a` minus those of `b` (shared seeds, E); no row without a shared seed."""
    shared = [seed for seed in a.seeds if seed in b.seeds]
    first, second = (as_matrix(one.accuracy)[[one.seeds.index(seed) for seed in shared]] for one in (a, b))
    return first - second


def adjusted(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """A family of comparisons with Holm's correction over all of them."""
    p_values = holm([one.interval.p_value for one in comparisons])
    return [replace(one, p_adjusted=p) for one, p in zip(comparisons, p_values, strict=True)]


def sign_flip_p_value(differences: NDArray[np.floating], resamples: int = 9999, seed: int = 0) -> float:
    """Two-sided sign-flip permutation test that paired differences (E,) are symmetric around zero.

    Accuracies of few queries take few values, so the flips are drawn as one binomial count per distinct absolute
    difference: the same distribution as E single flips. Sums that differ by rounding only are ties, and count as being
    as extreme: the tolerance is relative to the sum of all sizes. The smallest p is 1 / (resamples + 1).

    Raises:
        ValueError: a difference is not finite; it says where.
    """
    raw = np.asarray(differences, dtype=np.float64)
    check_finite(raw, "differences")
    largest = float(np.abs(raw).max(initial=0.0))
    if largest < _ROUNDING:
        return 1.0
    # In units of the largest, so that neither the unit nor the number of digits matters.
    values = np.round(raw / largest, 9)
    sizes, counts = np.unique(np.abs(values[values != 0]), return_counts=True)
    positive = np.random.default_rng(seed).binomial(counts, 0.5, size=(resamples, len(counts)))
    sums = np.abs((2 * positive - counts) @ sizes)
    tolerance = 1e-9 * float(counts @ sizes)
    as_extreme = int((sums >= abs(values.sum()) - tolerance).sum())
    return (as_extreme + 1) / (resamples + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979): p values of a family of tests, adjusted, in the order given."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(order))
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(order) - rank) * p_values[index]))
        adjusted[index] = running
    return [float(p) for p in adjusted]


@dataclass(frozen=True)
class Ranks:
    """Methods ranked over independent tasks.

    Attributes:
        mean_rank: method -> mean rank, 1 is best.
        p_adjusted: pair of methods -> Wilcoxon signed-rank p, Holm-corrected over all pairs.
    """

    mean_rank: dict[str, float]
    p_adjusted: dict[tuple[str, str], float]

    @property
    def ordered(self) -> list[str]:
        """The methods, best mean rank first."""
        return sorted(self.mean_rank, key=self.mean_rank.__getitem__)

    @property
    def tied_groups(self) -> list[tuple[str, ...]]:
        """The longest runs of two or more neighbours in rank of which no pair differs: the bars of the diagram."""
        names, groups, end = self.ordered, [], 0
        for start in range(len(names)):
            stop = start + 1
            while stop < len(names) and all(self._tied(names[stop], one) for one in names[start:stop]):
                stop += 1
            if stop > max(end, start + 1):
                groups.append(tuple(names[start:stop]))
                end = stop
        return groups

    def _tied(self, a: str, b: str) -> bool:
        p = self.p_adjusted.get((a, b), self.p_adjusted.get((b, a)))
        return p is not None and p > 1 - LEVEL


def rank_methods(methods: Sequence[str], accuracy: NDArray[np.floating]) -> Ranks:
    """Rank M methods over T independent tasks from mean accuracies (T, M), as for a critical-difference diagram.

    Pairs are tested with Wilcoxon's signed-rank test and Holm's correction rather than by mean ranks, which depend
    on the other methods in the pool (Benavoli, Corani & Mangili 2016). 5-way 1-shot and 5-shot of one data set are
    not independent tasks.

    Raises:
        NotComparableError: fewer than six tasks, where the test cannot find anything.
    """
    from scipy import stats  # takes a second to import, and few grids rank

    table = np.asarray(accuracy, dtype=np.float64)
    check_finite(table, "mean accuracies (tasks, methods)")
    if len(table) < FEWEST_TASKS:
        raise NotComparableError(
            f"ranks over {len(table)} independent task(s) prove nothing: "
            f"a two-sided Wilcoxon test cannot reach p < 0.05 below {FEWEST_TASKS}"
        )
    mean_ranks = stats.rankdata(-table, axis=1).mean(axis=0)
    pairs = list(combinations(range(len(methods)), 2))
    adjusted = holm([float(stats.wilcoxon(table[:, i], table[:, j]).pvalue) for i, j in pairs])
    return Ranks(
        dict(zip(methods, map(float, mean_ranks), strict=True)),
        {(methods[i], methods[j]): p for (i, j), p in zip(pairs, adjusted, strict=True)},
    )
