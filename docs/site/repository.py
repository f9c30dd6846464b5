"""Files of the repository as parts of the site, under the same path: the findings in results/ are written once."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)\s#]+)(#[^)\s]*)?\)")


def reached(starts: list[str]) -> list[str]:
    """The starting files and all that they link to, through other Markdown pages, as paths in the repository."""
    found: dict[str, None] = {}
    waiting = list(starts)
    while waiting:
        name = waiting.pop(0)
        if name in found:
            continue
        found[name] = None
        if name.endswith(".md"):
            waiting += [target for target in targets(name) if target is not None]
    return list(found)


def targets(name: str) -> Iterator[str | None]:
    """What a page links to, as paths in the repository; None for a folder or something that is not there."""
    for link in _LINK.finditer((ROOT / name).read_text("utf-8")):
        yield _target(name, link[1])


def without_folders(name: str, text: str) -> str:
    """The page without links to folders, which have no page: their text stays."""

    def kept(link: re.Match[str]) -> str:
        return link[0] if _target(name, link["to"]) else link["text"]

    return re.sub(r"\[(?P<text>[^\]]*)\]\((?!https?://|#|mailto:)(?P<to>[^)\s#]+)(?:#[^)\s]*)?\)", kept, text)


def _target(name: str, link: str) -> str | None:
    path = ((ROOT / name).parent / link).resolve()
    return path.relative_to(ROOT).as_posix() if path.is_file() and path.is_relative_to(ROOT) else None
