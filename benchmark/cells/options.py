"""The options of a method: the fields of its Config dataclass, checked and brought into one form."""

import dataclasses
import functools
import json
from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from methods.registry import Registered


def option_names(method: Registered) -> list[str]:
    """Names of the options, in the order of the dataclass; those the method's name fixes included."""
    return [field.name for field in dataclasses.fields(method.config) if field.init]


def all_option_names(methods: Iterable[Registered]) -> list[str]:
    """Names of the options that at least one of the methods has."""
    return list(dict.fromkeys(name for method in methods for name in option_names(method)))


def default_options(method: Registered) -> dict[str, Any]:
    """What the options are if nothing is given, as plain data (lists for tuples); required options are left out."""
    values = {}
    for field in dataclasses.fields(method.config):
        if field.default is not dataclasses.MISSING:
            values[field.name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            values[field.name] = field.default_factory()
    plain: dict[str, Any] = to_jsonable_python(values | method.fixed)
    return plain


LARGEST_WIDTH, LARGEST_OPTION = 4096, 100_000
"""Of the option that is a method's width, and of any other whole number: more is a slip, and would eat the machine."""


def too_large(method: Registered, options: dict[str, Any]) -> list[tuple[str, int]]:
    """The options that are absurdly large, each with its limit."""
    found = []
    for name, value in options.items():
        limit = LARGEST_WIDTH if name == method.size_axis else LARGEST_OPTION
        numbers = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(number, int) and number > limit for number in numbers):
            found.append((name, limit))
    return found


def resolve_options(method: Registered, given: dict[str, Any]) -> dict[str, Any]:
    """The given options, checked, without those that only repeat a default, but always with its width if it has one.

    So a default that is written out and one that is left out give the same cell.
    The values are plain data: lists for tuples, as a file gives them back.

    Raises:
        pydantic.ValidationError: wrong type, missing option, or the Config's own ValueError.
    """
    adapter = _adapter(method.config)  # type: ignore[arg-type]  # mypy takes no type[Any] for hashable
    config = adapter.validate_json(json.dumps(to_jsonable_python(given | method.fixed)), strict=True)
    values: dict[str, Any] = adapter.dump_python(config, mode="json")
    defaults = default_options(method)
    return {
        name: values[name]
        for name in option_names(method)
        if name not in method.fixed
        and (name == method.size_axis or (name in given and (name not in defaults or values[name] != defaults[name])))
    }


@functools.cache
def _adapter(config: type[Any]) -> TypeAdapter[Any]:
    """Building one takes longer than a hundred validations."""
    return TypeAdapter(config)
