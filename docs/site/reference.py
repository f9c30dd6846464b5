"""Pages made from the code: the keys of a grid file, the methods and their options, the datasets."""

import dataclasses
import importlib
import inspect
import re
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from benchmark.cells.config import EpisodesConfig, TestConfig, TrainConfig, TuneConfig
from benchmark.cells.options import default_options, option_names
from benchmark.data.configs import DatasetConfig
from benchmark.grid.axes import show
from benchmark.grid.parts import TOP_LEVEL
from docs.site import repository
from methods import registry
from methods.registry import Registered

_SECTIONS: dict[str, type[BaseModel]] = {
    "episodes": EpisodesConfig,
    "train": TrainConfig,
    "test": TestConfig,
    "tune": TuneConfig,
}
_DATASETS: tuple[type[BaseModel], ...] = get_args(DatasetConfig)
_WORDS = {int: "whole number", float: "number", bool: "`true` or `false`", str: "text", Path: "path"}
_LIMITS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
_ENTRY = re.compile(r"^(?P<indent> *)(?P<names>\w+(?:, \w+)*): (?P<text>.*)$")


class IncompleteError(Exception):
    """A key has no meaning here, or a meaning no key."""


def meanings() -> dict[str, dict[str, str]]:
    """What each key means, by section.

    Raises:
        IncompleteError: some key of the code is not there, or one is there that the code has not.
    """
    found: dict[str, dict[str, str]] = yaml.safe_load(Path(__file__).with_name("keys.yaml").read_text("utf-8"))
    expected = {"grid file": set(TOP_LEVEL), **{name: set(model.model_fields) for name, model in _SECTIONS.items()}}
    expected["dataset"] = {key for model in _DATASETS for key in model.model_fields}
    for section, keys in expected.items():
        if different := keys ^ set(found[section]):
            raise IncompleteError(f"docs/site/keys.yaml, {section}: {', '.join(sorted(different))}")
    return found


def grid_keys() -> str:
    """Tables of all keys of a grid file, those of datasets aside."""
    told = meanings()
    rows = [[f"`{key}`", told["grid file"][key]] for key in TOP_LEVEL]
    parts = ["## The file", _table(["key", "meaning"], rows)]
    for section, model in _SECTIONS.items():
        parts += [f"## `{section}`", _fields(model, told[section])]
    return "\n\n".join(parts)


def coverage() -> str:
    """From the simulated coverage: a row by itself, and as it is pooled."""
    text = (repository.ROOT / "results/coverage/coverage.md").read_text("utf-8")
    header, line, *rows = re.findall(r"^\| rule \|.*?(?=\n\n)", text, flags=re.DOTALL | re.MULTILINE)[0].splitlines()
    kept = [row for row in rows if row.startswith(("| own variance", "| **larger"))]
    return "\n".join([header, line, *kept])


def datasets() -> str:
    """Each dataset as its module describes it, with its keys."""
    told, parts = meanings()["dataset"], []
    for model in _DATASETS:
        (name,) = get_args(model.model_fields["name"].annotation)
        module = importlib.import_module(f"benchmark.data.{name}")
        title, _, text = (inspect.getdoc(module) or "").partition("\n\n")
        parts += [f"## `{name}`", f"**{_unwrapped(title)}**", _markdown(text), _fields(model, told)]
    return "\n\n".join(parts)


def methods() -> str:
    """Each learner once, with the names it goes by, its options and what it says of itself."""
    learners: dict[type, list[Registered]] = {}
    for name in registry.built_in_names():
        found = registry.get(name)
        learners.setdefault(found.learner, []).append(found)
    overview = [[f"[`{one.name}`](#{_anchor(same)})", one.summary] for same in learners.values() for one in same]
    parts = [_table(["name", "what it is"], overview)]
    for learner, same in learners.items():
        names = ", ".join(f"`{one.name}`" for one in same)
        parts.append(f"## {names} {{ #{_anchor(same)} }}")
        parts.append(_markdown(_without_sections(inspect.getdoc(learner) or "")))
        fixed = [
            [f"`{one.name}`", one.summary, ", ".join(f"`{k}: {show(v)}`" for k, v in one.fixed.items())] for one in same
        ]
        if len(same) > 1 or same[0].fixed:
            parts.append(_table(["name", "", "options that the name stands for"], fixed))
        parts.append(_options(same[0]))
    return "\n\n".join(part for part in parts if part)


