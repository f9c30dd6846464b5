"""What a paper that uses a grid should cite, from citations.bib."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmark.cells.config import CellConfig

_SUBJECT = "htbench"
"""The entry of htbench itself, which is always cited."""


@dataclass(frozen=True)
class Entry:
    """One publication.

    Attributes:
        key: as BibTeX cites it.
        of: the methods and datasets that it stands for, as `method:protonet` or `dataset:omniglot`.
        text: in BibTeX, without `keywords`.
    """

    key: str
    of: tuple[str, ...]
    text: str


def entries() -> list[Entry]:
    """All entries of citations.bib, in its order."""
    found = []
    source = Path(__file__).with_name("citations.bib").read_text()
    for text in re.findall(r"^@.*?^\}", source, re.MULTILINE | re.DOTALL):
        keywords = re.search(r"^  keywords = \{(.*?)\},\n", text, re.MULTILINE | re.DOTALL)
        key = re.match(r"@\w+\{(\S+),", text)
        assert keywords is not None and key is not None
        of = tuple(one.strip() for one in keywords[1].split(","))
        found.append(Entry(key[1], of, text.replace(keywords[0], "")))
    return found


def cited(cells: Iterable[CellConfig]) -> tuple[list[Entry], list[str]]:
    """The entries of htbench, the methods and the datasets of these cells, and the subjects that have none."""
    subjects = dict.fromkeys(subject for cell in cells for subject in _subjects(cell))
    known = entries()
    used = [entry for entry in known if entry.key == _SUBJECT or subjects.keys() & set(entry.of)]
    covered = {subject for entry in known for subject in entry.of}
    return used, [subject for subject in subjects if subject not in covered]


def bibtex(cells: Iterable[CellConfig]) -> str:
    """What `cited` says as the text of a .bib file; comments say what each entry is for, and what has none."""
    cells = list(cells)
    used, missing = cited(cells)
    names = {subject for cell in cells for subject in _subjects(cell)}
    blocks = []
    for entry in used:
        of = [subject.replace(":", " ") for subject in entry.of if subject in names]
        blocks.append(f"% {', '.join(of) or 'the benchmark'}\n{entry.text}\n")
    for subject in missing:
        kind, _, name = subject.partition(":")
        why = "a plugin: cite what its authors ask for" if kind == "method" else "your own pictures: cite their source"
        blocks.append(f"% {kind} {name} has no entry here; it is {why}\n")
    return "\n".join(blocks)


def _subjects(cell: CellConfig) -> list[str]:
    """What a cell uses: its method, its data set or those that it is a mixture of, and those of its further tests."""
    tested = [test.dataset for test in cell.tests if test.dataset is not None]
    datasets = [name for dataset in (cell.dataset, *tested) for name in dataset.names if name != "mixture"]
    return [f"method:{cell.method}", *(f"dataset:{name}" for name in datasets)]
