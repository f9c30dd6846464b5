"""Training a method on episodes, interruptible at any step.

The state after step s is a function of the configuration alone: episodes are numbered, the learning rate depends on
the step, and the random numbers a method draws (dropout) come from torch's generator, whose state is saved too.
"""

import copy
import math
import statistics
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from benchmark.cells import metrics
from benchmark.cells.config import CellConfig
from benchmark.data.dataset import ClassImages
from benchmark.episodes.draw import stream
from benchmark.episodes.exam import examine
from benchmark.episodes.sampling import sample
from benchmark.machine.clock import clock
from benchmark.scoring.scoring import accuracies
from benchmark.scoring.sound import check_weights
from benchmark.scoring.swap_test import swap_test
from benchmark.training import batch_size
from benchmark.training.optimizer import build_optimizer, learning_rate
from methods.compiled import library
from methods.method import Method

CHECK_EVERY = 25
"""Steps between looks at the loss: reading it makes a GPU wait, so not at every step."""

GOLDEN_RATIO = 0.6180339887498949
"""Its multiples, modulo 1, fill the interval evenly at any time."""

TRIAL_STEPS = 1_000_000
"""Length of the imagined training from which steps are tried."""

SWAP_EPISODES = 32
"""Validation episodes of the swap test: each is classified up to three times."""

DIAGNOSTIC_EPISODES = 16
"""Validation episodes that `Method.diagnostics` sees."""


class DivergedError(Exception):
    """The loss stopped being a number."""


@dataclass
class Progress:
    """How far training has come.

    `batch` is how many episodes make a step, `steps` how many steps there will be: 0 as long as they are not decided.
    `seconds` were spent on training steps as `clock` counts them; `wall_seconds` include validation. `members` are the
    checkpoints with the best validation accuracies as (accuracy, step), best first, if `test.ensemble` asks for them.
    `kernels` are the arithmetics trained with so far, see `benchmark.training.kernel`: one, unless somebody changed it.
    """

    steps: int
    batch: int
    step: int = 0
    seconds: float = 0.0
    wall_seconds: float = 0.0
    best_step: int = 0
    best_accuracy: float = -1.0
    members: list[tuple[float, int]] = field(default_factory=list)
    kernels: list[str] = field(default_factory=list)


class Keeper(Protocol):
    """Where training leaves its traces: a cell's folder."""

    def log(self, line: metrics.MetricsLine) -> None:
        """Append one line of metrics."""

    def keep_best(self, step: int, weights: dict[str, Any]) -> None:
        """Keep the weights chosen on validation, which are those after a step."""

    def keep_member(self, step: int, weights: dict[str, Any]) -> None:
        """Keep the weights after a step for the ensemble."""

    def keep_last(self, state: dict[str, Any]) -> None:
        """Keep the state to continue from, and of the ensemble only the members that it lists."""


