"""Where datasets and caches lie on this machine."""

import os
import re
from pathlib import Path

from benchmark.errors import UserError

DATA_VARIABLE = "HTBENCH_DATA"
"""Environment variable naming the folder with the datasets."""


def data_folder() -> Path:
    """The folder with one subfolder per dataset: `$HTBENCH_DATA`, else the per-user cache folder."""
    named = os.environ.get(DATA_VARIABLE)
    return expanded(named) if named else user_cache()


def user_cache() -> Path:
    """The per-user cache folder, `~/.cache/htbench` or as XDG_CACHE_HOME says (it may not exist yet)."""
    named = os.environ.get("XDG_CACHE_HOME")
    return (expanded(named) if named else Path.home() / ".cache") / "htbench"


def expanded(path: str | Path) -> Path:
    """A path as `expanded_text` gives it."""
    return Path(expanded_text(str(path)))


def expanded_text(path: str) -> str:
    """A path with `~`, `~user`, `$NAME` and `${NAME}` replaced as a shell does it.

    Shells leave these alone inside quotes, in YAML files, and after `=` in `--runs=~/here`.

    Raises:
        UserError: no such user, or a variable that is not set.
    """
    text = os.path.expandvars(path)
    missing = re.search(r"\$(\w+|\{\w+\})", text)
    if missing:
        raise UserError(f"{path}: the variable {missing[0]} is not set; set it, or write the path out")
    try:
        return str(Path(text).expanduser()) if text.startswith("~") else text
    except RuntimeError as error:
        raise UserError(f"{path}: there is no such user's home folder; write the path out") from error


def dataset_folder(root: Path, name: str) -> Path:
    """The subfolder of a dataset: of its name, else one that spells it another way, as miniImageNet or mini-imagenet.

    Raises:
        UserError: several do.
    """
    if (root / name).is_dir() or not root.is_dir():
        return root / name
    wanted = _letters(name)
    found = [path for path in sorted(root.iterdir()) if _letters(path.name) == wanted and path.is_dir()]
    if len(found) > 1:
        raise UserError(f"{root} has {' and '.join(path.name for path in found)}; rename the one to use to {name}")
    return found[0] if found else root / name


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()
