"""What a grid file says, part by part, before anything is combined.

Each setting remembers where in the file it came from, so that a problem found later, in a cell, can be told with the
line to mend.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from benchmark.cells.config import TuneConfig
from benchmark.cells.names import RULE, is_name
from benchmark.grid.axes import AxisPath, axis_exists, axis_path, no_such_axis
from benchmark.grid.messages import explain, unknown
from benchmark.grid.settings import Setting, Settings
from benchmark.grid.source import KeyPath, Problems, describe
from benchmark.grid.tests import TESTS, read_tests
from benchmark.machine.faults import blamed
from methods import registry

SECTIONS = ("dataset", "episodes", "model", "train", "test")
_SCALARS = ("seed", "timeout_minutes")
TOP_LEVEL = (
    "name",
    *SECTIONS,
    "method",
    *_SCALARS,
    "grid",
    "exclude",
    "overrides",
    "plugins",
    "tune",
    "tuned",
    "question",
)


@dataclass(frozen=True)
class Condition:
    """Which cells: those whose values on these axes are among those listed."""

    values: dict[AxisPath, list[Any]]
    where: KeyPath


@dataclass(frozen=True)
class Override:
    """An exception: some cells get other settings."""

    when: Condition
    settings: Settings


def _check_keys(data: dict[str, Any], where: KeyPath, known: tuple[str, ...], problems: Problems) -> None:
    """Note the keys that are not known."""
    for key in data.keys() - set(known):
        if not where and str(key).startswith("x-"):  # for anchors, as other tools have it
            continue
        problems.add((*where, key), unknown(f"key {key!r}", key, known))


def read_name(data: dict[str, Any], problems: Problems) -> str:
    """The grid's name. Checks the other top-level keys too."""
    _check_keys(data, (), TOP_LEVEL, problems)
    name = data.get("name")
    if name is None:
        problems.add(
            (), "name is missing; it names the folder of results, as in 'name: omniglot-5way'", consequence=True
        )
    elif not is_name(name):
        problems.add(("name",), f"name should be a folder name of {RULE}, found {describe(name)[:100]}")
    return str(name)


def read_tune(data: dict[str, Any], problems: Problems) -> TuneConfig:
    """How to tune the grid's methods. Checks the texts that are for the report only, too."""
    for key in ("tuned", "question"):
        if not isinstance(data.get(key, ""), str):
            problems.add((key,), f"{key} should be text that the report shows, found {describe(data[key])}")
    content = data.get("tune", {})
    try:
        return TuneConfig.model_validate(content, strict=True)
    except ValidationError as error:
        for detail in error.errors():
            name = ".".join(["tune", *map(str, detail["loc"])])
            message = explain([detail], name)
            if detail["type"] == "extra_forbidden":
                message = unknown(
                    f"key {str(detail['loc'][-1])!r} in tune", str(detail["loc"][-1]), [*TuneConfig.model_fields]
                )
            problems.add(("tune", *detail["loc"]), message)
    return TuneConfig()


def load_plugins(data: dict[str, Any], folder: Path, problems: Problems) -> tuple[str, ...]:
    """Import the user's files of methods; their absolute paths."""
    plugins = data.get("plugins") or []
    if not isinstance(plugins, list) or not all(isinstance(plugin, str) for plugin in plugins):
        problems.add(("plugins",), f"plugins should be a list of Python files, found {describe(plugins)}")
        return ()
    paths = [(folder / plugin).resolve() for plugin in plugins]
    for index, path in enumerate(paths):
        try:
            registry.load_plugin(path)
        except FileNotFoundError:
            problems.add(("plugins", index), f"no plugin file {path}; give its path relative to the grid file")
        except (Exception, SystemExit) as error:
            place, text = blamed(error, [path])
            problems.add(("plugins", index), f"plugin {place or path} cannot be imported: {text}")
    return tuple(map(str, paths))


def read_shared(data: dict[str, Any], problems: Problems) -> Settings:
    """What all cells share, unless an override says otherwise."""
    return _settings(data, (), ("method", *_SCALARS), problems)


