"""Simulated coverage: how often nominal 95 % intervals hold the truth, with few seeds and every kind of trouble.

A grid of cells is drawn with known means, four methods to a setting, all tested on the same episodes; intervals for
the mean of each cell and for the paired difference of every two methods of a setting are computed as a report does,
with the project's own functions and with the alternatives it was chosen among. The truth of a cell is the mean of
trainings that do not collapse: no interval from two trainings can hold what one training in ten would subtract.

`benchmark.statistics.coverage` makes the table and the figure. Random numbers come from the seed and the names of the
case, so that each case can be repeated alone, and a new seed is a fresh test.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmark.statistics.collapse import collapsed
from benchmark.statistics.intervals import Interval, MeanSquares, interval_of, mean_squares
from benchmark.statistics.pooling import Prior, fit_prior, prior_of_pair

EPISODES = 600
METHODS = 4
LEVEL, CHANCE = 0.8, 0.05
"""Mean accuracy of a cell that has not collapsed, and of guessing in a 20-way task."""

SEED_SD, SHARED_SD, OWN_SD, RESIDUAL_SD = 0.012, 0.035, 0.025, 0.04
"""Standard deviations like those of the committed Omniglot results: of a training's mean, of what makes an episode hard
for all methods, of what makes it hard for one, and of the rest."""

SIZES, SEEDS = (2, 3, 4, 8, 24), (2, 3, 5)

Effects = Callable[[np.random.Generator, int, int], NDArray[np.float64]]


def _unequal(rng: np.random.Generator, cells: int, seeds: int) -> NDArray[np.float64]:
    """Deviations of cells spread log-normally, a factor of 1.8 up or down at one standard deviation."""
    return np.asarray(SEED_SD * np.exp(rng.normal(0, 0.6, (cells, 1))) * rng.normal(size=(cells, seeds)))


def _two_kinds(rng: np.random.Generator, cells: int, seeds: int) -> NDArray[np.float64]:
    """One method in four varies four times as much as the others, wherever it is: against the model of the prior."""
    wild = np.where(np.arange(cells) % METHODS == METHODS - 1, 2.0, 0.5)[:, None]
    return np.asarray(SEED_SD * wild * rng.normal(size=(cells, seeds)))


def _collapsing(effects: Effects) -> Effects:
    """The same, but one training in ten ends within ten points of guessing."""

    def draw(rng: np.random.Generator, cells: int, seeds: int) -> NDArray[np.float64]:
        lost = LEVEL - CHANCE - rng.uniform(0, 0.1, (cells, seeds))
        return np.asarray(effects(rng, cells, seeds) - lost * (rng.random((cells, seeds)) < 0.1))

    return draw


def _equal(rng: np.random.Generator, cells: int, seeds: int) -> NDArray[np.float64]:
    return np.asarray(SEED_SD * rng.normal(size=(cells, seeds)))


SCENARIOS: dict[str, Effects] = {
    "equal": _equal,
    "small": lambda rng, cells, seeds: _equal(rng, cells, seeds) / 8,
    "unequal": _unequal,
    "two kinds": _two_kinds,
    "heavy tails": lambda rng, cells, seeds: SEED_SD / np.sqrt(3) * rng.standard_t(3, size=(cells, seeds)),
    "collapsing": _collapsing(_equal),
    "unequal, collapsing": _collapsing(_unequal),
}

TROUBLES = {
    "equal": "all cells have a seed deviation of 1.2 points, normal",
    "small": "as equal, with 0.15 points: the episodes are all that counts",
    "unequal": "deviations of cells are log-normal, sd of the logarithm 0.6",
    "two kinds": "one method in four has 2.4 points, the others 0.6",
    "heavy tails": "seeds follow Student's t with 3 degrees of freedom, sd 1.2 points",
    "collapsing": "as equal, and one training in ten ends within ten points of guessing",
    "unequal, collapsing": "both",
}


@dataclass(frozen=True)
class Group:
    """What every rule is fitted to: the variances of seed means that enter the prior.

    Attributes:
        variances: of the cells, or the pairs, without a collapsed training.
        freedom: seeds - 1.
        total: degrees of freedom of all of them together.
        alone: of a difference that is the only one, the variances of its two methods.
    """

    variances: Sequence[float]
    freedom: int
    total: float
    alone: tuple[float, float] | None = None


Rule = Callable[[Group], Callable[[MeanSquares], Interval]]


def _own(_: Group) -> Callable[[MeanSquares], Interval]:
    """Two-way interval of the cell alone."""
    return lambda squares: interval_of(squares, squares.seed_variance, squares.seeds - 1, "seeds x episodes")


def _from_prior(moderate: Callable[[Prior, float, float], tuple[float, float]]) -> Rule:
    def rule(group: Group) -> Callable[[MeanSquares], Interval]:
        prior = fit_prior(group.variances, [group.freedom] * len(group.variances), group.total)
        if group.alone:
            prior = prior_of_pair(*group.alone, group.freedom)
        if prior is None:
            return _own(group)
        return lambda squares: interval_of(
            squares, *moderate(prior, squares.seed_variance, squares.seeds - 1.0), "pooled seeds x episodes"
        )

    return rule


def _smyth(prior: Prior, variance: float, freedom: float) -> tuple[float, float]:
    weight = min(prior.freedom, 1e6)
    posterior = (weight * prior.variance + freedom * variance) / (weight + freedom)
    return posterior, min(freedom + prior.freedom, max(prior.total, freedom))


def _common(group: Group, variance: float) -> Callable[[MeanSquares], Interval]:
    return lambda squares: interval_of(squares, variance, max(group.total, 1.0), "pooled seeds x episodes")


def _mixed_model(group: Group) -> Callable[[MeanSquares], Interval]:
    """One variance for all, by REML: in a balanced design the mean of the cells' own."""
    return _common(group, float(np.mean(group.variances))) if len(group.variances) else _own(group)


