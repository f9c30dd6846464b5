"""What is wrong with a value, in plain words: which field, what was found, what is allowed."""

import difflib
import re
from collections.abc import Collection, Iterable
from typing import Any

from pydantic_core import ErrorDetails

from benchmark.grid.source import describe

_KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text (in quotes if it looks like a number)",
    "path_type": "a path",
    "tuple_type": "a list",
    "list_type": "a list",
    "model_type": "a section of 'key: value' lines",
    "dataclass_type": "a section of 'key: value' lines",
    "dict_type": "a section of 'key: value' lines",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


def explain(error: ErrorDetails, name: str) -> str:
    """One of pydantic's errors about the field `name`, as a sentence. Unknown keys are `unknown`'s to explain."""
    kind, found, context = error["type"], describe(error["input"]), error.get("ctx", {})
    if kind in _KINDS:
        return f"{name} should be {_KINDS[kind]}, found {found}"
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"{name} should be {words} {context[bound]}, found {found}"
    if kind == "literal_error":
        return one_of(name, error["input"], re.findall(r"'([^']*)'", context["expected"]) or [context["expected"]])
    if kind == "union_tag_invalid":
        return one_of(name, context["tag"], re.findall(r"'([^']*)'", context["expected_tags"]))
    if kind in ("missing", "union_tag_not_found"):
        return f"{name} is missing"
    if kind == "value_error":
        return f"{name}: {context['error']}"
    return f"{name}: {error['msg'][0].lower()}{error['msg'][1:]}, found {found}"


def one_of(name: str, found: Any, allowed: Iterable[Any]) -> str:
    """A value that is none of the `allowed` ones."""
    return (
        f"{name} should be {_either([str(a) for a in allowed])}, found {describe(found)}{did_you_mean(found, allowed)}"
    )


def unknown(kind: str, name: str, known: Collection[str]) -> str:
    """A name that does not exist: `unknown key 'stpes' in train; did you mean 'steps'? known are ...`.

    A long list is left out if there is a near name.
    """
    hint = did_you_mean(name, known)
    if hint and len(known) > 20:
        return f"unknown {kind}{hint}"
    return f"unknown {kind}{hint or ';'} known are {', '.join(known)}"


def did_you_mean(name: Any, known: Iterable[Any]) -> str:
    """`; did you mean 'steps'?` if something known is near, else nothing."""
    near = difflib.get_close_matches(str(name), [str(k) for k in known], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
