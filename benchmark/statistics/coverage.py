"""The table and the figure of simulated coverage.

    python -m benchmark.statistics.coverage --out results/coverage

writes coverage.csv, coverage.md and coverage.svg; it takes half an hour of one core.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark import figure_style
from benchmark.statistics.simulation import (
    BEFORE,
    EPISODES,
    KEPT,
    METHODS,
    RULES,
    SCENARIOS,
    SEEDS,
    SIZES,
    TROUBLES,
    Coverage,
    simulate,
)

if TYPE_CHECKING:
    import matplotlib.figure

QUANTITIES = {"mean": "Mean of a cell", "difference": "Difference of two methods, paired"}
WANTED = 94.0, 97.0
"""Where coverage should be, in percent."""


def to_csv(results: Sequence[Coverage]) -> str:
    """One line per case and rule."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([field.name for field in fields(Coverage)])
    for one in results:
        values = [getattr(one, field.name) for field in fields(Coverage)]
        writer.writerow([f"{value:.4f}" if isinstance(value, float) else value for value in values])
    return out.getvalue()


def to_markdown(results: Sequence[Coverage], command: str) -> str:
    """First the range of each rule over all cases, then each case."""
    lines = [
        "# Simulated coverage of nominal 95 % intervals",
        "",
        f"Made by `{command}`: {EPISODES} shared episodes, {METHODS} methods to a setting (at most), and the group that"
        " shares a prior is the whole grid. In percent: intervals that hold the truth, the mean of trainings that do"
        " not collapse, among those of cells and pairs without a collapsed training. One with a collapse rests on its"
        " own variance under every rule: a wide interval, which nearly always covers (`coverage` in"
        " [coverage.csv](coverage.csv) counts them as well). What is simulated is in"
        " benchmark/statistics/simulation.py, what follows from it in [README.md](README.md).",
        "",
        *(f"- {name}: {text}" for name, text in TROUBLES.items()),
        "",
        "## Lowest and highest of all scenarios and sizes of grids",
        "",
        f"Kept: *{KEPT}*. Before: *{BEFORE}*.",
        "",
        f"| rule | {' | '.join(f'{quantity}, {seeds} seeds' for quantity in QUANTITIES for seeds in SEEDS)} |",
        f"|---|{'--:|' * (len(QUANTITIES) * len(SEEDS))}",
    ]
    for rule in RULES:
        spans = [_span(results, quantity, rule, seeds) for quantity in QUANTITIES for seeds in SEEDS]
        lines.append(f"| {_name(rule)} | {' | '.join(f'{low:.1f} to {high:.1f}' for low, high in spans)} |")
    for quantity, title in QUANTITIES.items():
        lines += ["", f"## {title}", "", *_cases([one for one in results if one.quantity == quantity])]
    return "\n".join([*lines, ""])


def _span(results: Sequence[Coverage], quantity: str, rule: str, seeds: int) -> tuple[float, float]:
    found = [
        100 * one.without_collapse for one in results if (one.quantity, one.rule, one.seeds) == (quantity, rule, seeds)
    ]
    return min(found), max(found)


def _cases(results: Sequence[Coverage]) -> list[str]:
    scenarios = list(dict.fromkeys(one.scenario for one in results))
    head = ["seeds", "cells", "rule", *scenarios, "narrowest tenth, unequal", "median half-width, equal (points)"]
    lines = [f"| {' | '.join(head)} |", f"|{'--:|' * 2}---|{'--:|' * (len(scenarios) + 2)}"]
    table: dict[tuple[int, int, str], dict[str, Coverage]] = {}
    for one in results:
        table.setdefault((one.seeds, one.cells, one.rule), {})[one.scenario] = one
    for (seeds, cells, rule), by_scenario in table.items():
        shown = [f"{100 * by_scenario[name].without_collapse:.1f}" for name in scenarios]
        narrow = f"{100 * by_scenario['unequal'].narrowest_tenth:.1f}"
        width = f"{100 * by_scenario['equal'].median_half_width:.2f}"
        lines.append(f"| {' | '.join([str(seeds), str(cells), _name(rule), *shown, narrow, width])} |")
    return lines


def _name(rule: str) -> str:
    return f"**{rule}**" if rule == KEPT else rule


def to_figure(results: Sequence[Coverage]) -> "matplotlib.figure.Figure":
    """For means and for differences: each case a dot, by rule and number of seeds; the band is what is wanted."""
    import matplotlib.figure

    looks = figure_style.looks({rule: (rule, "") for rule in RULES})
    figure = matplotlib.figure.Figure(figsize=(2 * figure_style.COLUMN, 3.2), layout="constrained")
    for axes, (quantity, title) in zip(figure.subplots(1, 2, sharey=True), QUANTITIES.items(), strict=True):
        axes.axhspan(*WANTED, color="#009E73", alpha=0.12, linewidth=0)
        axes.axhline(95, color="#777777", linewidth=0.8)
        for index, (rule, look) in enumerate(looks.items()):
            for place, seeds in enumerate(SEEDS):
                x = place + 0.15 * (index - (len(looks) - 1) / 2)
                of = [one for one in results if (one.quantity, one.rule, one.seeds) == (quantity, rule, seeds)]
                dots = [100 * one.without_collapse for one in of]
                axes.plot([x, x], [min(dots), max(dots)], color=look.color, linewidth=0.8)
                axes.plot([x] * len(dots), dots, look.marker, color=look.color, markersize=2.5, alpha=0.6,
                          label=rule if place == 0 else None)  # fmt: skip
        axes.set_title(title)
        axes.set_xticks(range(len(SEEDS)), [f"{seeds} seeds" for seeds in SEEDS])
        axes.grid(visible=False, axis="x")
    figure.axes[0].set_ylabel("intervals that hold the truth (%)")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def main(
    out: Annotated[Path, typer.Option(help="Folder for coverage.csv, coverage.md and coverage.svg")] = Path(
        "results/coverage"
    ),
    intervals: Annotated[int, typer.Option(help="Cells simulated per case")] = 6000,
    seed: Annotated[int, typer.Option(help="Another one is a fresh test")] = 2611,
) -> None:
    """Simulate every case and write the table and the figure."""
    results = [
        one
        for seeds in SEEDS
        for cells in SIZES
        for scenario in SCENARIOS
        for one in simulate(scenario, cells, seeds, -(-intervals // cells), seed)
    ]
    write(results, out, f"python -m benchmark.statistics.coverage --intervals {intervals} --seed {seed}")


def write(results: Sequence[Coverage], out: Path, command: str) -> None:
    """The table and the figure of these results, which this command made."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "coverage.csv").write_text(to_csv(results))
    (out / "coverage.md").write_text(to_markdown(results, command))
    with figure_style.drawing():
        figure_style.save(to_figure(results), out, "coverage")


if __name__ == "__main__":
    typer.run(main)
