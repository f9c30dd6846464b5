"""Lake's one-shot runs as their field tells them: errors in percent, ours among the published ones."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from benchmark.reporting.row import Row
from benchmark.reporting.tables.table import Column, Estimate, Parts, Table, Value

_COLUMNS = [
    Column("learner", "learner"),
    Column("error", "error %"),
    Column("seeds", "seeds"),
    Column("source", "source"),
]


@cache
def published_errors() -> dict[str, Any]:
    """The paper, and the error in percent of each learner in it."""
    path = Path(__file__).parents[1] / "published_errors" / "lake-oneshot.yaml"
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def errors_table(rows: Sequence[Row]) -> Table | None:
    """One line per row of Lake's runs and per published learner, the lowest error first; None without such a row."""
    ours = [row for row in rows if row.as_error and row.interval is not None]
    if not ours:
        return None
    published = published_errors()
    found: list[tuple[float, dict[str, Value]]] = []
    for row in ours:
        assert row.interval is not None
        size = f", {row.size_text}" if row.size_text and row.size_text not in row.label else ""
        estimate = Estimate.of(row.interval)
        error = Estimate(1 - estimate.mean, estimate.half_width, row.bold, estimate.mark)
        line: dict[str, Value] = {"learner": f"{row.label}{size}", "error": error, "seeds": len(row.seeds)}
        found.append((100 * error.mean, line | {"source": "measured here"}))
    for one in published["values"]:
        error_text = Parts(f"{one['error']:.1f}", (one["error"] / 100, None))  # no interval was read with it
        found.append((one["error"], {"learner": one["learner"], "error": error_text, "source": "published"}))
    lines = [line for _, line in sorted(found, key=lambda pair: pair[0])]
    notes = [
        "measured here: mean ± half-width of the 95 % interval, over training seeds and the 20 runs of 20 queries each,"
        " which all learners share (*: one seed, so over the runs only)",
        f"published: {published['paper']}; trained on the background set only; read at second hand. Networks, sizes and"
        " training differ from ours",
    ]
    return Table(_COLUMNS, lines, "Lake's one-shot classification, 20-way within alphabets: errors", notes)
