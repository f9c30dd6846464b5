"""The typed configuration of one cell: one method, one setting, one seed.

`benchmark.grid.resolve` reads a YAML grid and resolves it into these. Nothing here imports torch.
"""

import hashlib
import json
import re
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    PlainValidator,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from benchmark.cells.names import checked_name
from benchmark.data.configs import DatasetConfig, TestDataConfig
from benchmark.machine.frozen import Frozen, Grown

LONGEST = 10**9
"""Training steps; more is a slip."""

LARGEST_SEED = 2**63 - 1

LARGEST_BATCH = 65_536


class EpisodesConfig(Frozen):
    """The tasks: `ways` classes, and per class `shots` labelled, `unlabelled` and `queries` images.

    `distractors` more classes have nothing but `unlabelled` images each (Ren et al., ICLR 2018).

    With more than one of `tasks` every episode is a sequence of them, of different classes, for continual methods.
    `scenario` says which classes compete for a query: those of all tasks so far or those of its own. In "mini-batch"
    there is one task only, which arrives in so many parts of `shots` and `unlabelled` images per class.
    """

    ways: int = Field(5, ge=2, le=10_000)
    shots: int = Field(1, ge=1, le=10_000)
    queries: int = Field(5, ge=1, le=10_000)
    unlabelled: int = Field(0, ge=0, le=10_000)
    distractors: int = Field(0, ge=0, le=10_000)
    tasks: int = Field(1, ge=1, le=10_000)
    scenario: Literal["class-incremental", "task-incremental", "mini-batch"] = "class-incremental"

    @property
    def whole(self) -> "EpisodesConfig":
        """The shape of one ordinary episode with all images of a sequence."""
        parts = self.tasks if self.scenario == "mini-batch" else 1
        sizes = {"ways": self.ways * (self.tasks // parts), "shots": self.shots * parts}
        return self.model_copy(update={**sizes, "unlabelled": self.unlabelled * parts, "tasks": 1})


def _number_or_auto(value: Any) -> Any:
    if value == "auto":
        return value
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise PydanticCustomError("number_or_auto", "should be a whole number of at least 1, or auto")
    if value > LARGEST_BATCH:
        raise PydanticCustomError("number_or_auto", f"should be at most {LARGEST_BATCH:,}")
    return value


class TrainConfig(Frozen):
    """Training, on episodes drawn from the training split.

    `steps` optimiser steps of `batch` episodes each, or as many as fit into `minutes`: the cell times a few steps
    on throw-away weights first, fixes the number of steps from that and records it, so a result can be repeated
    exactly with `steps`. Minutes are processor minutes on a CPU (a busy machine takes longer, but trains as much)
    and wall-clock minutes on a GPU; validation is not counted.

    With `batch: auto` the cell takes as many episodes per step as fit into `memory_gib`, as
    `benchmark.training.batch_size` finds out before training starts; the number is fixed from then on, and is
    `episodes` / `steps` in the record.

    The learning rate rises linearly over the first `warmup_steps`, then follows the `schedule`.

    `clip` bounds the norm of all gradients together, `clip_value` the size of each number in them.

    With `shared_from`, the key of a finished run (the end of its folder's name), a HyperTransformer starts with the
    shared feature extractor of that run at its best validation accuracy.
    """

    batch: Annotated[int | Literal["auto"], PlainValidator(_number_or_auto)] = 16
    memory_gib: float = Field(8.0, gt=0, le=100_000)
    steps: int | None = Field(None, ge=1, le=LONGEST)
    minutes: float | None = Field(None, gt=0, le=1_000_000)
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    momentum: float = Field(0.0, ge=0, lt=1)
    schedule: Literal["constant", "cosine", "exponential"] = "cosine"
    decay_rate: float = Field(0.95, gt=0, le=1)
    decay_steps: int = Field(100_000, ge=1, le=LONGEST)
    warmup_steps: int = Field(0, ge=0, le=LONGEST)
    clip: float | None = Field(None, gt=0)
    clip_value: float | None = Field(None, gt=0)
    shared_from: str | None = None
    validate_every: int = Field(500, ge=1, le=LONGEST)
    validation_episodes: int = Field(200, ge=2, le=1_000_000)
    ways: int | None = Field(None, ge=2, le=10_000)
    shots: int | None = Field(None, ge=1, le=10_000)
    queries: int | None = Field(None, ge=1, le=10_000)

    @model_validator(mode="after")
    def _one_budget(self) -> "TrainConfig":
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("give exactly one of 'steps' and 'minutes'")
        return self

    @model_validator(mode="after")
    def _warmup_ends(self) -> "TrainConfig":
        if self.steps is not None and self.warmup_steps >= self.steps:
            raise ValueError(f"warmup_steps ({self.warmup_steps}) should be fewer than steps ({self.steps})")
        return self

    @field_validator("shared_from")
    @classmethod
    def _key(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch("[0-9a-f]{12}", value):
            raise ValueError(f"give the key of a run, the 12 hex digits at the end of its folder's name, not {value!r}")
        return value


class TestConfig(Frozen):
    """The frozen test set: `episodes` tasks drawn with `seed`, `queries` images per class (default: as in training).

    Sequences are scored at the length they were trained at, and then followed up to `tasks`, if that is more.

    With `ensemble`, that many checkpoints with the best validation accuracies are kept and also tested as one method,
    by the mean of their logits, in a row of its own (see `benchmark.scoring.ensemble`).
    """

    __test__ = False  # not a pytest class

    episodes: int = Field(600, ge=2, le=1_000_000)
    queries: int | None = Field(None, ge=1, le=10_000)
    tasks: int | None = Field(None, ge=1, le=10_000)
    seed: int = Field(2022, ge=0, le=LARGEST_SEED)
    ensemble: int | None = Field(None, ge=1, le=1_000)


class FurtherTest(Frozen):
    """One more frozen test of a finished training, with everything that determines its episodes written out.

    `benchmark.cells.further` makes it from what a grid says. `name` is what tables call it. `content` is of a user's
    own pictures, as in `CellConfig`. `step` is None for the weights that the finished training chose on validation,
    else those after so many steps are tested (`htbench evaluate`).
    """

    name: str = Field(min_length=1, max_length=200)
    dataset: Annotated[TestDataConfig, Field(discriminator="name")]
    episodes: EpisodesConfig
    count: int = Field(ge=2, le=1_000_000)
    seed: int = Field(ge=0, le=LARGEST_SEED)
    content: str | None = None
    step: int | None = Field(None, ge=0, le=LONGEST)

    @property
    def key(self) -> str:
        """Twelve hex digits that identify the test, whatever it is called: a hash of what its episodes depend on."""
        settings = self.model_dump(
            mode="json",
            exclude_defaults=True,
            exclude={
                "name": True,
                "dataset": {"path"} if self.content is not None else set(),
                "episodes": {"scenario"} if self.episodes.tasks == 1 else set(),
            },
        )
        return hashlib.sha256(json.dumps(settings, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:12]


class TuneConfig(Frozen):
    """Equal tuning: `trials` for every method, each trained for `minutes` or `steps` (default: as the grid says)."""

    trials: int = Field(12, ge=1, le=10_000)
    minutes: float | None = Field(None, gt=0, le=1_000_000)
    steps: int | None = Field(None, ge=1, le=LONGEST)
    seed: int = Field(0, ge=0, le=2**32 - 1)

    @model_validator(mode="after")
    def _one_budget(self) -> "TuneConfig":
        if self.steps is not None and self.minutes is not None:
            raise ValueError("give at most one of 'steps' and 'minutes'")
        return self


class CellConfig(Grown):
    """Everything that determines a cell's numbers.

    `tuning` marks a trial of `htbench tune`: it is scored on validation episodes and never sees the test split.
    `content` is the SHA-256 of a user's own pictures, which identifies them instead of `dataset.path`; see
    `benchmark.data.fingerprint`.

    `tests` are further tests of the same training. They do not identify the cell, as none of its numbers depends on
    them: each has a key of its own, and is scored when it is asked for, before or after others.
    """

    dataset: Annotated[DatasetConfig, Field(discriminator="name")]
    episodes: EpisodesConfig = EpisodesConfig()
    method: str
    model: dict[str, Any] = Field({})
    train: TrainConfig
    test: TestConfig = TestConfig()
    seed: int = Field(0, ge=0, le=LARGEST_SEED)
    timeout_minutes: float | None = Field(None, gt=0, le=10_000_000)
    plugins: tuple[str, ...] = ()
    tuning: bool = False
    content: str | None = None
    tests: tuple[FurtherTest, ...] = ()

    left_out = frozenset({"tests"})

    @field_validator("method")
    @classmethod
    def _name(cls, value: str) -> str:
        return checked_name(value)

    @property
    def data_name(self) -> str:
        """What its tasks are drawn from, for people and to tell apart: `omniglot`, `omniglot (planes)`."""
        return self.dataset.name + self.dataset.suffix

    @property
    def key(self) -> str:
        """Twelve hex digits that identify the cell: a hash of what its numbers depend on.

        Settings at their default, settings that repeat another (`test.queries` equal to `episodes.queries`) and
        settings without effect (`momentum` with Adam) do not count.
        """
        settings = self.settings(exclude_defaults=True)
        for section in ("episodes", "test"):
            if not settings.get(section):
                settings.pop(section, None)
        canonical = json.dumps(settings, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def settings(self, *, exclude_defaults: bool = False) -> dict[str, Any]:
        """The settings that its numbers depend on, by section, as plain data; see `key`."""
        train, test, episodes = self.train, self.test, self.episodes
        unused = {"decay_rate", "decay_steps"} if train.schedule != "exponential" else set()
        unused |= {"momentum"} if train.optimizer != "sgd" else set()
        unused |= {"memory_gib"} if train.batch != "auto" else set()
        unused |= {name for name in ("ways", "shots", "queries") if getattr(train, name) == getattr(episodes, name)}
        unused_test = {"queries"} if test.queries == episodes.queries else set()
        unused_test |= {"tasks"} if self.followed_episodes.tasks == episodes.tasks else set()
        unused_data = {"path"} if self.content is not None else set()
        return self.model_dump(
            mode="json",
            exclude_defaults=exclude_defaults,
            exclude={
                "timeout_minutes": True,
                "plugins": True,
                "tests": True,
                "dataset": unused_data,
                "train": unused,
                "test": unused_test,
                "episodes": {"scenario"} if self.followed_episodes.tasks == 1 else set(),
            },
        )

    @property
    def train_episodes(self) -> EpisodesConfig:
        """The shape of training episodes: as tested, unless `train` says otherwise."""
        changed = {k: v for k in ("ways", "shots", "queries") if (v := getattr(self.train, k)) is not None}
        return self.episodes.model_copy(update=changed)

    @property
    def test_episodes(self) -> EpisodesConfig:
        """The shape of validation and test episodes."""
        return self.episodes.model_copy(update={"queries": self.test.queries or self.episodes.queries})

    @property
    def followed_episodes(self) -> EpisodesConfig:
        """The shape of test episodes as long as sequences are followed: `test_episodes`, with `test.tasks` tasks."""
        return self.test_episodes.model_copy(update={"tasks": max(self.test.tasks or 1, self.episodes.tasks)})
