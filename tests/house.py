"""The plan of the house: which rooms there are, and which way imports may go."""

import ast
from collections.abc import Iterator
from pathlib import Path

FLOORS = (
    "__main__",
    "cli",
    "commands",
    "api",
    "tuning",
    "tracking",
    "inspection",
    "execution",
    "profiling",
    "trained",
    "reporting",
    "training",
    "scoring",
    "grid",
    "episodes",
    "cells",
    "data",
    "statistics",
    "figure_style",
    "machine",
    "errors",
)
"""The rooms of `benchmark`, top to bottom: a room may import those below it, and `methods`."""

LOOSE = {"__main__", "cli", "errors", "figure_style"}
"""Those of `benchmark` that are a file, not a folder."""

METHOD_FLOORS = (
    "hypertransformer",
    "maml",
    "finetune",
    "rfs",
    "protonet",
    "oracle",
    "capabilities",
    "networks",
    "compiled",
    "sequences",
    "variation",
    "registry",
    "method",
    "search",
    "episode",
)
"""The same of `methods`: families first, what they share below them, the contracts at the bottom."""


def imports(package: Path) -> Iterator[tuple[str, str]]:
    """(importing module, imported module) of every import among a package's files, wherever it stands."""
    modules = {module_of(path, package): path for path in package.rglob("*.py")}
    for module, path in modules.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                named = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                named = [
                    full if (full := f"{node.module}.{alias.name}") in modules else node.module for alias in node.names
                ]
            else:
                continue
            yield from ((module, name) for name in named if name.split(".")[0] == package.name and name != module)


def module_of(path: Path, package: Path) -> str:
    """The dotted name of a file."""
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """The room a module is in: the part after the package's name, or the package itself."""
    return ".".join(module.split(".")[1:2]) or module