def _options(method: Registered) -> str:
    """The options as a table; what they mean is in the docstring of the Config."""
    config = method.config
    described = _entries(config)
    hints = typing.get_type_hints(config)
    defaults = default_options(dataclasses.replace(method, fixed={}))
    rows = [
        [f"`{name}`", _kind(hints[name]), f"`{show(defaults[name])}`" if name in defaults else "required", text]
        for name in option_names(method)
        for text in [described.get(name, "")]
    ]
    if not rows:
        return "It has no options."
    told = set(described) >= {*option_names(method)}
    rest = "" if told else _markdown(_without_sections(inspect.getdoc(config) or "")) + "\n\n"
    return rest + _table(["option", "values", "default", "meaning"], rows)


def _entries(config: type) -> dict[str, str]:
    """Option -> meaning, from the lines `name: meaning` and `name, other: meaning` of the docstrings of a Config."""
    found: dict[str, str] = {}
    for owner in reversed(config.__mro__[:-1]):
        known = {field.name for field in dataclasses.fields(config)}
        names: list[str] = []
        indent = 0
        for line in inspect.cleandoc(owner.__doc__ or "").splitlines():
            entry = _ENTRY.match(line)
            if entry and set(entry["names"].split(", ")) <= known:
                names, indent = entry["names"].split(", "), len(entry["indent"])
                found |= dict.fromkeys(names, entry["text"])
            elif names and line.strip() and len(line) - len(line.lstrip()) > indent:
                found |= {name: f"{found[name]} {line.strip()}" for name in names}
            else:
                names = []
    return found


def _fields(model: type[BaseModel], told: Mapping[str, str]) -> str:
    rows = [
        [f"`{name}`", _kind(field.annotation, field), _default(field), told[name]]
        for name, field in model.model_fields.items()
    ]
    return _table(["key", "values", "default", "meaning"], rows)


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    return "" if field.default is None or field.default == () else f"`{show(field.default)}`"


def _kind(annotation: Any, field: FieldInfo | None = None) -> str:
    """What a value may be, in words: `whole number, at least 2`."""
    if typing.get_origin(annotation) is typing.Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    inner = [one for one in get_args(annotation) if one not in (type(None), Ellipsis)]
    if typing.get_origin(annotation) in (tuple, list):
        return f"list of {_kind(inner[0])}"
    if typing.get_origin(annotation) is dict:
        return "section of names"
    if inner:
        words = " or ".join(dict.fromkeys(_kind(one) for one in inner))
    else:
        words = _WORDS.get(annotation, str(getattr(annotation, "__name__", annotation)))
    limits = [
        f"{word} {getattr(one, name):,}"
        for one in (field.metadata if field else [])
        for name, word in _LIMITS.items()
        if getattr(one, name, None) is not None
    ]
    return ", ".join([words, *limits])


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(header)]
    lines += [["---"] * len(lines[0]), *(list(row) for row in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)


def _anchor(same: list[Registered]) -> str:
    return same[0].name.replace("+", "p")


def _without_sections(text: str) -> str:
    """A docstring up to what it says to callers: arguments, results, errors."""
    return re.split(r"^(?:Args|Attributes|Returns|Raises):$", text, flags=re.MULTILINE)[0].strip()


def _unwrapped(text: str) -> str:
    return " ".join(text.split())


def _markdown(text: str) -> str:
    """A docstring as Markdown: lists get the empty line before them that it wants."""
    text = re.sub(r"(?m)^(?!\s*- |\s*$)(.*)\n(?=- )", r"\1\n\n", text)
    return re.sub(r"(?<![(<\"])(https?://[^\s,)]*[^\s,).;])", r"<\1>", text)
