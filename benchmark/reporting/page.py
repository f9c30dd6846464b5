"""The report as one HTML page that needs nothing else: no network, no other file."""

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from benchmark.reporting.figures.figure import Figure
from benchmark.reporting.figures.ranks import why_no_diagram
from benchmark.reporting.findings import findings, headlines
from benchmark.reporting.record import Record
from benchmark.reporting.rows import settings, task_text
from benchmark.reporting.tables.results import budget
from benchmark.reporting.tables.table import to_html

if TYPE_CHECKING:
    from benchmark.reporting.summary import Summary

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Section:
    """A section of the page: `templates/sections/<name>.html.j2`, its label in the contents, and what it needs.

    Where what `needs` names is empty among the page's facts, the section is left out.
    """

    name: str
    label: str
    needs: str | None = None


SECTIONS = (
    Section("choice", "Which method"),
    Section("by-channels", "By channels", needs="by_channels"),
    Section("results", "All results"),
    Section("figures", "Figures", needs="figures"),
    Section("comparisons", "Comparisons", needs="compared"),
    Section("published", "Published numbers", needs="published"),
    Section("pictures", "Inside", needs="pictures"),
    Section("unfinished", "Failed and missing", needs="unfinished"),
    Section("provenance", "Provenance"),
    Section("reproduce", "Reproduce"),
)
"""The sections in the order of the page; to add one, write its template and give it a place here."""


def report_page(summary: "Summary", figures: Sequence[Figure], facts: dict[str, Any], folder: Path) -> str:
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
    pictures: dict[str, list[str]] = {}
    for path in sorted(folder.glob("inspect/*/*.svg")):
        pictures.setdefault(path.parent.name, []).append(_data_uri(path))
    unfinished = [cell for cell in record.cells if cell.state != "done"]
    published = [(row, match) for row in summary.rows for match in row.published]
    known = dict(
        tasks=", ".join(dict.fromkeys(task_text(cell) for cell in record.cells)),
        record=record,
        headlines=headlines(record, summary.rows),
        findings=findings(summary.rows),
        table=Markup(to_html(summary.table)),
        by_channels=summary.by_channels,
        by_channels_table=Markup(to_html(summary.by_channels)) if summary.by_channels else "",
        why_no_diagram=why_no_diagram(summary.rows),
        pictures=pictures,
        resolved=resolved(record),
        in_minutes=any(cell.config.train.minutes is not None for cell in record.cells),
        notes=summary.table.notes,
        figures=[(figure, _data_uri(folder / f"{figure.name}.svg")) for figure in figures],
        unfinished=unfinished,
        done=len(record.cells) - len(unfinished),
        rows=summary.rows,
        compared=[row for group in settings(summary.rows).values() for row in group if row.comparison],
        published=published,
        protocols={p.paper: p.protocol for _, match in published if (p := match.published).protocol},
        budget=budget(record),
        facts=facts,
    )
    sections = [section for section in SECTIONS if section.needs is None or known[section.needs]]
    page = environment.get_template("report.html.j2").render(known, sections=sections)
    return re.sub(r"\n\s*\n+", "\n", page)


def resolved(record: Record) -> str:
    """The settings of the cells with all defaults, as YAML: those all cells share, then those that vary."""
    settings = [_flat(cell.config.model_dump(mode="json", exclude={"plugins", "content"})) for cell in record.cells]
    values = {name: [one.get(name) for one in settings] for one in settings for name in one}
    shared = {name: found[0] for name, found in values.items() if all(one == found[0] for one in found)}
    varying = {name: list({json.dumps(one): one for one in found}.values())
               for name, found in values.items() if name not in shared}  # fmt: skip
    return yaml.safe_dump({"every cell": shared, "varies": varying}, sort_keys=False, allow_unicode=True)


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings under dotted names."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found


def _data_uri(path: Path) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"
