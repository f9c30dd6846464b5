"""One page that leads to all reports of a folder: what each grid asked and found."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.machine.files import write_text
from benchmark.reporting.page import environment
from benchmark.reporting.rows import task_text
from benchmark.reporting.summary import Summary
from benchmark.reporting.tables.results import budget


@dataclass(frozen=True)
class Entry:
    """A report in the index: its folder, and what is said of it."""

    folder: str
    name: str
    question: str
    sentence: str
    facts: str


def entry(folder: Path, summary: Summary) -> Entry:
    """What the index says of a report."""
    record = summary.record
    done = sum(cell.state == "done" for cell in record.cells)
    tasks = ", ".join(dict.fromkeys(task_text(cell) for cell in record.cells))
    facts = f"{tasks} · {done} of {len(record.cells)} cells done · {budget(record)}"
    return Entry(folder.name, record.name, summary.answer.question, summary.answer.sentence, facts)


def write_index(root: Path, entries: Sequence[Entry]) -> None:
    """Write `index.html`; grids that ask a question come first."""
    ordered = sorted(entries, key=lambda one: (not one.question, one.name))
    write_text(root / "index.html", environment().get_template("index.html.j2").render(entries=ordered))
