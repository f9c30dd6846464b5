"""YAML files that know their line numbers, read by the rules of YAML 1.2 (core schema).

PyYAML follows YAML 1.1, where `1e-3` is text, `10:30` is the number 630 and `on` is true; 1.2 has none of that.
"""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from benchmark.errors import UserError

LARGEST_FILE = 2**20
"""Bytes; the largest grid here has a hundredth of it."""

LARGEST_CONTENT = 100_000
"""Values in a file, those behind an alias (*) counted wherever it stands."""

_MERGE = "tag:yaml.org,2002:merge"

KeyPath = tuple[str | int, ...]
"""Where a value is: `("train", "steps")`, `("overrides", 0, "when")`."""


class _Loader(yaml.SafeLoader):
    """Plain data only: mappings, lists, text, numbers, true/false and null; every other tag is an error."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - filled below, as PyYAML wants it
    yaml_constructors = {  # noqa: RUF012
        tag: construct
        for tag, construct in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.rsplit(":", 1)[-1] in {"map", "seq", "str", "null", "bool"}
    }


def _resolve(kind: str, pattern: str, first: str) -> None:
    """Read unquoted text that matches `pattern` as `kind`; `first` holds the characters it can start with."""
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(f"(?:{pattern})$"), [*first] or [""])


_resolve("merge", "<<", "<")
_resolve("null", "", "")
_resolve("null", "~|null|Null|NULL", "~nN")
_resolve("bool", "true|True|TRUE|false|False|FALSE", "tTfF")
_resolve("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789")
_resolve("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789")


class _Dumper(yaml.SafeDumper):
    """Puts text in quotes that the loader would otherwise take for something else."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = node.value
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


def _float(loader: _Loader, node: yaml.ScalarNode) -> float | int | str:
    """`2e4` is a whole number to everyone but Python; `1e999`, too large for a float, stays text."""
    value = float(node.value)
    if math.isinf(value):
        return str(node.value)
    return int(value) if value.is_integer() else value


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_constructor("tag:yaml.org,2002:float", _float)


@dataclass(frozen=True)
class Source:
    """A YAML file: its path, its text, and the line (from 1) of every key and list item."""

    path: Path
    text: str
    lines: dict[KeyPath, int]

    def line(self, where: KeyPath) -> int:
        """The line of a key or list item, or of the nearest thing around it."""
        while where and where not in self.lines:
            where = where[:-1]
        return self.lines.get(where, 1)


@dataclass
class Problems:
    """Everything wrong with one file, to be told at once.

    `consequences` may vanish once the problems in `found` are mended, so they are told only if there are no others.
    """

    source: Source
    found: set[tuple[int, str]] = field(default_factory=set)
    consequences: set[tuple[int, str]] = field(default_factory=set)

    def add(self, where: KeyPath, message: str, consequence: bool = False) -> None:
        """Note a problem; the same message at the same line counts once."""
        (self.consequences if consequence else self.found).add((self.source.line(where), message))

    def raise_any(self) -> None:
        """Raise a UserError with one `file:line: message` per problem, if there is any."""
        if told := sorted(self.found or self.consequences):
            raise UserError("\n".join(f"{self.source.path}:{line}: {message}" for line, message in told))


