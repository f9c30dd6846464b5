"""Fingerprints of source code: what a number was computed with.

Comments, docstrings and layout do not count, nor does where a file lies or what it is called: moving a function to
another room changes no number. Fingerprints are made once per process, of the files as they are then.
"""

import ast
import functools
import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from methods.registry import FAMILIES

ROOT = Path(__file__).parents[2]
"""The folder of the packages `benchmark` and `methods`."""

ROOMS = ("episodes", "training", "scoring", "data/pixels")
"""Of `benchmark`, what every number depends on. What datasets read has its own fingerprint, of its content; the rest
runs, keeps, compares and shows."""

FILES = ("data/dataset.py", "data/domain.py", "data/shared.py", "data/splits.py")
"""Of `benchmark`, what it depends on besides."""

_REGISTRY = "methods.registry"
"""Finds learners, and is no part of them."""

_FACES = {"methods", *(f"methods.{family}" for family in FAMILIES)}
"""Packages whose own file only names what others define: a new method in the list makes no old number another one. What
a name stands for does count, and the options that a method's name fixes are in every record."""


@functools.cache
def built_in_sha256(learner: str, datasets: tuple[str, ...]) -> str:
    """SHA-256 of the built-in code that the numbers of a learner, "module:class", on data sets depend on."""
    module, _, name = learner.partition(":")
    return _sha256(built_in_files(module, datasets), name)


def built_in_files(module: str, datasets: Iterable[str]) -> set[Path]:
    """The files of that code: the harness (`ROOMS`, `FILES`, the data sets' own), and what the module imports."""
    harness = ROOT / "benchmark"
    files = {path for room in ROOMS for path in (harness / room).rglob("*.py")}
    files |= {harness / name for name in (*FILES, *(f"data/{dataset}.py" for dataset in datasets))}
    start = _built_in(module) or _file_of(module)
    files |= {path for path in _imported(start) if ROOT / "methods" in path.parents} if start else set()
    return files | {compiled for path in files for compiled in (*path.parent.glob("*.cpp"), *path.parent.glob("*.h"))}


@functools.cache
def plugin_sha256(module: str) -> str | None:
    """SHA-256 of a user's module and of what it imports from its own folder; None for a built-in one."""
    start = _file_of(module)
    if start is None or _built_in(module) is not None:
        return None
    return _sha256({path for path in _imported(start) if start.parent in path.parents})


def normalised(source: str) -> str:
    """Source code as a text that is the same for the same code, whatever the version of Python.

    Raises:
        SyntaxError: it is no Python.
    """
    return _text(ast.parse(source))


def _text(tree: ast.Module) -> str:
    return repr(_plain(tree))


@functools.cache
def _tree(path: Path) -> ast.Module:
    """A file, parsed once."""
    return ast.parse(path.read_bytes())


def _plain(node: Any) -> Any:
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, ast.AST):
        return node
    fields = dict(ast.iter_fields(node))
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
        ast.get_docstring(node, clean=False) is not None
    ):
        fields["body"] = fields["body"][1:]
    # Python 3.12 and 3.13 have fields that 3.11 lacks; where code does not use them, they are empty.
    return type(node).__name__, [(name, _plain(value)) for name, value in fields.items() if value not in (None, [])]


@functools.cache
def _digest(path: Path) -> str:
    content = _text(_tree(path)).encode() if path.suffix == ".py" else path.read_bytes()
    return hashlib.sha256(content).hexdigest()


def _sha256(files: Iterable[Path], *names: str) -> str:
    return hashlib.sha256("\n".join([*sorted(map(_digest, files)), *names]).encode()).hexdigest()


def _imported(start: Path) -> set[Path]:
    """The file and all that it imports, directly or through others, of `methods` and of its own folder."""
    found, waiting = {start}, [start]
    while waiting:
        path = waiting.pop()
        for name in _names(path):
            file = None if name == _REGISTRY else _built_in(name) or _beside(name, start)
            if file is not None and file not in found:
                found.add(file)
                waiting.append(file)
    return found - {_built_in(face) for face in _FACES}


@functools.cache
def _names(path: Path) -> tuple[str, ...]:
    """Names of modules that a file imports, anywhere in it, and of what it imports from them."""
    found = []
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(dict.fromkeys(found))


def _built_in(name: str) -> Path | None:
    """The file of a module of `methods`."""
    if name.split(".")[0] != "methods":
        return None
    place = ROOT.joinpath(*name.split("."))
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def _beside(name: str, start: Path) -> Path | None:
    """The file of an imported module in the folder of a user's file."""
    file = _file_of(name)
    return file if file is not None and start.parent in file.parents and ROOT / "methods" not in file.parents else None


def _file_of(name: str) -> Path | None:
    file = getattr(sys.modules.get(name), "__file__", None)
    return Path(file).resolve() if file and file.endswith(".py") else None
