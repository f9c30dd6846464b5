"""Writing a report: the record of the cells, and everything derived from it.

    results/<name>/
      grid.yaml  cells.json  *.npz              the record (see `benchmark.reporting.record`)
      table.md  table.csv  table-full.tex       the table of results; the CSV has more columns
      table.tex                                 the same with the columns that a paper wants
      table-by-channels.*                       methods by channels, published numbers beneath
      table-lake-oneshot.*                      errors on Lake's runs beside published ones, where they were tested
      pairs.csv                                 every two methods of a setting, compared
      *.png  *.svg                              figures
      report.html                               all of it on one page that needs nothing else
      provenance.json                           code, libraries, machines, data
      inspect/<cell>/*                          pictures that `htbench inspect` drew of cells, copied

The derived files are a function of the record: `rebuild_report` writes the same bytes again.
"""

import hashlib
import importlib.util
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.cells.folder import ExperimentFolder
from benchmark.errors import UserError
from benchmark.machine.files import make_folder, write_text
from benchmark.reporting.record import Record, collect
from benchmark.reporting.summary import Summary, summarize
from benchmark.reporting.tables.pairs import pairs_table
from benchmark.reporting.tables.paper import paper_table
from benchmark.reporting.tables.results import results_table
from benchmark.reporting.tables.table import to_csv, to_latex, to_markdown

if TYPE_CHECKING:
    from benchmark.grid import Grid


def write_report(
    grid: "Grid", experiment: ExperimentFolder, out: Path, columns: Sequence[str] = (), *, overwrite: bool = False
) -> Summary:
    """Read the run directory and write the report of whatever is finished to the folder `out`.

    `columns` are those of table.tex, if not the usual ones.

    Raises:
        UserError: `out` holds another report (see `check_replaces`) and not `overwrite`, or cannot be written, or a
            library of the report extra is missing.
    """
    return save_report(collect(grid, experiment), experiment, out, columns, overwrite=overwrite)


def save_report(
    record: Record, experiment: ExperimentFolder, out: Path, columns: Sequence[str] = (), *, overwrite: bool = False
) -> Summary:
    """`write_report` of a record already read; `experiment` has the pictures of `htbench inspect`."""
    if not overwrite:
        check_replaces(record, out)
    record.save(out)
    for cell in record.cells:
        for picture in sorted((experiment.folder / cell.folder / "inspect").glob("*.*g")):  # png and svg
            copy = out / "inspect" / cell.folder / picture.name
            make_folder(copy.parent)
            shutil.copyfile(picture, copy)
    return _derive(record, out, columns)


def rebuild_report(out: Path, columns: Sequence[str] = ()) -> Summary:
    """Write every derived file again from the record in `out`; the run directory is not needed.

    `columns` are those of table.tex, if not the usual ones.

    Raises:
        UserError: the record is missing or damaged.
    """
    return _derive(Record.load(out), out, columns)


def check_replaces(record: Record, out: Path) -> None:
    """Refuse to write the record over that of another grid, or over finished cells that it does not have.

    Raises:
        UserError: saying which, and what to do instead.
    """
    if not (out / "cells.json").exists():
        return
    otherwise = "choose another --out, or --overwrite to replace it"
    try:
        there = Record.load(out)
    except UserError as error:
        raise UserError(f"{error}; {otherwise}") from error
    states = {cell.key: cell.state for cell in record.cells}
    if states.keys().isdisjoint(cell.key for cell in there.cells):
        raise UserError(f"{out}/ holds the report of another grid, {there.name}, with none of these cells; {otherwise}")
    done = [cell for cell in there.cells if cell.state == "done" and states.get(cell.key) not in ("done", "outdated")]
    lost = [cell.folder for cell in done]
    scored = {(cell.key, one.test.key) for cell in record.cells for one in cell.tests if one.state == "done"}
    gone = [
        f"test {one.test.name} of {cell.folder}"
        for cell in there.cells
        for one in cell.tests
        if one.state == "done" and (cell.key, one.test.key) not in scored and cell.folder not in lost
    ]
    if lost:
        raise UserError(
            f"{out}/ holds {len(lost)} finished cells that are not at hand here, such as {lost[0]};"
            f" count them as run with htbench adopt {out}, {otherwise}"
        )
    if gone:
        raise UserError(
            f"{out}/ holds {len(gone)} scores of further tests that are not at hand here, such as {gone[0]};"
            f" {otherwise}"
        )


