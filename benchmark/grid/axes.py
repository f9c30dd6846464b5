"""Axes: what can vary between cells, by name.

`method`, `seed`, a key of a section (`train.learning_rate`), or a method's option (`channels`,
short for `model.channels`).
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, get_args

from pydantic import BaseModel

from benchmark.cells.config import CellConfig, EpisodesConfig, TestConfig, TrainConfig
from benchmark.cells.options import all_option_names, default_options, option_names
from benchmark.data.configs import DatasetConfig
from benchmark.errors import UserError
from benchmark.grid.messages import did_you_mean
from benchmark.grid.source import parse_value
from methods import registry
from methods.registry import Registered

AxisPath = tuple[str, ...]
"""Where an axis is in a cell's configuration: `("seed",)`, `("train", "learning_rate")`, `("model", "channels")`."""

_SECTIONS: dict[str, type[BaseModel]] = {"episodes": EpisodesConfig, "train": TrainConfig, "test": TestConfig}
_DATASETS: dict[str, type[BaseModel]] = {
    get_args(config.model_fields["name"].annotation)[0]: config for config in get_args(DatasetConfig)
}


def axis_path(axis: str) -> AxisPath:
    """Where the axis is; says nothing about whether it exists."""
    if axis in ("method", "seed"):
        return (axis,)
    section, dot, key = axis.partition(".")
    return (section, key) if dot else ("model", axis)


def axis_exists(path: AxisPath, methods: Iterable[Registered]) -> bool:
    """Whether there is such a key, or one of the methods has such an option."""
    if path[0] == "model":
        return any(path[1] in option_names(method) for method in methods)
    return len(path) == 1 or path[1] in section_keys(path[0])


def section_keys(section: str, dataset: str | None = None) -> list[str]:
    """The keys of a section, none if there is no such section; of `dataset`, those of the named one or of any."""
    if section == "dataset":
        chosen = [_DATASETS[dataset]] if dataset else _DATASETS.values()
        return list(dict.fromkeys(key for config in chosen for key in config.model_fields))
    return list(_SECTIONS[section].model_fields) if section in _SECTIONS else []


def no_such_axis(axis: str, methods: Iterable[Registered]) -> str:
    """The message for an axis that does not exist."""
    options = all_option_names(methods)
    dotted = [f"{section}.{key}" for section in ("dataset", *_SECTIONS) for key in section_keys(section)]
    namesake = next((name for name in dotted if name.endswith(f".{axis}")), axis)
    hint = did_you_mean(namesake, ["method", "seed", *options, *dotted, *(f"model.{o}" for o in options)])
    if hint:
        return f"no axis {axis!r}{hint}"
    known = ", ".join(["method", "seed", *options])
    return f"no axis {axis!r}; known are {known}, and keys of sections such as train.learning_rate"


def axis_value(cell: CellConfig, axis: str) -> Any:
    """A cell's value on an axis, defaults included; None if the cell's method or dataset has no such option."""
    path = axis_path(axis)
    if len(path) == 1:
        return getattr(cell, axis)
    section, key = path
    if section != "model":
        return getattr(getattr(cell, section, None), key, None)
    return cell.model[key] if key in cell.model else default_options(registry.get(cell.method)).get(key)


def axis_values(cells: Iterable[CellConfig], axis: str) -> list[Any]:
    """The distinct values of cells on an axis, in order of appearance; a method that lacks the option has none."""
    path = axis_path(axis)
    values: list[Any] = []
    for cell in cells:
        if axis_exists(path, [registry.get(cell.method)]) and (value := axis_value(cell, axis)) not in values:
            values.append(value)
    return values


def select(cells: Sequence[CellConfig], only: Iterable[str]) -> list[CellConfig]:
    """The cells that satisfy every condition, such as `method=ht-all` or `channels=8,16` (one of these).

    Raises:
        UserError: a condition that is not `axis=value`, names no axis, or a value that no cell has; or no cell is left.
    """
    methods = [registry.get(name) for name in dict.fromkeys(cell.method for cell in cells)]
    only, chosen = list(only), list(cells)
    for condition in only:
        axis, equals, text = condition.partition("=")
        if not (equals and axis and text):
            raise UserError(f"--only {condition!r}: write axis=value, as in method=protonet or channels=8,16")
        if not axis_exists(axis_path(axis), methods):
            raise UserError(f"--only {condition!r}: {no_such_axis(axis, methods)}")
        existing = axis_values(cells, axis)
        wanted = [parse_value(value) for value in text.split(",")]
        for value in wanted:
            if value not in existing:
                shown = ", ".join(map(show, existing))
                raise UserError(f"--only {condition!r}: no cell has {axis}={show(value)}; there are {shown}")
        chosen = [cell for cell in chosen if axis_value(cell, axis) in wanted]
    if not chosen:
        raise UserError(f"no cell satisfies all of --only {' --only '.join(only)}")
    return chosen


def show(value: Any) -> str:
    """A value as a grid file would have it."""
    return value if isinstance(value, str) else json.dumps(value)
