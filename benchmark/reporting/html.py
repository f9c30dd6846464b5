"""The report as one HTML page that needs nothing else: no network, no other file."""

import base64
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.reporting.figures import Drawn
from benchmark.reporting.results_table import budget
from benchmark.reporting.rows import settings, task_text
from benchmark.reporting.tables import to_html

if TYPE_CHECKING:
    from benchmark.reporting.report import Summary

_TEMPLATES = Path(__file__).parent / "templates"


def report_page(summary: "Summary", figures: Sequence[Drawn], facts: dict[str, Any], folder: Path) -> str:
    """The page; `folder` holds the figures."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    record = summary.record
    unfinished = [cell for cell in record.cells if cell.state != "done"]
    page = environment.get_template("report.html.j2").render(
        tasks=", ".join(dict.fromkeys(task_text(cell) for cell in record.cells)),
        record=record,
        sentences=summary.sentences,
        table=Markup(to_html(summary.table)),
        notes=summary.table.notes,
        figures=[(figure, _data_uri(folder / f"{figure.name}.svg")) for figure in figures],
        unfinished=unfinished,
        done=len(record.cells) - len(unfinished),
        rows=summary.rows,
        compared=[row for group in settings(summary.rows).values() for row in group if row.comparison],
        published=[(row, match) for row in summary.rows for match in row.published],
        budget=budget(record),
        facts=facts,
    )
    return re.sub(r"\n\s*\n+", "\n", page)


def _data_uri(path: Path) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"
