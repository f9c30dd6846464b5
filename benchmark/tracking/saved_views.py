"""What MLflow's interface shows first: columns, filter and charts, saved with the experiment.

A view is what the interface's own "Share" button saves: an experiment tag with JSON, named in the page's address.
Should a later MLflow read it differently, the page opens as it would without.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.cells import metrics
from benchmark.cells.folder import State
from benchmark.grid import Grid

CELLS, MEANS, CHARTS = "htbench-cells", "htbench-means", "htbench-charts"
"""Names of the views: one row per cell, one row per setting with the mean over its seeds, the cells by method."""

_TAG = "mlflow.sharedViewState."
_INTERVAL = (metrics.TEST_ACCURACY, metrics.TEST_ACCURACY_LOW, metrics.TEST_ACCURACY_HIGH)
_LETTER, _AROUND = 7, 20  # pixels of a column's header, so that none is cut
_NOTE_LENGTH = 7500  # MLflow cuts a tag at 8000 characters
_GUIDE = """\
Each **cell** of the grid is a run: one method, one setting, one seed. All were tested on the same episodes.

- `test/accuracy` is the result; `test/accuracy_ci_low` and `_high` bound its 95 % interval over test episodes. \
Training saw neither these episodes nor their classes.
- `val/best_accuracy` chose the checkpoint that was tested.
- Rows named *mean of 3 seeds* are settings, with an interval that counts seeds and episodes. Compare these when \
methods are compared. The filter `tags.kind = 'aggregate'` shows them, `tags.kind = 'cell'` the cells.
- A row named *launch* is one `htbench run`; its artifacts hold the report, with paired comparisons, and the grid.
"""


def view_address(view: str) -> str:
    """The part of an experiment page's address that opens a view."""
    return f"&viewStateShareKey={view}"


def experiment_tags(grid: Grid) -> dict[str, str]:
    """The views and the experiment's description."""
    cells = _view("cell", [*_INTERVAL, metrics.BEST_VALIDATION_ACCURACY], ["tags.`status.reason`"])
    cells |= _charts(list(grid.axes), [metrics.VALIDATION_ACCURACY, metrics.TRAIN_LOSS])
    means = _view("aggregate", [*_INTERVAL, "seeds"])
    means |= _charts([axis for axis in grid.axes if axis != "seed"], [])
    by_method = {"aggregateFunction": "average", "groupByKeys": [{"mode": "param", "groupByData": "method"}]}
    # Lines and bars are runs, each in its method's colour: groups would have a colour by chance.
    charts = cells | {"groupBy": by_method, "useGroupedValuesInCharts": False}
    return {
        f"{_TAG}{CELLS}": json.dumps(cells),
        f"{_TAG}{MEANS}": json.dumps(means),
        f"{_TAG}{CHARTS}": json.dumps(charts),
        "mlflow.note.content": _GUIDE,
    }


def launch_note(grid: Grid, states: Counter[State], report: Path | None) -> str:
    """Markdown for the page of a launch: how far it is, and the report's table if it fits."""
    counts = ", ".join(f"{n} {state}" for state, n in sorted(states.items()))
    note = f"{grid.name}, {len(grid.cells)} cells: {counts}"
    table = None if report is None else report / "table.md"
    if table is not None and table.is_file():
        note += "\n\nThe whole report: `report/report.html` under Artifacts."
        with_table = f"{note}\n\n{table.read_text()}"
        note = with_table if len(with_table) < _NOTE_LENGTH else note
    return note


def _view(kind: str, measured: list[str], others: Sequence[str] = ()) -> dict[str, Any]:
    """A table of one kind of run, the best first. What varies is in a run's name, so all columns are seen at once."""
    widths = {f"metrics.`{name}`": _LETTER * len(name) + _AROUND for name in measured} | dict.fromkeys(others, 140)
    first = {"attributes.`Run Name`": 270, "runDateAndNestInfo": 150, "duration": 80}
    return {
        "searchFilter": f"tags.kind = '{kind}'",
        "orderByKey": f"metrics.`{metrics.TEST_ACCURACY}`",
        "orderByAsc": False,
        "selectedColumns": [*widths],
        "columnOrder": [*first, *widths],
        "columnWidths": first | widths,
        "runsHiddenMode": "SHOW_ALL",
    }


def _charts(params: list[str], curves: list[str]) -> dict[str, Any]:
    """Test accuracies as bars, curves over steps, and parallel coordinates from what varies to the accuracy."""
    section = "htbench"
    common = {"metricSectionId": section, "deleted": False, "isGenerated": False}
    charts: list[dict[str, Any]] = [{"type": "BAR", "metricKey": metrics.TEST_ACCURACY, "runsCountToCompare": 100}]
    charts += [
        {
            "type": "LINE",
            "metricKey": name,
            "selectedMetricKeys": [name],
            "xAxisKey": "step",
            "lineSmoothness": 0,
            "runsCountToCompare": 100,
        }
        for name in curves
    ]
    parallel = {"selectedParams": params, "selectedMetrics": [metrics.TEST_ACCURACY], "showAllRuns": False}
    charts.append({"type": "PARALLEL", **parallel})
    return {
        "compareRunSections": [{"uuid": section, "name": "Comparison", "display": True, "isReordered": False}],
        "compareRunCharts": [{"uuid": f"{section}-{n}", **chart, **common} for n, chart in enumerate(charts)],
    }
