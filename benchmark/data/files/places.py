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


def dataset_folders(root: Path, name: str, *others: str) -> list[Path]:
    """Where a dataset's files may be: the subfolder of its name, which need not exist, then those that exist of others.

    Others are those that spell the name another way, as miniImageNet or mini-imagenet, and those named `others`, in
    this order; "." is the root itself.
    """
    wanted = {_letters(name): 0}
    for place, other in enumerate(others, start=1):
        wanted.setdefault(_letters(other), place)
    found = (
        [path for path in sorted(root.iterdir()) if _letters(path.name) in wanted and path.is_dir()]
        if root.is_dir()
        else []
    )
    found.sort(key=lambda path: wanted[_letters(path.name)])
    return list(dict.fromkeys([root / name, *found, *([root] if "." in others else [])]))


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()
