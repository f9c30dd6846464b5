"""Which rows of a grid tell each other how much trainings differ: the groups that share a prior of the seed variance.

The groups are fixed before any result is looked at: the same data set, ways, shots and kind of task, and the same
class of width. Narrow networks are those of up to 8 channels, which the HyperTransformer paper is about; where a task
has one width only, its rows are one group. Learning rates, normalisation and methods do not divide a group.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from benchmark.cells.config import CellConfig
from benchmark.cells.declared import size
from benchmark.statistics import Prior, Scores, collapsed, fit_prior, mean_squares, paired_difference, prior_of_pair

NARROW = 8
"""Most channels of a narrow network."""

Widths = dict[str, set[int]]
"""The widths that the methods of each task have, by `task_of`."""


@dataclass(frozen=True)
class Group:
    """Rows that share a prior; `text` is for readers."""

    dataset: str
    ways: int
    shots: int
    kind: str
    width: str
    ensemble: int | None = None
    domain: str | None = None

    @property
    def text(self) -> str:
        """`omniglot 20-way 1-shot, up to 8 channels`."""
        parts = [f"{self.dataset} {self.ways}-way {self.shots}-shot", self.kind, self.width]
        parts += [f"ensembles of {self.ensemble}"] if self.ensemble else []
        parts += [f"{self.domain} tasks"] if self.domain else []
        return ", ".join(filter(None, parts))


def task_of(config: CellConfig, *, ensembles_apart: bool = False) -> str:
    """Identifies the test episodes that a cell asks for; the number of checkpoints does not change them."""
    test = config.test.model_dump_json(exclude=set() if ensembles_apart else {"ensemble"})
    return "".join((config.dataset.model_dump_json(), config.episodes.model_dump_json(), test))


def widths_of(configs: Iterable[CellConfig], *, ensembles_apart: bool = False) -> Widths:
    """The widths of networks in each task."""
    found: Widths = {}
    for config in configs:
        width = size(config)
        widths = found.setdefault(task_of(config, ensembles_apart=ensembles_apart), set())
        if width is not None:
            widths.add(width)
    return found


def group_of(config: CellConfig, widths: set[int], ensemble: int | None = None) -> Group:
    """The group of a cell whose task has these widths."""
    shape, channels = config.episodes, size(config)
    if len(widths) < 2:
        width = ""
    elif channels is None:
        width = "methods without a width"
    else:
        width = f"up to {NARROW} channels" if channels <= NARROW else f"more than {NARROW} channels"
    kind = f"{shape.tasks} x {shape.scenario}" if shape.tasks > 1 else ""
    return Group(config.data_name, shape.ways, shape.shots, kind, width, ensemble)


def guessing(config: CellConfig) -> float:
    """Accuracy of guessing at the end of an episode or a sequence."""
    shape = config.episodes
    return 1 / (shape.ways * (shape.tasks if shape.scenario == "class-incremental" else 1))


def fallen(accuracy: NDArray[np.floating], config: CellConfig) -> tuple[bool, ...]:
    """Which of a row's seeds collapsed, from its accuracies (S, E)."""
    return collapsed(accuracy, guessing(config))


def prior_of_means(matrices: Iterable[NDArray[np.floating]]) -> Prior | None:
    """The prior of a group, from the accuracies (S, E) of its rows without a collapsed training."""
    several = [matrix for matrix in matrices if len(matrix) > 1]
    return fit_prior([mean_squares(one).seed_variance for one in several], [len(one) - 1 for one in several])


def prior_of_differences(settings: Iterable[Sequence[Scores]]) -> Prior | None:
    """The prior of paired differences in a group, from the methods of each of its settings, none collapsed.

    The pairs of M methods depend on each other: together they are worth M - 1 differences. A pair that is alone has
    the variances of its two methods.
    """
    alone: tuple[Scores, Scores] | None = None
    variances: list[float] = []
    freedom: list[int] = []
    total = 0.0
    for methods in settings:
        pairs = [
            (a, b)
            for a, b in combinations(methods, 2)
            if a.episodes_sha256 == b.episodes_sha256 and len(set(a.seeds) & set(b.seeds)) > 1
        ]
        if pairs:
            alone = pairs[0]
            shared = [paired_difference(a, b) for a, b in pairs]
            variances += [mean_squares(one).seed_variance for one in shared]
            freedom += [len(one) - 1 for one in shared]
            joined = sum(len(one.seeds) > 1 for one in methods)
            total += (joined - 1) * float(np.mean([len(one) - 1 for one in shared]))
    if alone and len(variances) == 1:
        of_each = [mean_squares(one.accuracy).seed_variance for one in alone]
        return prior_of_pair(of_each[0], of_each[1], freedom[0])
    return fit_prior(variances, freedom, total)
