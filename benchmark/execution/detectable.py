"""The smallest difference that a grid's test will find, from how much trainings are known to differ."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from benchmark.cells.config import CellConfig
from benchmark.execution.plan import PlannedCell
from benchmark.reporting.record import CellRecord
from benchmark.reporting.seed_variance import fallen
from benchmark.statistics import fit_prior, minimum_detectable_difference

ENOUGH = 4
"""Degrees of freedom, seeds beyond the first of a setting, from which on the grid's own cells tell enough."""


@dataclass(frozen=True)
class Detectable:
    """What can be told apart, and from what that is known.

    Attributes:
        seeds: the fewest of any setting of the grid.
        episodes: the fewest test episodes.
        difference: as a fraction; None if nothing can be said.
        seed_sd: standard deviation over seeds that it rests on; None if unknown.
        source: where that comes from, or why there is none.
    """

    seeds: int
    episodes: int
    difference: float | None
    seed_sd: float | None
    source: str

    @property
    def sentence(self) -> str:
        """For people."""
        if self.difference is None:
            return f"What difference can be told apart is not known: {self.source}."
        return (
            f"Two methods {self.difference:.1%} apart will be told apart four times in five ({self.seeds} seeds,"
            f" {self.episodes} shared test episodes, paired, 5 % level; standard deviation over seeds"
            f" {self.seed_sd:.1%}, from {self.source})."
        )


def detectable(planned: Sequence[PlannedCell], results: Path) -> Detectable:
    """From the grid's finished cells if they tell, else from what `results` has of the data set.

    Settings and methods may differ in their variance; the answer is for a typical one.
    """
    configs = [one.config for one in planned]
    seeds = min(len(of) for of in _by_setting((config, None) for config in configs).values())
    episodes = min(config.test.episodes for config in configs)
    if seeds < 2:
        return Detectable(seeds, episodes, None, None, "one seed says nothing about methods; give every setting two")
    finished = [
        (one.config, result.test.accuracy)
        for one in planned
        if one.state == "done" and (result := one.store.result()) is not None and result.test is not None
    ]
    names = {config.data_name for config in configs}
    sources = {
        "finished cells of the grid": finished,
        f"earlier results of {' and '.join(sorted(names))}": _earlier(results, names),
    }
    known = {source: variances for source, scores in sources.items() if (variances := _variances(scores))}
    if not known:
        why = "there is no method with two finished seeds on this data set yet"
        return Detectable(seeds, episodes, None, None, why)
    enough = [source for source, variances in known.items() if sum(weight for _, weight in variances) >= ENOUGH]
    source = [*enough, *known][0]
    values, weights = zip(*known[source], strict=True)
    prior = fit_prior(values, weights)
    sd = sqrt(prior.variance if prior else values[0])
    rows = len(_by_setting((config, None) for config in configs))
    freedom = min(seeds - 1 + prior.freedom, rows * (seeds - 1)) if prior else None
    found = minimum_detectable_difference(seeds, episodes, sd, freedom=freedom)
    return Detectable(seeds, episodes, found, sd, source)


def _variances(scores: Sequence[tuple[CellConfig, float]]) -> list[tuple[float, int]]:
    """Variances of the seeds of each setting and their degrees of freedom, of settings without a collapsed training."""
    return [
        (float(np.var(of, ddof=1)), len(of) - 1)
        for setting, of in _means(scores)
        if len(of) > 1 and not any(fallen(np.array(of)[:, None], setting))
    ]


def _by_setting(scores: Iterable[tuple[CellConfig, float | None]]) -> dict[str, list[tuple[CellConfig, float | None]]]:
    found: dict[str, list[tuple[CellConfig, float | None]]] = {}
    for config, score in scores:
        found.setdefault(config.model_copy(update={"seed": 0}).key, []).append((config, score))
    return found


def _means(scores: Sequence[tuple[CellConfig, float]]) -> list[tuple[CellConfig, list[float]]]:
    """Of each setting a configuration and the mean accuracies of its seeds."""
    members = _by_setting(scores).values()
    return [(of[0][0], [score for _, score in of if score is not None]) for of in members]


def _earlier(results: Path, names: set[str]) -> list[tuple[CellConfig, float]]:
    """Test accuracies in every report of the folder, of these data sets; unreadable reports are passed over.

    Reports may share cells, which count once.
    """
    found: dict[str, tuple[CellConfig, float]] = {}
    for path in sorted(results.glob("*/cells.json")):
        try:
            cells = [CellRecord.model_validate(one) for one in json.loads(path.read_text())["cells"]]
        except (OSError, ValueError, KeyError, TypeError, ValidationError):
            continue
        found |= {
            cell.key: (cell.config, cell.result.test.accuracy)
            for cell in cells
            if cell.state == "done" and cell.config.data_name in names and cell.result and cell.result.test
        }
    return list(found.values())
