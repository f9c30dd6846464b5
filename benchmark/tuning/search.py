"""The trials of one method."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.cells.config import CellConfig, TuneConfig
from benchmark.cells.result import Result
from benchmark.tuning.space import Point, distribution, own_point, rounded, search_space, trial_cell
from methods.search import Space

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

BATCH = 4
"""Trials proposed at once, whatever the number of workers: so that proposals do not depend on it."""


@dataclass
class Trial:
    """One setting and what became of it; `accuracy` is the best on validation, None until it ends or if it failed."""

    number: int
    point: Point
    config: CellConfig
    accuracy: float | None = None
    failure: str = ""

    @property
    def ended(self) -> bool:
        """Whether it has its accuracy, or never will."""
        return self.accuracy is not None or bool(self.failure)


class Search:
    """Proposes settings of a method: first the grid's own, then by the tree-structured Parzen estimator.

    TPE (Bergstra et al., NeurIPS 2011) as in optuna: a third of the trials at random, then where the good ones lie
    denser than the bad. A failed trial counts as one with no correct answer. Proposals are a function of the seed and
    of the outcomes so far, so an interrupted search asks the same questions again and finds them answered on disk.
    """

    def __init__(self, base: CellConfig, held: "Mapping[str, Any]", settings: TuneConfig) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.method, self.base, self._settings = base.method, base, settings
        self.space: dict[str, Space] = search_space(base, held)
        self.trials: list[Trial] = []
        sampler = optuna.samplers.TPESampler(seed=settings.seed, n_startup_trials=max(BATCH, settings.trials // 3))
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._study.enqueue_trial(own_point(base, self.space))

    def propose(self) -> list[Trial]:
        """The next trials; none while some are out, or when all have been made."""
        if not all(trial.ended for trial in self.trials):
            return []
        start = len(self.trials)
        distributions = {axis: distribution(space) for axis, space in self.space.items()}
        for number in range(start, min(start + BATCH, self._settings.trials)):
            asked = self._study.ask(distributions)
            point = rounded(asked.params) if number else own_point(self.base, self.space)
            self.trials.append(Trial(number, point, trial_cell(self.base, point, self._settings)))
        return self.trials[start:]

    def tell(self, trial: Trial, result: Result) -> None:
        """Note the outcome of a trial."""
        if result.failure is not None:
            trial.failure = f"{result.failure.kind}: {result.failure.reason}"
        else:
            assert result.training is not None
            trial.accuracy = result.training.best_validation_accuracy
        self._study.tell(trial.number, trial.accuracy or 0.0)

    @property
    def complete(self) -> bool:
        """Whether every trial has ended."""
        return len(self.trials) == self._settings.trials and all(trial.ended for trial in self.trials)

    @property
    def best(self) -> Trial | None:
        """The trial with the best validation accuracy, the first of equals; None if all failed."""
        return max(self.finished, key=lambda trial: trial.accuracy or 0.0, default=None)

    @property
    def finished(self) -> list[Trial]:
        """Trials that have an accuracy."""
        return [trial for trial in self.trials if trial.accuracy is not None]
