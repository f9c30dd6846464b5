"""A YAML grid, resolved into cells.

A grid file says what all cells share (`dataset`, `episodes`, `model`, `train`, `test`), the axes they differ on
(`grid`), and exceptions (`overrides`). Every combination of axis values is a cell, the last axis varying fastest, but
for those in `exclude`. A `question` in words is for the report, which answers it. See `benchmark.grid.axes` for what an
axis can be, and experiments/ for examples.
"""

import functools
import itertools
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from benchmark import data as datasets
from benchmark.cells.config import CellConfig, TuneConfig
from benchmark.cells.options import all_option_names, option_names, resolve_options, too_large
from benchmark.data.configs import DatasetConfig, FolderConfig
from benchmark.errors import UserError
from benchmark.grid.axes import AxisPath, axis_exists, axis_values, no_such_axis, section_keys, show
from benchmark.grid.dataset_path import resolve_dataset_path
from benchmark.grid.messages import by_value, explain, unknown
from benchmark.grid.parts import (
    SECTIONS,
    Condition,
    Override,
    load_plugins,
    read_axes,
    read_exclude,
    read_name,
    read_overrides,
    read_shared,
    read_tune,
)
from benchmark.grid.settings import Setting, Settings
from benchmark.grid.source import KeyPath, Problems, describe, load
from benchmark.grid.tests import TESTS, resolve_tests
from benchmark.machine.faults import blamed
from methods import registry
from methods.registry import Registered, UnknownMethodError

LARGEST_GRID = 20_000
"""Cells; the largest grid here has 120."""


@dataclass(frozen=True)
class Grid:
    """A resolved grid.

    Attributes:
        name: names the folder of results.
        cells: distinct cells, in the order of the file.
        axes: the axes on which cells differ, with the values, as in `{"seed": (0, 1), "model.channels": (4, 8)}`.
        source: the file.
        text: its content.
        tune: how `htbench tune` tunes its methods.
        notes: what the reader should know of how the file was understood.
    """

    name: str
    cells: tuple[CellConfig, ...]
    axes: dict[str, tuple[Any, ...]]
    source: Path
    text: str
    tune: TuneConfig = field(default_factory=TuneConfig)
    notes: tuple[str, ...] = ()


def read_grid(path: Path) -> Grid:
    """Read and resolve a grid file; importing its plugins registers the user's methods.

    Raises:
        UserError: everything that is wrong with the file, one `file:line: message` per line.
    """
    data, source = load(path)
    problems = Problems(source)
    name = read_name(data, problems)
    before = len(problems.found)
    plugins = load_plugins(data, path.parent, problems)
    unsure = len(problems.found) > before  # a plugin that cannot be imported may have the method
    shared = read_shared(data, problems)
    axes = read_axes(data, shared, problems)
    excluded = read_exclude(data, shared, axes, problems)
    overrides = read_overrides(data, shared, axes, problems)
    tune = read_tune(data, problems)
    methods = _methods(shared, axes, problems, unsure)
    if not methods:
        problems.raise_any()

    _check_options(shared, axes, methods, problems)
    size = math.prod(map(len, axes.values()))
    if size > LARGEST_GRID:
        factors = " x ".join(f"{len(values):,} {'.'.join(axis)}" for axis, values in axes.items() if len(values) > 1)
        problems.add(("grid",), f"the grid has {size:,} cells ({factors}); at most {LARGEST_GRID:,} are possible")
        problems.raise_any()

    combinations = [shared | dict(zip(axes, chosen, strict=True)) for chosen in itertools.product(*axes.values())]
    known = [cell for cell in combinations if cell["method",].value in list(methods)]
    cells = [_without_options_of_other_methods(cell, methods) for cell in known]
    for condition in excluded:
        out = list(map(id, _matching(condition, cells, problems)))
        cells = [cell for cell in cells if id(cell) not in out]
    if known and not cells:
        problems.add(("exclude",), "exclude leaves no cell of the grid", consequence=True)
    for override in overrides:
        _apply(override, cells, methods, problems)
    notes = _find_pictures(cells, path.parent, problems)
    configs = [config for cell in cells if (config := _config(cell, methods, plugins, problems))]
    problems.raise_any()
    configs = _with_tests(cells, _identified(configs), methods, path.parent, problems)

    distinct = tuple({config.key: config for config in configs}.values())
    values = {".".join(axis): tuple(axis_values(distinct, ".".join(axis))) for axis in axes}
    return Grid(name, distinct, {axis: v for axis, v in values.items() if len(v) > 1}, path, source.text, tune, notes)


