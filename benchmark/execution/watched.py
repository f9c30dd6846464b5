"""Training and scoring that tell how far they are.

It stands beside the trainer and not in it: what is shown changes no number, so it is no part of the code that numbers
depend on (`benchmark.cells.source`).
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from torch import nn

from benchmark.cells.config import CellConfig
from benchmark.cells.metrics import MetricsLine
from benchmark.cells.now import Now, Phase, Teller
from benchmark.data.dataset import ClassImages
from benchmark.training.trainer import Keeper, Trainer
from methods.method import Method


class WatchedTrainer(Trainer):
    """A trainer that tells where it is about once a second; its steps are those of `Trainer`, bit for bit.

    Only then is the loss read, which makes a GPU wait.
    """

    def __init__(
        self, config: CellConfig, method: Method, train: ClassImages, validation: ClassImages, teller: Teller
    ) -> None:
        super().__init__(config, method, train, validation)
        self._teller = teller
        self._accuracy: float | None = None
        self._loss: float | None = None
        self._began = self._since = (time.monotonic(), 0)  # when, and the step then
        self._told_sum = 0.0  # of the losses, as last told
        self._scoring_pace: float | None = None  # seconds per validation episode

    def decide(self) -> None:
        """As the trainer's own."""
        self._teller.tell(Now(phase="preparing"))
        super().decide()

    def remember(self, last: MetricsLine | None) -> None:
        """Take the accuracy from the last validation of an interrupted training."""
        self._accuracy = last.accuracy if last is not None else None

    def run(self, keeper: Keeper, *, checkpoint_seconds: float = 30.0) -> None:
        """As the trainer's own."""
        self._began = self._since = (time.monotonic(), self.progress.step)
        self._told_sum = self._loss_sum()
        super().run(_Overhearing(keeper, self.remember), checkpoint_seconds=checkpoint_seconds)

    def train_step(self) -> None:
        """As the trainer's own."""
        super().train_step()
        if self._teller.due:
            self._tell("training")

    def _validate(self, keeper: Keeper) -> None:
        count, before = self.config.train.validation_episodes, time.monotonic()
        done = self._tell("validating", to_score=count)
        with counted([self.method], lambda scored: self._tell_scored(done, scored, count)):
            super()._validate(keeper)
        self._scoring_pace = (time.monotonic() - before) / count
        self._since, self._told_sum = (time.monotonic(), self.progress.step), 0.0

    def _loss_sum(self) -> float:
        return float(self._sums["loss"]) if "loss" in self._sums else 0.0

    def _tell(self, phase: Phase, to_score: int = 0) -> Now:
        now, step = time.monotonic(), self.progress.step
        taken, spent = step - self._since[1], now - self._since[0]
        speed = None
        if taken > 0:
            total = self._loss_sum()
            loss, self._told_sum = (total - self._told_sum) / taken, total
            self._loss = loss if math.isfinite(loss) else None  # the trainer itself ends such a training
            speed = taken * self.progress.batch / max(spent, 1e-9)
            self._since = (now, step)
        told = Now(
            phase=phase,
            step=step,
            steps=self.progress.steps,
            loss=self._loss,
            accuracy=self._accuracy,
            episodes_per_second=speed,
            seconds_left=self._seconds_left(now),
            to_score=to_score,
        )
        self._teller.tell(told)
        return told

    def _tell_scored(self, before: Now, scored: int, count: int) -> None:
        if self._teller.due:
            self._teller.tell(before.model_copy(update={"scored": min(scored, count)}))

    def _seconds_left(self, now: float) -> float | None:
        """At the pace since training began or went on, validation included, and for the test as for validation."""
        began, first = self._began
        step, steps = self.progress.step, self.progress.steps
        if step == first:
            return None
        test = self.config.test
        tested = 0 if self.config.tuning else test.episodes * (1 + (test.ensemble or 0))
        return (now - began) / (step - first) * (steps - step) + (self._scoring_pace or 0.0) * tested


class _Overhearing:
    """A keeper that also says which lines it was given."""

    def __init__(self, keeper: Keeper, heard: Callable[[MetricsLine], None]) -> None:
        self._heard = heard
        self.keep_best, self.keep_member, self.keep_last = keeper.keep_best, keeper.keep_member, keeper.keep_last
        self._log = keeper.log

    def log(self, line: MetricsLine) -> None:
        """Pass the line on."""
        self._log(line)
        self._heard(line)


@contextlib.contextmanager
def told_test(methods: Iterable[Method], trained: Now, count: int, teller: Teller) -> Iterator[None]:
    """Tell of the test of these methods on `count` episodes each, while it runs."""
    methods = list(methods)
    total, began = count * len(methods), time.monotonic()
    start = trained.model_copy(
        update={"phase": "testing", "seconds_left": None, "episodes_per_second": None, "to_score": total}
    )
    teller.tell(start)

    def tell(scored: int) -> None:
        if teller.due:
            scored = min(scored, total)
            left = (time.monotonic() - began) / max(scored, 1) * (total - scored)
            teller.tell(start.model_copy(update={"scored": scored, "seconds_left": left}))

    with counted(methods, tell):
        yield


@contextlib.contextmanager
def counted(methods: Iterable[Method], tell: Callable[[int], None]) -> Iterator[None]:
    """Call `tell` with the number of episodes that the methods have been asked about, whenever they were."""
    done = 0

    def asked(module: nn.Module, given: tuple[Any, ...], answer: Any) -> None:
        nonlocal done
        done += getattr(given[0], "tasks", 0) if given else 0
        tell(done)

    handles = [method.register_forward_hook(asked) for method in methods]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
