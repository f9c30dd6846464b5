"""Further tests of a training: what a grid, or a command line, says of one, and what that comes to for a cell.

What is left unsaid is as in the cell's own test: the same images, classes and shots, as many episodes, the same seed.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator

from benchmark.cells.config import LARGEST_SEED, CellConfig, EpisodesConfig, FurtherTest
from benchmark.cells.names import checked_name
from benchmark.data.configs import TestDataConfig
from benchmark.machine.frozen import Frozen

SHAPE = ("ways", "shots", "queries", "unlabelled", "distractors", "tasks", "scenario")
"""What a test may say about its episodes, as `EpisodesConfig` has it."""

LAKE = "lake-oneshot"
LAKE_SHAPE = EpisodesConfig(ways=20, shots=1, queries=1)
LAKE_RUNS = 20


class TestEntry(Frozen):
    """A further test as it is written; `dataset` is the name of one, or its options as in a grid."""

    __test__ = False  # not a pytest class

    name: str | None = None
    dataset: Annotated[TestDataConfig, Field(discriminator="name")] | None = None
    domain: str | None = None
    ways: int | None = Field(None, ge=2, le=10_000)
    shots: int | None = Field(None, ge=1, le=10_000)
    queries: int | None = Field(None, ge=1, le=10_000)
    unlabelled: int | None = Field(None, ge=0, le=10_000)
    distractors: int | None = Field(None, ge=0, le=10_000)
    tasks: int | None = Field(None, ge=1, le=10_000)
    episodes: int | None = Field(None, ge=2, le=1_000_000)
    seed: int | None = Field(None, ge=0, le=LARGEST_SEED)

    @field_validator("dataset", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("name")
    @classmethod
    def _checked(cls, value: str | None) -> str | None:
        return None if value is None else checked_name(value)


def further_test(entry: TestEntry, config: CellConfig, content: str | None = None) -> FurtherTest:
    """What the entry comes to for a cell; `content` is of its own pictures, if it has any.

    Raises:
        ValueError: it contradicts itself or the cell, or is the cell's own test.
    """
    dataset = config.dataset if entry.dataset is None else entry.dataset
    if dataset.name == LAKE:
        return _lake(entry, config, dataset)
    if entry.domain is not None:
        dataset = of_domain(dataset, entry.domain)
    own = config.test_episodes
    shape = own.model_copy(update={name: value for name in SHAPE if (value := getattr(entry, name, None)) is not None})
    test = FurtherTest(
        name=entry.name or "test",
        dataset=dataset,
        episodes=shape,
        count=entry.episodes or config.test.episodes,
        seed=config.test.seed if entry.seed is None else entry.seed,
        content=content if entry.dataset is not None else config.content,
    )
    return test if entry.name else test.model_copy(update={"name": described(test, config, entry.domain)})


def own_test(config: CellConfig) -> FurtherTest:
    """The cell's own test, as if it were a further one."""
    return FurtherTest(
        name="own",
        dataset=config.dataset,
        episodes=config.test_episodes,
        count=config.test.episodes,
        seed=config.test.seed,
        content=config.content,
    )


def described(test: FurtherTest, config: CellConfig, domain: str | None = None) -> str:
    """How the test differs from the cell's own, in words: `10-way`, `glyphs`, the name of a domain with `5-shot`."""
    own, shape = config.test_episodes, test.episodes
    parts = []
    if domain is not None:
        parts.append(domain)
    elif test.dataset != config.dataset:
        options = test.dataset.model_dump(exclude={"name", "domains", "path"}, exclude_defaults=True)
        path = getattr(test.dataset, "path", None)
        folder = "" if path is None else f" {Path(path).name}"
        parts.append(f"{test.dataset.name}{folder}{test.dataset.suffix}{_options(options)}")
    units = {"ways": "{}-way", "shots": "{}-shot", "queries": "{} queries", "unlabelled": "+{} unlabelled",
             "distractors": "{} distractor classes", "tasks": "{} tasks"}  # fmt: skip
    parts += [unit.format(getattr(shape, name)) for name, unit in units.items()
              if getattr(shape, name) != getattr(own, name)]  # fmt: skip
    parts += [f"{test.count} episodes"] if test.count != config.test.episodes and not parts else []
    parts += [f"seed {test.seed}"] if test.seed != config.test.seed else []
    return " ".join(parts) or "own"


def _options(options: dict[str, Any]) -> str:
    return f" ({', '.join(f'{name} {value}' for name, value in options.items())})" if options else ""


def of_domain(dataset: TestDataConfig, domain: str) -> TestDataConfig:
    """The dataset with all its tasks in one domain.

    Raises:
        ValueError: it has none of that name.
    """
    try:
        return dataset.in_domain(domain)
    except ValueError as error:
        raise ValueError(f"domain: {dataset.name} has {error}") from error


def _lake(entry: TestEntry, config: CellConfig, dataset: TestDataConfig) -> FurtherTest:
    given = [name for name in (*SHAPE, "episodes", "seed", "domain") if getattr(entry, name, None) is not None]
    if given:
        raise ValueError(f"{LAKE} is what was published, 20 runs of 20-way 1-shot: leave out {', '.join(given)}")
    if any(part.get("split", "lake") != "lake" for part in _datasets_in(config.dataset.model_dump(mode="json"))):
        raise ValueError(
            f"{LAKE} has characters that the other split trains on; train with dataset.split: lake, which is the"
            " background set"
        )
    if config.episodes.tasks > 1:
        raise ValueError(f"{LAKE} has single tasks, and this cell learns sequences")
    return FurtherTest(name=entry.name or LAKE, dataset=dataset, episodes=LAKE_SHAPE, count=LAKE_RUNS, seed=0)


def _datasets_in(value: Any) -> Iterator[dict[str, Any]]:
    """The sections of Omniglot anywhere in a dataset's options, which may be of several datasets."""
    if isinstance(value, dict):
        if value.get("name") == "omniglot":
            yield value
        for inner in value.values():
            yield from _datasets_in(inner)


def check_distinct(tests: Sequence[FurtherTest]) -> None:
    """Refuse two tests of one name, and two that are the same.

    Raises:
        ValueError: saying which.
    """
    names: dict[str, str] = {}
    keys: dict[str, str] = {}
    for test in tests:
        if test.key in keys:
            raise ValueError(f"{keys[test.key]!r} and {test.name!r} are the same test; keep one")
        if test.name in names:
            raise ValueError(f"two tests are called {test.name!r}; give each a name of its own")
        names[test.name] = keys[test.key] = test.name
