"""`test:` as a list: the cell's own test first, then further ones of the same training.

test:
  - {episodes: 600}                        # of the setting that `episodes:` describes, as `test: {episodes: 600}`
  - {ways: 10}                             # the same trained network on other tasks
  - {name: letters, dataset: {name: folder, path: letters}, episodes: 1000}
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from benchmark.cells.config import CellConfig, FurtherTest, TestConfig
from benchmark.cells.further import LAKE, TestEntry, check_distinct, further_test, own_test
from benchmark.errors import UserError
from benchmark.grid.axes import section_keys
from benchmark.grid.dataset_path import resolve_dataset_path
from benchmark.grid.messages import explain, unknown
from benchmark.grid.settings import Setting, Settings
from benchmark.grid.source import KeyPath, Problems, describe
from methods.registry import Registered

TESTS = ("tests",)
"""Where a cell's settings have the further tests."""

ContentOf = Callable[[Any], str | None]
"""The content of a dataset of a user's own pictures, None of any other."""


def read_tests(entries: list[Any], where: KeyPath, problems: Problems) -> Settings:
    """The settings that a list of tests makes; a list of one says that there are no further tests."""
    found: Settings = {}
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            expected = "a section of 'key: value' lines such as '- {ways: 10}'"
            problems.add((*where, index), f"a test should be {expected}, found {describe(entry)}")
    if not entries:
        problems.add(where, "test should name at least one test, such as '- {episodes: 600}'")
        return found
    first = entries[0] if isinstance(entries[0], dict) else {}
    for key, value in first.items():
        if key in TestEntry.model_fields and key not in TestConfig.model_fields:
            problems.add(
                (*where, 0, key),
                f"the first test is of the cells' own setting, 'episodes:' and 'dataset:', so it has no {key!r};"
                " put '- {episodes: 600}' before it to make this one a further test",
            )
        else:
            found["test", key] = Setting(value, (*where, 0, key))
    return found | {TESTS: Setting([entry for entry in entries[1:] if isinstance(entry, dict)], where)}


def resolve_tests(
    setting: Setting, config: CellConfig, method: Registered, content: ContentOf, folder: Path, problems: Problems
) -> tuple[FurtherTest, ...]:
    """The further tests of a cell, but for those that are its own; notes what is wrong with them at their line."""
    own = own_test(config).key
    found: list[FurtherTest] = []
    for index, written in enumerate(setting.value, start=1):
        where = (*setting.where, index)
        entry = _entry(written, where, folder, problems)
        if entry is None:
            continue
        try:
            test = further_test(entry, config, content(entry.dataset))
        except ValueError as error:
            problems.add(where, f"test: {error}")
            continue
        if test.key == own:
            continue
        refused = why_not(test, config, method)
        if refused:
            problems.add(where, refused)
        found.append(test)
    try:
        check_distinct(found)
    except ValueError as error:
        problems.add(setting.where, f"test: {error}")
    return tuple(found)


def why_not(test: FurtherTest, config: CellConfig, method: Registered) -> str:
    """Why the method cannot take the test, whatever it has learnt, or nothing."""
    ways = config.train_episodes.ways
    if test.episodes.ways != ways and method.learner.fixed_ways:
        return (
            f"{method.name} is built for one number of ways, {ways}, so it cannot take test {test.name!r} of"
            f" {test.episodes.ways} ways; leave it out for {method.name} with an override:"
            f" '- {{when: {{method: {method.name}}}, test: [{{episodes: {config.test.episodes}}}]}}'"
        )
    if test.episodes.tasks > 1 and not _learns_sequences(method):
        return (
            f"test {test.name!r} is of sequences of {test.episodes.tasks} tasks, and {method.name} learns single ones"
        )
    if method.every_image and test.dataset.name == LAKE:
        return f"{method.name} learns from all images of a class, and {test.name} has one of each"
    return ""


def _learns_sequences(method: Registered) -> bool:
    from methods.sequences import ContinualMethod  # of torch, for which most grids need not wait

    return issubclass(method.learner, ContinualMethod)


def _entry(written: dict[str, Any], where: KeyPath, folder: Path, problems: Problems) -> TestEntry | None:
    """The entry, checked."""
    dataset = written.get("dataset")
    if isinstance(dataset, dict) and isinstance(dataset.get("path"), str):
        try:
            path, _ = resolve_dataset_path(dataset["path"], folder)
        except UserError as error:
            problems.add((*where, "dataset", "path"), f"test.dataset.path: {error}")
            return None
        written = {**written, "dataset": {**dataset, "path": path}}
    try:
        return TestEntry.model_validate_json(json.dumps(written), strict=True)
    except ValidationError as error:
        for detail in error.errors():
            _note(detail, where, written, problems)
    return None


def _note(error: ErrorDetails, where: KeyPath, written: dict[str, Any], problems: Problems) -> None:
    """Tell one of pydantic's errors at its line."""
    place = error["loc"]
    if place[0] == "dataset" and len(place) > 2:
        place = (place[0], *place[2:])  # pydantic puts the dataset's name in between
    name = ".".join(map(str, ("test", *place)))
    message = explain([error], name)
    if error["type"] == "extra_forbidden":
        key = str(place[-1])
        known = list(TestEntry.model_fields)
        if place[0] == "dataset":
            dataset = written.get("dataset")
            known = section_keys("dataset", dataset.get("name") if isinstance(dataset, dict) else None)
        message = unknown(f"key {key!r} in {name.rpartition('.')[0]}", key, known)
    problems.add((*where, *place), message)
