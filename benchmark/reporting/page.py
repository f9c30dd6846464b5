"""The report as one HTML page that needs nothing else: no network, no other file."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from benchmark.reporting.figures.figure import Drawn
from benchmark.reporting.figures.ranks import why_no_diagram
from benchmark.reporting.findings import findings, headlines
from benchmark.reporting.pictures import data_uri, inline
from benchmark.reporting.record import Record
from benchmark.reporting.reproduce import by_commit, commands
from benchmark.reporting.rows import settings, task_text
from benchmark.reporting.tables.on_page import to_page
from benchmark.reporting.tables.results import budget
from benchmark.reporting.tables.table import signed, to_html

if TYPE_CHECKING:
    from jinja2 import Environment

    from benchmark.reporting.summary import Summary

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Section:
    """A section of the page: `templates/sections/<name>.html.j2`, its label in the contents, its title, what it needs.

    Where what `needs` names is empty among the page's facts, the section is left out. Where it is not `open`,
    it is folded at first.
    """

    name: str
    label: str
    title: str
    needs: str | None = None
    open: bool = True


SECTIONS = (
    Section("choice", "Which method", "Which method to pick"),
    Section("by-channels", "By channels", "By channels", needs="by_channels"),
    Section("lake-oneshot", "One-shot runs", "Lake's one-shot runs", needs="errors"),
    Section("results", "All results", "All results"),
    Section("figures", "Figures", "Figures", needs="figures"),
    Section("comparisons", "Comparisons", "Comparisons with the best", needs="compared", open=False),
    Section("seeds", "Seeds", "Seeds", needs="seeded", open=False),
    Section("published", "Published numbers", "Published numbers", needs="published", open=False),
    Section("pictures", "Inside", "Inside trained models", needs="pictures", open=False),
    Section("unfinished", "Failed and missing", "Failed and missing cells", needs="unfinished"),
    Section("provenance", "Provenance", "Provenance", open=False),
    Section("reproduce", "Reproduce", "Reproduce", open=False),
)
"""The sections in the order of the page; to add one, write its template and give it a place here."""


def environment() -> "Environment":
    """Where pages find their templates, and what these may use."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"groupby_in_order": _groups, "signed": signed}
    return made


def report_page(
    summary: "Summary", lead: Sequence[Drawn], figures: Sequence[Drawn], facts: dict[str, Any], folder: Path
) -> str:
    """The page; `folder` holds the figures, of which those in `lead` come first, for wide and for narrow screens."""
    from markupsafe import Markup

    record = summary.record
    pictures: dict[str, list[str]] = {}
    for path in sorted(folder.glob("inspect/*/*.svg")):
        pictures.setdefault(path.parent.name, []).append(data_uri(path))
    unfinished = [cell for cell in record.cells if cell.state != "done"]
    published = [(row, match) for row in summary.rows for match in row.published]

    def draw(figure: Drawn, *, shrink: bool = False) -> Markup:
        return Markup(inline(folder / f"{figure.name}.svg", f"{figure.title}. {figure.caption}", shrink=shrink))

    made = by_commit(record)
    known = dict(
        tasks=", ".join(dict.fromkeys(task_text(cell) for cell in record.cells)),
        record=record,
        headlines=headlines(record, summary.rows),
        findings=findings(summary.rows),
        table=Markup(to_page(summary.table)),
        by_channels=summary.by_channels,
        by_channels_table=Markup(to_html(summary.by_channels)) if summary.by_channels else "",
        errors=summary.errors,
        errors_table=Markup(to_html(summary.errors)) if summary.errors else "",
        why_no_diagram=why_no_diagram(summary.rows),
        pictures=pictures,
        resolved=resolved(record),
        made=made,
        commands=commands(made, "again"),
        in_minutes=any(cell.config.train.minutes is not None for cell in record.cells),
        notes=summary.table.notes,
        answer=summary.answer,
        widths=_widths(summary),
        lead=[(figure, draw(figure, shrink=len(lead) > 1)) for figure in lead],
        figures=[(figure, draw(figure)) for figure in figures if figure not in lead],
        unfinished=unfinished,
        done=len(record.cells) - len(unfinished),
        rows=summary.rows,
        compared=[row for group in settings(summary.rows).values() for row in group if row.comparison],
        seeded=[row for row in summary.rows if row.seed_means],
        published=published,
        protocols={p.paper: p.protocol for _, match in published if (p := match.published).protocol},
        budget=budget(record),
        facts=facts,
    )
    sections = [section for section in SECTIONS if section.needs is None or known[section.needs]]
    page = environment().get_template("report.html.j2").render(known, sections=sections)
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


def _groups(items: Sequence[Any], attribute: str) -> list[tuple[Any, list[Any]]]:
    """The items by an attribute, in order of appearance."""
    found: dict[Any, list[Any]] = {}
    for item in items:
        found.setdefault(getattr(item, attribute), []).append(item)
    return list(found.items())


def _widths(summary: "Summary") -> str:
    """What the widths of the settings are called, if there are several: `channels`."""
    widths = dict.fromkeys(best.width for best in summary.answer.best)
    names = dict.fromkeys(width.partition(" ")[2] for width in widths if width)
    return " or ".join(names) if len(widths) > 1 else ""
