"""What is refused unless the user says that it is fine: archives that are not the published ones, shared pictures.

`htbench data GRID --trust` says so of what the grid reads, once: what is trusted is remembered by its content in the
user's cache, so that training finds it too, and other content under the same name is not trusted.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

from benchmark.data.files.hashes import content_hashes
from benchmark.data.files.places import user_cache
from benchmark.errors import UserError

_asked: ContextVar[bool] = ContextVar("trust", default=False)


@contextlib.contextmanager
def trusting() -> Iterator[None]:
    """Within it, everything that is checked is trusted from now on."""
    token = _asked.set(True)
    try:
        yield
    finally:
        _asked.reset(token)


def has_md5(path: Path, md5: str) -> bool:
    """Whether a file is the published one; read once for each state of it."""
    return content_hashes(path, [path], "md5") == [md5]


IF_KNOWN = (
    "If you know where it comes from, 'htbench data GRID --trust' accepts it; such numbers may compare with nothing"
    " published"
)


def check_trusted(digest: str, problem: str, remedy: str = IF_KNOWN) -> None:
    """Refuse what is not the published thing, unless the user trusts it.

    Args:
        digest: of its content, in hex.
        problem: a sentence for the user that says what it is not.
        remedy: what the user can do.

    Raises:
        UserError: it is not trusted, or that cannot be remembered.
    """
    mark = user_cache() / "trusted" / digest
    if mark.exists():
        return
    if not _asked.get():
        raise UserError(f"{problem}. {remedy}")
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    except OSError as error:
        raise UserError(f"{mark} cannot be written ({error.strerror}), so that no trust can be remembered") from error