class Trainer:
    """One method on its way through one budget of steps, from the start or from a saved state."""

    def __init__(self, config: CellConfig, method: Method, train: ClassImages, validation: ClassImages) -> None:
        self.config, self.method = config, method
        self.train_images, self.validation_images = train, validation
        self.device = train.device
        self.optimizer = build_optimizer(method, config.train)
        batch = config.train.batch
        self.progress = Progress(steps=config.train.steps or 0, batch=0 if batch == "auto" else batch)
        self._stream = stream("train", config.seed)
        self._sums: dict[str, Tensor] = {}  # of the losses since the last validation
        self._marks = (clock(self.device), time.monotonic())

    @property
    def decided(self) -> bool:
        """Whether it is known how many episodes make a step, and how many steps there will be."""
        return self.progress.batch > 0 and self.progress.steps > 0

    def decide(self) -> None:
        """Find out what the configuration leaves to the machine: the batch that fits, the steps there is time for.

        Raises:
            UserError: one episode alone needs more memory than `train.memory_gib`.
        """
        if self.progress.batch == 0:
            self._fit()
        if self.progress.steps == 0:
            self.calibrate()

    def _fit(self) -> None:
        """Choose the largest batch whose training steps, tried on a throw-away copy, stay within the memory."""
        trial = self._trial()

        def try_steps(batch: int) -> None:
            trial.progress.batch = batch
            for share in (0.0, 0.5, 1.0):  # pre-training, annealing or a teacher may need more at some time
                trial.progress.step = int(share * (TRIAL_STEPS - 1))
                trial.train_step()

        with torch.random.fork_rng():
            self.progress.batch = batch_size.largest_batch(try_steps, self.config.train.memory_gib, self.device)

    def _trial(self) -> "Trainer":
        """A throw-away copy, whose steps may be those of any stage of training."""
        trial = Trainer(self.config, copy.deepcopy(self.method), self.train_images, self.validation_images)
        trial.progress = Progress(steps=TRIAL_STEPS, batch=self.progress.batch)
        return trial

    def calibrate(self, share: float = 0.02) -> None:
        """Turn `train.minutes` into a number of steps: time steps of a throw-away copy for `share` of the budget.

        They are spread over training: with pre-training, warm-up or annealing, late steps cost more than early ones.
        """
        assert self.config.train.minutes is not None
        budget = self.config.train.minutes * 60
        trial = self._trial()
        trial.progress.step = TRIAL_STEPS - 1
        times: list[float] = []
        with torch.random.fork_rng():
            trial.train_step()  # the first step pays for memory and the choice of kernels
            while len(times) < 3 or sum(times) < share * budget:
                trial.progress.step = int(TRIAL_STEPS * (len(times) * GOLDEN_RATIO % 1))  # even, however many
                before = clock(self.device)
                trial.train_step()
                times.append(clock(self.device) - before)
        self.progress.steps = max(1, round(budget / statistics.mean(times)))

    def train_step(self) -> None:
        """One optimiser step on the next `batch` episodes."""
        settings, step, batch = self.config.train, self.progress.step, self.progress.batch
        calls = library.calls()
        self.method.train()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(settings, step, self.progress.steps)
        shape = self.config.train_episodes
        episode = sample(self.train_images, shape, self._stream, step * batch, batch, train=True)
        loss = self.method.loss(episode, step / self.progress.steps)
        self.optimizer.zero_grad(set_to_none=True)
        loss.total.backward()
        if settings.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.method.parameters(), settings.clip)
        if settings.clip_value is not None:
            torch.nn.utils.clip_grad_value_(self.method.parameters(), settings.clip_value)
        self.optimizer.step()
        for name, value in {"loss": loss.total, **loss.parts}.items():
            self._sums[name] = self._sums.get(name, 0) + value.detach()
        self.progress.step += 1
        taken = library.taken(calls)
        if taken not in self.progress.kernels[-1:]:
            self.progress.kernels.append(taken)
        if self.progress.step % CHECK_EVERY == 0:
            self._check_finite()

    def run(self, keeper: Keeper, *, checkpoint_seconds: float = 30.0) -> None:
        """Train to the end of the budget.

        Raises:
            DivergedError: a loss was not finite.
            UnsoundError: weights or validation logits were not finite, or the logits of another shape.
        """
        progress = self.progress
        self._marks = (clock(self.device), time.monotonic())
        saved = time.monotonic()
        while progress.step < progress.steps:
            self.train_step()
            at_validation = progress.step % self.config.train.validate_every == 0 or progress.step == progress.steps
            if at_validation:
                self._validate(keeper)
            if at_validation or time.monotonic() - saved > checkpoint_seconds:
                self._count_time()
                check_weights(self.method)
                keeper.keep_last(self.state())
                saved = time.monotonic()

    def _validate(self, keeper: Keeper) -> None:
        self._check_finite()
        check_weights(self.method)
        self._count_time()
        progress, settings = self.progress, self.config.train
        steps_since = progress.step % settings.validate_every or settings.validate_every
        record = {f"train/{name}": float(total) / steps_since for name, total in self._sums.items()}
        self._sums = {}
        scores = accuracies(
            self.method,
            self.validation_images,
            self.config.test_episodes,
            stream("validation", 0),  # the same episodes for every method and seed
            settings.validation_episodes,
        )
        accuracy = float(scores.mean())
        if accuracy > progress.best_accuracy:
            progress.best_accuracy, progress.best_step = accuracy, progress.step
            keeper.keep_best(progress.step, self.method.state_dict())
        if self._joins_ensemble(accuracy):
            keeper.keep_member(progress.step, self.method.state_dict())
        record |= self._diagnostics() | self._swap_test()
        # Validation costs wall time, not training time.
        self._marks = (clock(self.device), self._marks[1])
        record |= {metrics.VALIDATION_ACCURACY: accuracy, metrics.BEST_VALIDATION_ACCURACY: progress.best_accuracy}
        record |= {metrics.TRAIN_SECONDS: progress.seconds, metrics.LEARNING_RATE: self.optimizer.param_groups[0]["lr"]}
        # What a method says about itself may be no number; it is left out, as no reader could use it.
        finite = {name: value for name, value in record.items() if math.isfinite(value)}
        keeper.log(metrics.MetricsLine(progress.step, finite))

    def _joins_ensemble(self, accuracy: float) -> bool:
        """Whether this step is among the best so far; of equally good ones the earlier come first, as for the best."""
        size = self.config.test.ensemble or 0
        new = (accuracy, self.progress.step)
        ranked = sorted([*self.progress.members, new], key=lambda member: (-member[0], member[1]))
        self.progress.members = ranked[:size]
        return new in self.progress.members

    @torch.inference_mode()
    def _diagnostics(self) -> dict[str, float]:
        """What the method says about itself on the first validation episodes, in `eval` mode."""
        shape, validation = self.config.test_episodes, stream("validation", 0)
        some = sample(self.validation_images, shape, validation, 0, DIAGNOSTIC_EPISODES)
        return self.method.diagnostics(examine(some, validation, 0).episode)

    def _swap_test(self) -> dict[str, float]:
        """What exchanged kernels cost on the first validation episodes, for methods that have any."""
        shape, validation = self.config.test_episodes, stream("validation", 0)
        found = swap_test(self.method, self.validation_images, shape, validation, SWAP_EPISODES)
        return {} if found is None else found.as_metrics()

    def _count_time(self) -> None:
        now = (clock(self.device), time.monotonic())
        self.progress.seconds += now[0] - self._marks[0]
        self.progress.wall_seconds += now[1] - self._marks[1]
        self._marks = now

    def _check_finite(self) -> None:
        total = self._sums.get("loss")
        if total is not None and not math.isfinite(float(total)):
            raise DivergedError(
                f"the training loss is not finite at step {self.progress.step}"
                f" (learning rate {self.optimizer.param_groups[0]['lr']:g});"
                " a lower train.learning_rate or train.clip may help"
            )

    def state(self) -> dict[str, Any]:
        """Everything training needs to go on as if it had never stopped."""
        cuda = torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None
        return {
            "method": self.method.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": asdict(self.progress),
            "sums": self._sums,
            "random": torch.get_rng_state(),
            "random_cuda": cuda,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a saved state."""
        self.method.load_state_dict(state["method"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.progress = Progress(**state["progress"])
        self._sums = dict(state["sums"])
        torch.set_rng_state(state["random"].cpu())
        if state["random_cuda"] is not None:
            torch.cuda.set_rng_state(state["random_cuda"].cpu(), self.device)
