"""The grid with the settings that tuning chose."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.cells.config import TuneConfig
from benchmark.cells.declared import size, size_axis
from benchmark.grid import Grid
from benchmark.grid.axes import axis_path
from benchmark.grid.source import dump, load
from benchmark.machine.files import write_text
from benchmark.tuning.search import Search
from benchmark.tuning.space import Point, point_text, space_text


def write_tuned_grid(grid: Grid, searches: Sequence[Search], settings: TuneConfig) -> Path:
    """Write `<grid>-tuned.yaml` beside the grid: the same with an override per method; returns its path.

    Comments say what was searched and found; `tuned:` is shown in the report.
    """
    content, _ = load(grid.source)
    content.pop("tune", None)
    chosen = {search.method: best.point for search in searches if (best := search.best)}
    overrides = [_override(method, point) for method, point in chosen.items()]
    content["overrides"] = [*(content.get("overrides") or []), *overrides]
    found = "; ".join(f"{method}: {point_text(point)}" for method, point in chosen.items())
    content |= {"name": f"{grid.name}-tuned", "tuned": f"{effort(searches, settings)}. Chosen: {found}"}
    header = [f"Written by htbench tune {grid.source.name}: {effort(searches, settings)}.", *map(_summary, searches)]
    path = grid.source.with_name(f"{grid.source.stem}-tuned.yaml")
    write_text(path, "".join(f"# {line}\n" for line in header) + dump(content))
    return path


def effort(searches: Sequence[Search], settings: TuneConfig) -> str:
    """`12 trials of 2 minutes for each method, on validation episodes only`."""
    budgets = dict.fromkeys(_budget(trial.config.train) for search in searches for trial in search.trials[:1])
    trials = f"{settings.trials} trial{'s' if settings.trials > 1 else ''}"
    return f"{trials} of {' or '.join(budgets)} for each method, on validation episodes only (seed {settings.seed})"


def _budget(train: Any) -> str:
    return f"{train.minutes:g} minutes" if train.minutes is not None else f"{train.steps:,} steps"


def _override(method: str, point: Point) -> dict[str, Any]:
    override: dict[str, Any] = {"when": {"method": method}}
    for axis, value in point.items():
        section, name = axis_path(axis)
        override.setdefault(section, {})[name] = value
    return override


def _summary(search: Search) -> str:
    """What a reader should know about one method's trials."""
    failed = len(search.trials) - len(search.finished)
    best, own = search.best, search.trials[0].accuracy
    if best is None:
        return f"{search.method}: all {failed} trials failed, left as it was"
    before = "failed" if own is None else f"{own:.2%}"
    width = size(search.base)
    where = "" if width is None else f"{width} {size_axis(search.method)}, "
    return (
        f"{search.method}: validation accuracy {best.accuracy:.2%} in trial {best.number + 1}, the grid's own setting"
        f" {before}, {failed} failed; {where}seed {search.base.seed}; searched {space_text(search.space)}"
    )
