"""A row: one method in one setting over its seeds, and how two of them are compared."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import sqrt
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmark.cells.declared import is_reference, size, size_axis
from benchmark.cells.result import Result
from benchmark.reporting.published import Match
from benchmark.reporting.record import CellRecord
from benchmark.reporting.seed_variance import Group
from benchmark.statistics import Comparison, Interval, Prior, Scores, compare

Standing = Literal["best", "within a point", "undecided", "worse", "one seed", ""]
"""How a row stands to the best of its setting: shown better than all others (Holm-corrected, 5 %); shown not to be more
than a point behind the best, or, for the one with the highest mean, behind any; neither that nor shown worse; shown
worse; one seed, which says nothing about methods; nothing to compare with."""


@dataclass(frozen=True)
class Row:
    """One method in one setting, over its seeds.

    Attributes:
        label: names the row within its setting: the method and its options on the axes of the grid.
        line: the label without channels: rows of one line in a figure.
        task: identifies the test episodes that were asked for.
        setting: rows with the same setting are compared: same test episodes, same size of the per-task network.
        setting_text: the setting in words.
        axes: the row's value on every axis but the seed.
        cells: the planned cells, by seed.
        seeds: the finished seeds.
        accuracy: (S, E) in [0, 1], one row per finished seed; None if there is nothing to average.
        interval: seeds x episodes, with the seed variance pooled over `group`, or episodes only with one seed; an
            accuracy's interval is cut at 0 and 1.
        episode_interval: over episodes only, as few-shot papers print it.
        bootstrap: crossed, a check on `interval`.
        problems: why the row is not what was planned, one line each.
        comparison: the best row of the setting minus this row; None for the best itself, or if nothing was compared.
        standing: how it compares with the best.
        published: numbers from papers for the same task, method and size, the closest first.
        matrices: (S, E, J, I), accuracy matrices of task sequences, one row per finished seed; None for single tasks.
        ensemble: so many checkpoints of each cell were tested as one method; None for the row of the single ones.
        domain: only the test episodes of this domain are in the row; None for all.
        group: rows with the same group tell each other how much trainings differ.
        prior: what the group says about this row; None if it does not pool.
        difference_prior: the same of paired differences in its setting.
        collapsed: of each finished seed, whether the training collapsed.
        test: what the further test is called that the row is of; empty for the cells' own test.
        as_error: whether its field tells such results as errors.
        rivals: of a method without a width where others have several: all those, compared with it.
    """

    label: str
    line: str
    task: str
    setting: tuple[Any, ...]
    setting_text: str
    axes: dict[str, Any]
    cells: tuple[CellRecord, ...]
    seeds: tuple[int, ...]
    accuracy: NDArray[np.float64] | None = field(repr=False)
    interval: Interval | None
    episode_interval: Interval | None
    bootstrap: Interval | None
    problems: tuple[str, ...]
    comparison: Comparison | None = None
    standing: Standing = ""
    published: tuple[Match, ...] = ()
    matrices: NDArray[np.float64] | None = field(default=None, repr=False)
    ensemble: int | None = None
    domain: str | None = None
    group: Group | None = None
    prior: Prior | None = None
    difference_prior: Prior | None = None
    collapsed: tuple[bool, ...] = ()
    test: str = ""
    as_error: bool = False
    rivals: "tuple[Row, ...]" = field(default=(), repr=False)

    @property
    def bold(self) -> bool:
        """Whether it is shown to be the best, or not to be more than a point behind the best."""
        return self.standing in ("best", "within a point")

    @property
    def seed_means(self) -> dict[int, float]:
        """Mean accuracy of each finished seed."""
        means = [] if self.accuracy is None else self.accuracy.mean(axis=1).tolist()
        return dict(zip(self.seeds, means, strict=False))

    @property
    def own_sd(self) -> float | None:
        """Standard deviation over its seeds; None with fewer than two."""
        return None if self.accuracy is None or len(self.seeds) < 2 else float(self.accuracy.mean(axis=1).std(ddof=1))

    @property
    def used_sd(self) -> float | None:
        """The standard deviation over seeds that its interval uses, pooled with comparable rows."""
        if self.own_sd is None or self.prior is None:
            return self.own_sd
        return sqrt(self.prior.moderate(self.own_sd**2, len(self.seeds) - 1)[0])

    @property
    def pools(self) -> bool:
        """Whether it tells its group how much trainings differ: several seeds, none collapsed, something trained."""
        several = self.accuracy is not None and len(self.seeds) > 1
        return several and not any(self.collapsed) and not self.reference

    @property
    def results(self) -> list[Result]:
        """Records of the finished seeds."""
        return [cell.result for cell in self.cells if cell.state == "done" and cell.result is not None]

    @property
    def complete(self) -> bool:
        """Whether every planned seed has finished."""
        return len(self.seeds) == len(self.cells) and self.accuracy is not None

    @property
    def method(self) -> str:
        """The method's name."""
        return self.cells[0].config.method

    @property
    def name(self) -> str:
        """The method's name, which says so if it is an ensemble."""
        return self.method + (ensemble_suffix(self.ensemble) if self.ensemble else "")

    @property
    def channels(self) -> int | None:
        """The width of the method's network, which for most methods are its channels; None if it has none."""
        return size(self.cells[0].config)

    @property
    def size_text(self) -> str:
        """The width in words, `8 channels`, or nothing."""
        return "" if self.channels is None else f"{self.channels} {size_axis(self.method).replace('_', ' ')}"

    @property
    def reference(self) -> bool:
        """Whether the method sees more than a learner may: shown beside the others and never compared with them."""
        return is_reference(self.method)

    @property
    def scores(self) -> Scores:
        """What comparisons need."""
        test = self.results[0].test
        assert test is not None and self.accuracy is not None
        episodes = test.sha256 if self.domain is None else f"{test.sha256}:{self.domain}"
        return Scores(self.label, self.accuracy, self.seeds, episodes)


def options_of(row: Row) -> str:
    """What a line's name says after the method: `support, learning rate 0.02`, or nothing."""
    return row.line[len(row.method) :].strip(" ()")


def ensemble_suffix(size: int) -> str:
    """What the name of an ensemble ends in."""
    return f" · ensemble of {size}"


def settings(rows: Sequence[Row]) -> dict[tuple[Any, ...], list[Row]]:
    """Rows by setting, in order of appearance; a method without a width with those that have several."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        members = found.setdefault(row.setting, [])
        members.append(row)
    for members in found.values():
        members += next((row.rivals for row in members if row.rivals), ())
    return found


def compare_rows(a: Row, b: Row) -> Comparison:
    """Two rows of a setting on the seeds and episodes they share, the seed variance pooled as the rows say.

    Raises:
        NotComparableError: as `benchmark.statistics.compare`.
    """
    prior = a.difference_prior if a.setting == b.setting and a.pools and b.pools else None
    found = compare(a.scores, b.scores, prior)
    return replace(found, interval=found.interval.within(-1, 1))