def _methods(
    shared: Settings, axes: dict[AxisPath, list[Setting]], problems: Problems, unsure: bool
) -> dict[str, Registered]:
    """The methods of the grid by name; `unsure` if there may be more than are known."""
    used = axes.get(("method",)) or ([shared["method",]] if ("method",) in shared else [])
    if not used:
        problems.add(
            (), "method is missing; give 'method: protonet', or several in the grid: 'method: [protonet, ht-all]'", True
        )
    methods = {}
    for setting in used:
        if not isinstance(setting.value, str):
            problems.add(setting.where, f"method should be the name of a method, found {describe(setting.value)}")
            continue
        try:
            methods[setting.value] = registry.get(setting.value)
        except UnknownMethodError as error:
            problems.add(setting.where, str(error), consequence=unsure)
    return methods


def _check_options(
    shared: Settings, axes: dict[AxisPath, list[Setting]], methods: dict[str, Registered], problems: Problems
) -> None:
    """Note options, shared or as axes, that no method of the grid has."""
    known = list(methods.values())
    unsure = len(known) < len(axes.get(("method",), known))  # a misspelt method may have the option
    for path, setting in (shared | {path: values[0] for path, values in axes.items()}).items():
        if path[0] == "model" and not axis_exists(path, known):
            if path in axes:
                message = no_such_axis(str(setting.where[1]), known)
            else:
                message = unknown(f"option {path[1]!r} in model", path[1], all_option_names(known))
            problems.add(setting.where[:2], message, consequence=unsure)


def _without_options_of_other_methods(cell: Settings, methods: dict[str, Registered]) -> Settings:
    """Drop what the cell's method does not know but another method of the grid does."""
    method = methods[cell["method",].value]
    return {path: s for path, s in cell.items() if path[0] != "model" or axis_exists(path, [method])}


def _apply(override: Override, cells: list[Settings], methods: dict[str, Registered], problems: Problems) -> None:
    """Change the cells that the override is for, in place."""
    for cell in _matching(override.when, cells, problems):
        method = methods[cell["method",].value]
        for path, setting in override.settings.items():
            if path[0] == "model" and not axis_exists(path, [method]):
                message = unknown(f"option {path[1]!r} of method {method.name!r}", path[1], option_names(method))
                problems.add(setting.where, message)
            else:
                cell[path] = setting


def _matching(condition: Condition, cells: list[Settings], problems: Problems) -> list[Settings]:
    """The cells it is about; notes if there are none."""

    def matches(cell: Settings) -> bool:
        return all(axis in cell and cell[axis].value in values for axis, values in condition.values.items())

    matching = [cell for cell in cells if matches(cell)]
    if not matching:
        there_are = []
        for axis in condition.values:
            values = dict.fromkeys(show(cell[axis].value) for cell in cells if axis in cell)
            there_are.append(f"{'.'.join(axis)} is {', '.join(values)}")
        name = "'when'" if condition.where[-1] == "when" else "'exclude'"
        problems.add(condition.where, f"{name} matches no cell; {' and '.join(there_are)}", consequence=True)
    return matching


def _find_pictures(cells: list[Settings], folder: Path, problems: Problems) -> tuple[str, ...]:
    """Make each `dataset.path` one that the working folder knows, in place; notes on paths that are ambiguous."""
    notes: dict[str, None] = {}
    for cell in cells:
        setting = cell.get(("dataset", "path"))
        if setting is None or not isinstance(setting.value, str):
            continue
        try:
            found, note = resolve_dataset_path(setting.value, folder)
        except UserError as error:
            problems.add(setting.where, f"dataset.path: {error}")
            continue
        cell["dataset", "path"] = Setting(found, setting.where)
        if note:
            notes[note] = None
    return tuple(notes)


def _identified(configs: Iterable[CellConfig]) -> list[CellConfig]:
    """The cells with the content of a user's own pictures, by which they are known; without, where these are not here.

    What is wrong with the pictures is said when a cell needs them.
    """
    found: dict[DatasetConfig, str | None] = {}
    for config in configs:
        if not isinstance(config.dataset, FolderConfig):
            found[config.dataset] = None
        elif config.dataset not in found:
            try:
                found[config.dataset] = datasets.fingerprint(config.dataset)
            except UserError:
                found[config.dataset] = None
    return [config.model_copy(update={"content": found[config.dataset]}) for config in configs]