def _settings(data: dict[str, Any], where: KeyPath, scalars: tuple[str, ...], problems: Problems) -> Settings:
    """The settings that the file's top level, or an override, makes."""
    found: Settings = {}
    for key in scalars:
        if isinstance(data.get(key), list):
            problems.add((*where, key), f"{key} should be one value here; put a list under 'grid:'")
        elif key in data:
            found[key,] = Setting(data[key], (*where, key))
    for section in SECTIONS:
        content = data.get(section)
        if section == "test" and isinstance(content, list):
            found |= read_tests(content, (*where, section), problems)
        elif isinstance(content, dict):
            found |= {(section, key): Setting(v, (*where, section, key)) for key, v in content.items()}
        elif content is not None:
            expected = "a section of 'key: value' lines"
            problems.add((*where, section), f"{section} should be {expected}, found {describe(content)}")
    return found


def read_axes(data: dict[str, Any], shared: Settings, problems: Problems) -> dict[AxisPath, list[Setting]]:
    """The values of each axis, in the order of the file; they go before a shared value in a section."""
    if "grid" not in data:
        return {}
    grid = data["grid"]
    if not isinstance(grid, dict) or not grid:
        found = describe(grid or None)
        problems.add(("grid",), f"grid should be a section of axes such as 'seed: [0, 1]', found {found}")
        return {}
    axes: dict[AxisPath, list[Setting]] = {}
    for axis, values in grid.items():
        path, where = axis_path(axis), ("grid", axis)
        if values is None or values == [] or isinstance(values, dict):
            found = describe(values or None)
            problems.add(where, f"axis {axis!r} should be a value or a list of values, found {found}")
        elif path[0] != "model" and not axis_exists(path, []):
            problems.add(where, no_such_axis(axis, []))
        elif path in axes:
            problems.add(where, f"axis {axis!r} is given twice, also as {'.'.join(path)!r}; keep one")
        elif len(path) == 1 and path in shared:
            line = problems.source.line(shared[path].where)
            problems.add(where, f"{axis!r} is an axis here and has a single value on line {line}; keep one")
        elif isinstance(values, list):
            axes[path] = [Setting(value, (*where, index)) for index, value in enumerate(values)]
        else:
            axes[path] = [Setting(values, where)]
    return axes


def read_overrides(
    data: dict[str, Any], shared: Settings, axes: dict[AxisPath, list[Setting]], problems: Problems
) -> list[Override]:
    """The overrides, in the order they apply."""
    overrides = data.get("overrides") or []
    if not isinstance(overrides, list):
        problems.add(("overrides",), f"overrides should be a list of '- when: ...', found {describe(overrides)}")
        return []
    found = []
    for index, override in enumerate(overrides):
        where = ("overrides", index)
        when = override.get("when") if isinstance(override, dict) else None
        if not isinstance(when, dict) or not when:
            problems.add(where, "an override should say when it applies, as in 'when: {method: protonet}'")
            continue
        _check_keys(override, where, ("when", *SECTIONS, *_SCALARS), problems)
        condition = _condition(when, (*where, "when"), shared, axes, problems)
        found.append(Override(condition, _settings(override, where, _SCALARS, problems)))
    return found


def read_exclude(
    data: dict[str, Any], shared: Settings, axes: dict[AxisPath, list[Setting]], problems: Problems
) -> list[Condition]:
    """The combinations of axis values that the grid leaves out."""
    excluded = data.get("exclude") or []
    example = "such as '- {method: protonet, channels: [32, 64]}'"
    if not isinstance(excluded, list):
        problems.add(("exclude",), f"exclude should be a list of conditions {example}, found {describe(excluded)}")
        return []
    found = []
    for index, condition in enumerate(excluded):
        where = ("exclude", index)
        if isinstance(condition, dict) and condition:
            found.append(_condition(condition, where, shared, axes, problems))
        else:
            problems.add(where, f"should be a condition {example}, found {describe(condition)}")
    return found


def _condition(
    values: dict[str, Any],
    where: KeyPath,
    shared: Settings,
    axes: dict[AxisPath, list[Setting]],
    problems: Problems,
) -> Condition:
    """Notes axes that the grid does not have."""
    known = [*axes, *(path for path in shared if len(path) == 1 and path != TESTS)]
    names = [".".join(path).removeprefix("model.") for path in known]
    for axis in values:
        if axis_path(axis) not in known:
            problems.add((*where, axis), unknown(f"axis {axis!r} of this grid", axis, names))
    return Condition({axis_path(axis): v if isinstance(v, list) else [v] for axis, v in values.items()}, where)