def rebuild_all(root: Path) -> Iterator[tuple[Path, UserError | None]]:
    """`rebuild_report` of every folder in `root` that has a record, one after the other.

    Gives each when it is done, or with what is wrong with it. At the end it writes `index.html` into `root`, which
    leads to all that were rebuilt.

    Raises:
        UserError: there is none.
    """
    folders = sorted(path.parent for path in root.glob("*/cells.json"))
    if not folders:
        raise UserError(f"{root}/ has no folder that htbench report wrote")
    from benchmark.reporting.index import entry, write_index

    entries = []
    for folder in folders:
        try:
            entries.append(entry(folder, rebuild_report(folder)))
        except UserError as error:
            yield folder, error
        else:
            yield folder, None
    write_index(root, entries)


def provenance(record: Record, folder: Path) -> dict[str, Any]:
    """Every version, machine, data set and test set behind the numbers, and the hashes of the record."""
    results = [cell.result for cell in record.cells if cell.result is not None]
    tests = [one.record for cell in record.cells for one in cell.tests if one.record is not None]
    sources = [source for source in (*(r.provenance for r in results), *(r.provenance for r in tests)) if source]
    return {
        "name": record.name,
        "commits": _distinct(s.commit for s in sources),
        "uncommitted_changes": any(s.uncommitted_changes for s in sources),
        "versions": _distinct(s.versions for s in sources),
        "hardware": _distinct({**s.hardware, "device": s.device} for s in sources),
        "started": min((s.started for s in sources), default=None),
        "finished": max((s.finished for s in sources), default=None),
        "training_hours": round(sum(r.training.seconds for r in results if r.training) / 3600, 3),
        "datasets": _distinct(
            data.model_dump() for data in (*(r.data for r in results), *(r.data for r in tests)) if data
        ),
        "test_episodes_sha256": _distinct(
            [*(r.test.sha256 for r in results if r.test), *(r.score.sha256 for r in tests if r.score)]
        ),
        "record_sha256": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in record.files},
    }


def _derive(record: Record, out: Path, columns: Sequence[str] = ()) -> Summary:
    from benchmark.reporting.figures import draw_all, first_of
    from benchmark.reporting.figures.lead import draw_lead
    from benchmark.reporting.page import report_page

    for library in ("jinja2", "matplotlib"):
        if importlib.util.find_spec(library) is None:
            raise UserError(f"a report needs {library}, which is not installed; pip install 'htbench[report]'")
    summary = summarize(record)
    facts = provenance(record, out)
    write_text(out / "table.md", to_markdown(summary.table))
    write_text(out / "table.tex", to_latex(paper_table(summary.table, columns), f"tab:{record.name}"))
    write_text(out / "table-full.tex", to_latex(summary.table, f"tab:{record.name}-full"))
    write_text(out / "table.csv", to_csv(results_table(record, summary.rows, details=True)))
    if summary.by_channels is not None:
        write_text(out / "table-by-channels.md", to_markdown(summary.by_channels))
        write_text(out / "table-by-channels.csv", to_csv(summary.by_channels))
        write_text(out / "table-by-channels.tex", to_latex(summary.by_channels, f"tab:{record.name}-by-channels"))
    if summary.errors is not None:
        write_text(out / "table-lake-oneshot.md", to_markdown(summary.errors))
        write_text(out / "table-lake-oneshot.csv", to_csv(summary.errors))
        write_text(out / "table-lake-oneshot.tex", to_latex(summary.errors, f"tab:{record.name}-lake-oneshot"))
    pairs = pairs_table(summary.rows)
    if pairs is not None:
        write_text(out / "pairs.csv", to_csv(pairs))
    write_text(out / "provenance.json", json.dumps(facts, indent=1, sort_keys=True) + "\n")
    figures = draw_all(summary.rows, out)
    lead = draw_lead(summary.contrasts, out, asked=bool(record.question)) or first_of(figures)
    write_text(out / "report.html", report_page(summary, lead, figures, facts, out))
    return summary


def _distinct(values: Iterable[Any]) -> list[Any]:
    """Different values in a fixed order."""
    found = {json.dumps(value, sort_keys=True): value for value in values}
    return [found[key] for key in sorted(found)]