def _with_tests(
    cells: Iterable[Settings],
    configs: Iterable[CellConfig],
    methods: dict[str, Registered],
    folder: Path,
    problems: Problems,
) -> list[CellConfig]:
    """The cells with their further tests.

    Raises:
        UserError: what is wrong with these.
    """

    @functools.cache
    def content(dataset: DatasetConfig | None) -> str | None:
        try:
            return datasets.fingerprint(dataset) if isinstance(dataset, FolderConfig) else None
        except UserError:
            return None

    found = []
    for cell, config in zip(cells, configs, strict=True):
        if TESTS in cell:
            tests = resolve_tests(cell[TESTS], config, methods[config.method], content, folder, problems)
            config = config.model_copy(update={"tests": tests})
        found.append(config)
    problems.raise_any()
    return found


def _config(
    cell: Settings, methods: dict[str, Registered], plugins: tuple[str, ...], problems: Problems
) -> CellConfig | None:
    """The validated cell, or None after noting what is wrong with it."""
    method = methods[cell["method",].value]
    content: dict[str, Any] = {section: {} for section in SECTIONS}
    for path, setting in cell.items():
        if path == TESTS:
            continue
        if len(path) == 1:
            content[path[0]] = setting.value
        else:
            content[path[0]][path[1]] = setting.value

    for option in content["model"].keys() & method.fixed.keys():
        message = (
            f"method {method.name!r} fixes option {option!r} to {method.fixed[option]!r}{_free_method(method, option)}"
        )
        problems.add(cell["model", option].where, message)
    for option, limit in too_large(method, content["model"]):
        found = describe(content["model"][option])
        problems.add(cell["model", option].where, f"model.{option} should be at most {limit}, found {found}")
    try:
        content["model"] = resolve_options(method, content["model"])
    except ValidationError as error:
        for place, details in by_value(error.errors()):
            _note(details, ("model", *place), cell, problems)
    except Exception as error:  # a plugin's Config with types that cannot be checked, or a __post_init__ of its own
        if not plugins:
            raise
        line, text = blamed(error, map(Path, plugins))
        problems.add(("plugins",), f"the Config of {method.name!r} cannot be used: {line or plugins[0]}: {text}")
    try:
        # strict, so that `true` is no number; from JSON, so that a list is good for a tuple and text for a path
        return CellConfig.model_validate_json(json.dumps(content | {"plugins": plugins}), strict=True)
    except ValidationError as error:
        for place, details in by_value(error.errors()):
            _note(details, place, cell, problems)
    return None


def _free_method(method: Registered, option: str) -> str:
    """Advice: the same learner under a name that leaves the option open."""
    for name in registry.names():
        other = registry.get(name)
        if other.where == method.where and option not in other.fixed:
            return f"; use method {name!r} to choose it"
    return ""


def _note(errors: list[ErrorDetails], place: tuple[str | int, ...], cell: Settings, problems: Problems) -> None:
    """Tell what pydantic found wrong with the value at `place` in the cell, at the line that made the setting."""
    error = errors[0]
    dataset = None
    if place[0] == "dataset":
        # Pydantic puts the data set's name in between, and in a mixture that of the part, too.
        dataset, place = str(place[1]) if len(place) > 1 else None, (place[0], *place[2:])
        if len(place) > 3 and place[1] == "of":
            dataset, place = str(place[3]), (*place[:3], *place[4:])
        if error["type"].startswith("union_tag"):
            place = (*place, "name")
    path = tuple(map(str, place))
    message = explain(errors, ".".join(path))
    if error["type"] == "extra_forbidden":
        message = unknown(f"key {path[-1]!r} in {'.'.join(path[:-1])}", path[-1], section_keys(path[0], dataset))
    problems.add(_origin(path, cell), message, error["type"] in ("missing", "union_tag_not_found", "value_error"))


def _origin(path: AxisPath, cell: Settings) -> KeyPath:
    """Where in the file a setting was made; for a whole section, what the grid or an override changed in it."""
    for place in (path[:2], path[:1]):
        if place in cell:
            return (*cell[place].where, *path[2:])
    changed = [s.where for other, s in cell.items() if other[0] == path[0] and s.where[0] in ("grid", "overrides")]
    return max(changed, key=lambda where: where[0] == "overrides", default=path)
