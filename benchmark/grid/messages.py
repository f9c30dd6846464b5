"""What is wrong with a value, in plain words: which field, what was found, what is allowed."""

import difflib
import re
from collections.abc import Collection, Iterable, Sequence
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
    "model_attributes_type": "a section of 'key: value' lines",
    "model_type": "a section of 'key: value' lines",
    "dataclass_type": "a section of 'key: value' lines",
    "dict_type": "a section of 'key: value' lines",
}
_KIND = re.compile(r"\w+\[.*\]|(int|float|str|bool|none)$")
"""What pydantic puts into the place of an error for a value that may be of several kinds: "int", "literal['all']"."""

_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


def by_value(errors: Iterable[ErrorDetails]) -> list[tuple[tuple[int | str, ...], list[ErrorDetails]]]:
    """Pydantic's errors by the place of the value that they are about, for `explain`.

    Of a value that may be of several kinds pydantic tells one error for each, with the kind in its place: they belong
    together, unless it is a part of the value that is wrong, and then only the kind counts that has such parts.
    """
    found: dict[tuple[int | str, ...], list[ErrorDetails]] = {}
    parts: dict[tuple[int | str, ...], list[ErrorDetails]] = {}
    for error in errors:
        place = error["loc"]
        kind = next((index for index, part in enumerate(place) if isinstance(part, str) and _KIND.match(part)), None)
        if kind is None:
            found[place] = [error]
        elif place[kind + 1 :]:
            parts[place[:kind] + place[kind + 1 :]] = [error]
        else:
            found.setdefault(place[:kind], []).append(error)
    whole = {place for place in found if not any(part[: len(place)] == place for part in parts)}
    return [(place, same) for place, same in (found | parts).items() if place in whole or place in parts]


def explain(errors: Sequence[ErrorDetails], name: str) -> str:
    """Pydantic's errors about the field `name`, one for each kind of value it may be, as a sentence.

    Unknown keys are `unknown`'s to explain.
    """
    error = errors[0]
    kind, found, context = error["type"], error["input"], error.get("ctx", {})
    if kind in ("missing", "union_tag_not_found"):
        return f"{name} is missing"
    if kind == "value_error":
        return f"{name}: {context['error']}"
    if kind == "union_tag_invalid":
        return one_of(name, context["tag"], re.findall(r"'([^']*)'", context["expected_tags"]))
    wanted = [words for error in errors for words in _wanted(error)]
    if not wanted:
        return f"{name}: {error['msg'][0].lower()}{error['msg'][1:]}, found {describe(found)}"
    return one_of(name, found, wanted)


def _wanted(error: ErrorDetails) -> list[str]:
    """What the value should be, in words that go on from `should be`."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in _KINDS:
        return [_KINDS[kind]]
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return [f"{words} {context[bound]}"]
    if kind == "literal_error":
        return re.findall(r"'([^']*)'", context["expected"]) or [context["expected"]]
    return []


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