def load(path: Path) -> tuple[dict[str, Any], Source]:
    """Read a YAML file whose top level is `key: value` lines.

    Whole numbers are int however they are written (`2e4`), other numbers float; nothing is infinite or a date.

    Raises:
        UserError: file missing or unreadable, not UTF-8, empty, bad YAML, a key that is given twice or is not text.
    """
    text = _read(path)
    try:
        node = yaml.compose(text, _Loader)
        if node is None:
            raise UserError(f"{path}:1: the file is empty; start with 'name:', 'dataset:', 'train:' and 'grid:'")
        if _values(node, {}) > LARGEST_CONTENT:
            raise UserError(
                f"{path}: the file has more than {LARGEST_CONTENT:,} values, those behind aliases (*) counted"
            )
        source = Source(path, text, {})
        problems = Problems(source)
        _index(node, (), problems)
        problems.raise_any()
        data = yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}" if mark else f"{path}"
        detail = ", ".join(filter(None, (error.context, error.problem)))
        raise UserError(f"{place}: not valid YAML: {detail}{_hint(detail)}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UserError(f"{path}:{line}: not valid YAML: a character that cannot be printed; delete it") from error
    except RecursionError as error:
        raise UserError(f"{path}: nested too deeply, or an anchor (&) that contains itself") from error
    except ValueError as error:  # an explicit tag on the wrong text, as in `!!int x`
        raise UserError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(data, dict):
        raise UserError(f"{path}:1: the file should be 'key: value' lines, found {describe(data)}")
    return data, source


def parse_value(text: str) -> Any:
    """One value as it would be read from a file: `8` is an int, `true` a bool, `ht-all` text."""
    try:
        node = yaml.compose(text, _Loader)
        return None if node is None else text if _values(node, {}) > LARGEST_CONTENT else yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return text


def dump(data: dict[str, Any]) -> str:
    """Text that `load` reads back as the same data, in the same order; short lists and sections on one line."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)


def describe(value: Any) -> str:
    """A value in words a YAML author knows: `'adam' (text)`, `1.5`, `a list`, `nothing`."""
    match value:
        case None:
            return "nothing"
        case dict():
            return "a section of 'key: value' lines"
        case list():
            return "a list"
        case str():
            return f"{value!r} (text)"
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(data) > LARGEST_FILE:
        raise UserError(f"{path}: a grid has at most {LARGEST_FILE:,} bytes, and this is more")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}:{line}: not UTF-8 text; save the file as UTF-8") from error


def _hint(detail: str) -> str:
    return "; indent with spaces, not tabs" if "'\\t'" in detail else ""


def _values(node: yaml.Node, known: dict[int, int]) -> int:
    """How many nodes there are, those behind aliases counted every time; each is looked at once.

    Raises:
        RecursionError: a node contains itself.
    """
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = 0  # not known yet
        parts = node.value if isinstance(node, yaml.SequenceNode) else [part for pair in node.value for part in pair]
        known[id(node)] = 1 + sum(_values(part, known) for part in parts)
    elif not known[id(node)]:
        raise RecursionError
    return known[id(node)]


def _index(node: yaml.Node, where: KeyPath, problems: Problems) -> None:
    """Fill in the line of every key and list item; note keys that are not text or are given twice."""
    lines = problems.source.lines
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[*where, index] = item.start_mark.line + 1
            _index(item, (*where, index), problems)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.tag == _MERGE:
                continue
            if key.tag != "tag:yaml.org,2002:str":
                found = repr(key.value) if isinstance(key, yaml.ScalarNode) else "a list or section"
                problems.found.add((line, f"a key should be text, found {found}; put it in quotes if it is meant"))
                continue
            inner = (*where, key.value)
            if inner in lines:
                problems.found.add((line, f"{key.value!r} is given twice, first on line {lines[inner]}; keep one"))
                continue
            lines[inner] = line
            _index(value, inner, problems)
        for key, value in node.value:
            if key.tag == _MERGE:
                _index_merged(value, where, problems)


def _index_merged(node: yaml.Node, where: KeyPath, problems: Problems) -> None:
    """The same of what `<<` brings into a section: what the section says itself goes before it."""
    parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
    for part in parts:
        if not isinstance(part, yaml.MappingNode):
            problems.found.add(
                (part.start_mark.line + 1, "<< brings in sections, such as '<<: *shared' or a list of these")
            )
            continue
        brought = Problems(Source(problems.source.path, problems.source.text, {}))
        _index(part, where, brought)  # what is wrong with it is told where it is written
        for inner, line in brought.source.lines.items():
            problems.source.lines.setdefault(inner, line)
