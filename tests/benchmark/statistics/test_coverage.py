"""The table and figure of simulated coverage say what the simulation found."""

import csv
from pathlib import Path

from benchmark.statistics.coverage import to_figure, write
from benchmark.statistics.simulation import KEPT, RULES, SCENARIOS, SEEDS, simulate

ROOT = Path(__file__).parents[3]


def test_table_and_figure_hold_every_case(tmp_path: Path) -> None:
    results = [one for seeds in SEEDS for name in SCENARIOS for one in simulate(name, 4, seeds, 3, seed=0)]
    write(results, tmp_path, "a command")
    with (tmp_path / "coverage.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(results) == 2 * len(SEEDS) * len(SCENARIOS) * len(RULES)
    assert {float(line["coverage"]) for line in lines} == {round(one.coverage, 4) for one in results}
    text = (tmp_path / "coverage.md").read_text()
    assert "Made by `a command`" in text
    for seeds in SEEDS:
        shown = [
            f"{100 * one.without_collapse:.1f}"
            for one in results
            if (one.quantity, one.rule, one.seeds) == ("mean", KEPT, seeds)
        ]
        assert f"| {seeds} | 4 | **{KEPT}** | {' | '.join(shown)} |" in text
    assert (tmp_path / "coverage.svg").stat().st_size > 1000
    for axes in to_figure(results).axes:
        assert [text.get_text() for text in axes.get_xticklabels()] == [f"{seeds} seeds" for seeds in SEEDS]


def test_the_same_case_is_the_same_numbers() -> None:
    assert simulate("unequal", 4, 2, 2, seed=1) == simulate("unequal", 4, 2, 2, seed=1)
    assert simulate("unequal", 4, 2, 2, seed=1) != simulate("unequal", 4, 2, 2, seed=2)


def test_the_committed_table_is_of_these_rules_and_scenarios() -> None:
    with (ROOT / "results" / "coverage" / "coverage.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert {line["rule"] for line in lines} == set(RULES)
    assert {line["scenario"] for line in lines} == set(SCENARIOS)
    kept = [line for line in lines if line["rule"] == KEPT and int(line["cells"]) >= 4]
    # With four comparable cells or more, in every scenario; what the page next to it says.
    assert all(0.935 < float(line["without_collapse"]) < 0.985 for line in kept)
