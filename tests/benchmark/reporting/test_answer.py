"""The question of a grid, and the answer in the first screen of its report."""

from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.container import ErrorbarContainer

from benchmark.reporting.contrasts import find_contrasts, named_methods
from benchmark.reporting.figures.lead import by_width, in_one_column
from benchmark.reporting.record import Record, collect
from benchmark.reporting.row import compare_rows
from benchmark.reporting.summary import Summary, summarize
from tests.benchmark.reporting.drawn import drawn
from tests.benchmark.reporting.simulated import make_grid, simulate

SKILL = {"protonet": 0.70, "ht-all": 0.80, "ht-logits": 0.85, "maml++": 0.75}


def record_of(tmp_path: Path, question: str = "", **grid_options: object) -> Record:
    options = {"methods": tuple(SKILL), "channels": (16, 4), "seeds": (0, 1, 2), **grid_options}
    grid = make_grid(**options)  # type: ignore[arg-type]
    record = collect(grid, simulate(grid, tmp_path, lambda cell: SKILL[cell.method]))
    return replace(record, grid_text=f"name: x\nquestion: {question}\n" if question else "name: x\n")


def test_methods_are_found_by_name_in_the_order_of_the_question() -> None:
    known = ["ht", "ht-all", "ht-logits", "maml", "maml++"]
    assert named_methods("Does ht-logits (or ht-all) beat maml++?", known) == ["ht-logits", "ht-all", "maml++"]
    assert named_methods("Is this maml as good as ht?", known) == ["maml", "ht"]
    assert named_methods("Do hts beat mamls?", known) == []


def test_a_question_names_the_differences(tmp_path: Path) -> None:
    summary = summarize(record_of(tmp_path, "Do ht-logits and ht-all beat maml++?"))
    assert [(one.a, one.b) for one in summary.contrasts] == [("ht-logits", "maml++"), ("ht-all", "maml++")]
    of = {(row.method, row.channels): row for row in summary.rows}
    for contrast in summary.contrasts:
        assert [point.width for point in contrast.points] == [4, 16]
        for point in contrast.points:
            alone = compare_rows(of[contrast.a, point.width], of[contrast.b, point.width])
            assert point.comparison.interval == alone.interval
            assert point.comparison.p_adjusted >= alone.interval.p_value
    assert summary.answer.question == "Do ht-logits and ht-all beat maml++?"
    sentence = summary.answer.sentence
    assert sentence.startswith("ht-logits beats maml++ at 4 (by ") and "; ht-all beats maml++" in sentence


def test_without_a_question_the_two_most_accurate_are_compared(tmp_path: Path) -> None:
    (contrast,) = summarize(record_of(tmp_path)).contrasts
    assert (contrast.a, contrast.b) == ("ht-logits", "ht-all")
    assert not find_contrasts(record_of(tmp_path / "one", methods=("protonet",)), [])


def test_the_best_of_every_setting_with_its_lead(tmp_path: Path) -> None:
    summary = summarize(record_of(tmp_path))
    assert [(one.width, one.name, one.of) for one in summary.answer.best] == [
        ("4 channels", "ht-logits", "ht-all"),
        ("16 channels", "ht-logits", "ht-all"),
    ]
    for one, row in zip(summary.answer.best, [r for r in summary.rows if r.method == "ht-all"], strict=True):
        assert row.comparison is not None
        assert one.ahead.startswith(f"+{100 * row.comparison.interval.mean:.1f} ± ")


def test_one_seed_answers_nothing(tmp_path: Path) -> None:
    summary = summarize(record_of(tmp_path, "Does ht-logits beat maml++?", seeds=(0,)))
    assert summary.answer.sentence.startswith("Undecided, with one training each: ht-logits is ")
    assert {one.sure for one in summary.answer.best} == {"one seed"}


def test_one_method_says_what_it_reaches(tmp_path: Path) -> None:
    summary = summarize(record_of(tmp_path, methods=("protonet",), channels=(4,)))
    assert summary.answer.sentence.startswith("protonet reaches ")


def contrast_summary(tmp_path: Path, **options: object) -> Summary:
    return summarize(record_of(tmp_path, "Do ht-logits and ht-all beat maml++?", **options))


@pytest.mark.parametrize("across", [1, 2])
def test_the_first_figure_shows_every_difference_and_zero(tmp_path: Path, across: int) -> None:
    summary = contrast_summary(tmp_path)
    figure = drawn(by_width(summary.contrasts, across))
    assert len(figure.axes) == 2
    for axes, contrast in zip(figure.axes, summary.contrasts, strict=True):
        (bars,) = [one for one in axes.containers if isinstance(one, ErrorbarContainer)]
        ends = [sorted(segment[:, 1]) for segment in bars.lines[2][0].get_segments()]
        intervals = [point.comparison.interval for point in contrast.points]
        for (low, high), interval in zip(ends, intervals, strict=True):
            assert (low, high) == pytest.approx((100 * interval.low, 100 * interval.high))
        assert axes.get_ylim()[0] <= 0 < axes.get_ylim()[1]


def test_one_width_is_drawn_in_one_column(tmp_path: Path) -> None:
    summary = contrast_summary(tmp_path, channels=(8,))
    assert by_width(summary.contrasts, 2) is None
    figure = drawn(in_one_column(summary.contrasts, 2))
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["ht-logits \N{MINUS SIGN} maml++", "ht-all \N{MINUS SIGN} maml++"]
