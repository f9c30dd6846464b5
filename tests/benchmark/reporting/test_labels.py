"""Names of rows, and their order."""

from pathlib import Path
from typing import Any

from benchmark.reporting.labels import label_of, natural_place
from benchmark.reporting.record import collect
from benchmark.reporting.rows import make_rows
from tests.benchmark.reporting.simulated import make_grid, simulate

AXES: dict[str, list[Any]] = {
    "method": ["a", "b"],
    "model.query_statistics": ["batch", "support"],
    "train.learning_rate": [0.1, 0.02],
}


def test_text_stands_alone_and_numbers_with_their_axis() -> None:
    options = {"model.query_statistics": "support", "train.learning_rate": 0.02}
    assert label_of("a", options, AXES) == "a (support, learning rate 0.02)"
    assert label_of("a", {"model.query_statistics": None}, AXES) == "a"


def test_the_same_word_on_two_axes_goes_with_its_axis() -> None:
    axes = {**AXES, "model.support_statistics": ["batch", "image"]}
    found = {label_of("a", {axis: "batch"}, axes) for axis in axes if axis.endswith("statistics")}
    assert found == {"a (query statistics batch)", "a (support statistics batch)"}


def test_numbers_ascend_and_names_keep_the_order_of_the_grid() -> None:
    axes: dict[str, list[Any]] = {"seed": [1, 0], "method": ["b", "a"], "model.channels": [8, 32, 4, None]}
    places = [{"method": m, "model.channels": c, "seed": 1} for m in ("a", "b") for c in (None, 8, 32, 4)]
    ordered = sorted(places, key=lambda place: natural_place(place, axes))
    assert [(place["method"], place["model.channels"]) for place in ordered] == [
        *(("b", c) for c in (4, 8, 32, None)),
        *(("a", c) for c in (4, 8, 32, None)),
    ]


def test_widths_of_a_report_ascend(tmp_path: Path) -> None:
    grid = make_grid(channels=(8, 4, 16), seeds=(0,))
    rows = make_rows(collect(grid, simulate(grid, tmp_path, lambda _: 0.8)))
    assert [(row.method, row.channels) for row in rows] == [(m, c) for m in ("protonet", "ht-all") for c in (4, 8, 16)]