def _robust(group: Group) -> Callable[[MeanSquares], Interval]:
    """One variance for all, from the median of the cells' own over that of a chi-square variable."""
    if not len(group.variances):
        return _own(group)
    scale = float(stats.chi2.median(group.freedom)) / group.freedom
    return _common(group, float(np.median(group.variances)) / scale)


KEPT, BEFORE = "larger of own and pooled", "own variance"

RULES: dict[str, Rule] = {
    BEFORE: _own,
    KEPT: _from_prior(Prior.moderate),
    "posterior mean (Smyth)": _from_prior(_smyth),
    "mixed model (REML)": _mixed_model,
    "robust scale": _robust,
}


@dataclass(frozen=True)
class Coverage:
    """What one rule did in one case.

    Attributes:
        quantity: `mean` of a cell or `difference` of two methods.
        rule: how the seed variance was found.
        cells: of the grid.
        seeds: of each cell.
        scenario: how trainings vary.
        coverage: fraction of intervals that hold the truth.
        without_collapse: the same, of cells and pairs without a collapsed training.
        narrowest_tenth: the same, of the narrowest tenth of the intervals.
        median_half_width: as a fraction.
        intervals: how many there were.
    """

    quantity: str
    rule: str
    cells: int
    seeds: int
    scenario: str
    coverage: float
    without_collapse: float
    narrowest_tenth: float
    median_half_width: float
    intervals: int


def simulate(scenario: str, cells: int, seeds: int, repetitions: int, seed: int) -> list[Coverage]:
    """Coverage of every rule over repetitions of a grid of cells, for means and for differences."""
    rng = np.random.default_rng([seed, zlib.crc32(scenario.encode()), cells, seeds])
    found: dict[tuple[str, str], list[tuple[bool, bool, float]]] = {}
    for _ in range(repetitions):
        accuracy = _grid(rng, SCENARIOS[scenario], cells, seeds)
        fallen = [any(collapsed(one, CHANCE)) for one in accuracy]
        pairs = [(a, b) for a, b in combinations(range(cells), 2) if a // METHODS == b // METHODS]
        squares = [mean_squares(one) for one in accuracy]
        own = [one.seed_variance for one in squares]
        _judge(found, "mean", squares, fallen, LEVEL, _group(own, fallen, seeds - 1))
        standing = [sum(not one for one in fallen[at : at + METHODS]) for at in range(0, cells, METHODS)]
        total = sum(max(count - 1, 0) for count in standing) * (seeds - 1)
        squares = [mean_squares(accuracy[a] - accuracy[b]) for a, b in pairs]
        down = [fallen[a] or fallen[b] for a, b in pairs]
        group = _group([one.seed_variance for one in squares], down, seeds - 1, total)
        if len(group.variances) == 1:
            a, b = pairs[down.index(False)]
            group = replace(group, alone=(own[a], own[b]))
        _judge(found, "difference", squares, down, 0.0, group)
    return [_summary(quantity, rule, cells, seeds, scenario, hits) for (quantity, rule), hits in found.items()]


def _grid(rng: np.random.Generator, effects: Effects, cells: int, seeds: int) -> NDArray[np.float64]:
    """Accuracies (cells, S, E)."""
    hard = rng.normal(0, SHARED_SD, EPISODES) + rng.normal(0, OWN_SD, (cells, 1, EPISODES))
    noise = rng.normal(0, RESIDUAL_SD, (cells, seeds, EPISODES))
    return np.asarray(LEVEL + effects(rng, cells, seeds)[:, :, None] + hard + noise)


def _group(variances: Sequence[float], fallen: Sequence[bool], freedom: int, total: float | None = None) -> Group:
    clean = [one for one, down in zip(variances, fallen, strict=True) if not down]
    return Group(clean, freedom, float(len(clean) * freedom) if total is None else total)


def _judge(
    found: dict[tuple[str, str], list[tuple[bool, bool, float]]],
    quantity: str,
    squares: Sequence[MeanSquares],
    fallen: Sequence[bool],
    truth: float,
    group: Group,
) -> None:
    """Add (covered, with a collapse, half-width) of each interval of each rule."""
    for name, rule in RULES.items():
        fitted, alone = rule(group), _own(group)
        for one, down in zip(squares, fallen, strict=True):
            interval = (alone if down else fitted)(one)
            hit = interval.low <= truth <= interval.high
            found.setdefault((quantity, name), []).append((hit, down, interval.half_width))


def _summary(
    quantity: str, rule: str, cells: int, seeds: int, scenario: str, hits: Sequence[tuple[bool, bool, float]]
) -> Coverage:
    covered, down, width = (np.array(column) for column in zip(*hits, strict=True))
    narrow = width <= np.quantile(width, 0.1)
    return Coverage(
        quantity,
        rule,
        cells,
        seeds,
        scenario,
        float(covered.mean()),
        float(covered[~down].mean()),
        float(covered[narrow].mean()),
        float(np.median(width)),
        len(hits),
    )
