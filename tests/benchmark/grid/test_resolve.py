import copy
import itertools
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.errors import UserError
from benchmark.grid import Grid, axis_value, read_grid, select
from tests.benchmark.toy_grids import BASE, errors, read

EXPERIMENTS = Path(__file__).parents[3] / "experiments"


# What a grid means


def test_cells_are_the_product_with_the_last_axis_fastest(tmp_path: Path) -> None:
    axes: dict[str, list[Any]] = {
        "method": ["toy-all", "toy-near"],
        "channels": [4, 8],
        "train.learning_rate": [1e-3, 0.1],
        "seed": [2, 0],
    }
    grid = read(tmp_path, BASE + yaml.safe_dump({"grid": axes}, sort_keys=False))
    expected = list(itertools.product(*axes.values()))
    assert [tuple(axis_value(cell, axis) for axis in axes) for cell in grid.cells] == expected
    assert [(c.method, c.model["channels"], c.train.learning_rate, c.seed) for c in grid.cells] == expected
    assert list(grid.axes) == ["method", "model.channels", "train.learning_rate", "seed"]
    assert list(grid.axes.values()) == [tuple(values) for values in axes.values()]
    assert len({cell.key for cell in grid.cells}) == 16
    assert grid.name == "test" and grid.text == grid.source.read_text()


def test_a_file_without_a_grid_is_one_cell(tmp_path: Path) -> None:
    grid = read(tmp_path, BASE + "method: toy-near\nseed: 3\n")
    assert [(c.method, c.seed, c.model, c.train.batch) for c in grid.cells] == [("toy-near", 3, {"channels": 8}, 4)]
    assert grid.axes == {}


def test_a_single_value_is_a_list_of_one_and_does_not_vary(tmp_path: Path) -> None:
    grid = read(tmp_path, BASE + "grid: {method: toy-near, seed: [0, 1], episodes.ways: 20}\n")
    assert grid.axes == {"seed": (0, 1)}
    assert {cell.episodes.ways for cell in grid.cells} == {20}


def test_numbers_may_be_written_as_people_write_them(tmp_path: Path) -> None:
    text = BASE.replace("steps: 10", "steps: 2e4, learning_rate: 1e-3, clip: 1")
    (cell,) = read(tmp_path, text + "method: toy-near\n").cells
    assert (cell.train.steps, cell.train.learning_rate, cell.train.clip) == (20000, 0.001, 1.0)


def test_an_option_of_another_method_is_ignored_and_equal_cells_collapse(tmp_path: Path) -> None:
    grid = read(tmp_path, BASE + "model: {wide: true}\ngrid: {method: [toy-near, toy], dropout: [0, 0.5]}\n")
    assert [(c.method, c.model) for c in grid.cells] == [
        ("toy-near", {"channels": 8}),
        ("toy", {"channels": 8, "wide": True}),
        ("toy", {"channels": 8, "wide": True, "dropout": 0.5}),
    ]
    assert grid.axes == {"method": ("toy-near", "toy"), "model.dropout": (0.0, 0.5)}
    assert [axis_value(cell, "dropout") for cell in grid.cells] == [None, 0.0, 0.5]


def test_a_default_written_out_or_left_out_is_the_same_cell(tmp_path: Path) -> None:
    (short,) = read(tmp_path, BASE + "method: toy\n").cells
    options = "model: {channels: 8, generates: logits, dropout: 0, blocks: [1, 1], wide: false}\n"
    (long,) = read(tmp_path, BASE + options + "method: toy\nseed: 0\ntest: {episodes: 600}\n").cells
    assert short == long and short.key == long.key
    assert short.model == {"channels": 8}


def test_options_that_the_name_fixes_are_not_in_the_cell_but_have_a_value(tmp_path: Path) -> None:
    (cell,) = read(tmp_path, BASE + "method: toy-all\nmodel: {blocks: [2, 3]}\n").cells
    assert cell.model == {"channels": 8, "blocks": [2, 3]}
    assert axis_value(cell, "generates") == "all"
    assert axis_value(cell, "model.blocks") == [2, 3]


def test_a_method_without_channels(tmp_path: Path) -> None:
    (cell,) = read(tmp_path, BASE + "method: toy-plain\nmodel: {depth: 2}\n").cells
    assert cell.model == {"depth": 2}
    assert errors(tmp_path, BASE + "method: toy-plain\n") == [(1, "model.depth is missing")]


def test_a_question_does_not_change_a_key(tmp_path: Path) -> None:
    plain, asked = (read(tmp_path, BASE + "method: toy\n" + line) for line in ("", "question: Is it any good?\n"))
    assert [cell.key for cell in asked.cells] == [cell.key for cell in plain.cells]


def test_other_axes_do_not_change_a_key(tmp_path: Path) -> None:
    small = read(tmp_path, BASE + "grid: {method: toy-near, channels: 4}\n")
    large = read(
        tmp_path, BASE + "grid: {seed: [1, 0], method: [toy, toy-near], channels: [2, 4], train.batch: [8, 4]}\n"
    )
    assert small.cells[0] in large.cells


def test_overrides_apply_in_order_to_the_cells_they_match(tmp_path: Path) -> None:
    overrides = """\
grid: {method: [toy-near, toy], channels: [4, 8], seed: [0, 1]}
overrides:
  - {when: {method: toy}, train: {learning_rate: 0.5}, model: {dropout: 0.1}}
  - when: {method: toy, channels: [8, 16]}
    train: {steps: null, minutes: 2}
    model: {dropout: 0.2}
    timeout_minutes: 9
  - {when: {seed: 1}, seed: 7}
"""
    found = read(tmp_path, BASE + overrides).cells
    assert [c.seed for c in found] == [0, 7] * 4
    for cell in found:
        wide = cell.method == "toy" and cell.model["channels"] == 8
        assert cell.train.learning_rate == (0.5 if cell.method == "toy" else 1e-3)
        assert (cell.train.steps, cell.train.minutes) == ((None, 2.0) if wide else (10, None))
        assert axis_value(cell, "dropout") == (None if cell.method == "toy-near" else 0.2 if wide else 0.1)
        assert cell.timeout_minutes == (9 if wide else None)
        assert cell.train.batch == 4


def test_excluded_combinations_are_no_cells(tmp_path: Path) -> None:
    excluding = """\
grid: {method: [toy-near, toy], channels: [4, 8], seed: [0, 1]}
exclude:
  - {method: toy, channels: 8}
  - {channels: 4, seed: [1, 2]}
overrides:
  - {when: {method: toy}, seed: 1}
"""
    found = [(c.method, c.model["channels"], c.seed) for c in read(tmp_path, BASE + excluding).cells]
    assert found == [("toy-near", 4, 0), ("toy-near", 8, 0), ("toy-near", 8, 1), ("toy", 4, 1)]


def test_a_plugin_next_to_the_grid_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from dataclasses import dataclass\n"
        "from methods import Method, register\n"
        "@register('toy-plugin', 'mine')\n"
        "class Mine(Method):\n"
        "    @dataclass(frozen=True)\n"
        "    class Config:\n"
        "        taste: str = 'sweet'\n"
    )
    (cell,) = read(tmp_path, BASE + "plugins: [mine.py]\nmethod: toy-plugin\nmodel: {taste: sour}\n").cells
    assert cell.model == {"taste": "sour"}
    assert cell.plugins == (str((tmp_path / "mine.py").resolve()),)


FULL: dict[str, Any] = {
    "name": "any",
    "dataset": {"name": "glyphs", "seed": 4, "rotations": "classes"},
    "episodes": {"ways": 3, "shots": 2, "queries": 4},
    "model": {"dropout": 0.5, "wide": True},
    "train": {"batch": 2, "steps": 5, "optimizer": "sgd", "momentum": 0.9},
    "test": {"episodes": 10, "seed": 1},
    "grid": {"method": ["toy", "toy-all", "toy-near"], "channels": [4, 2], "seed": [0, 1], "train.clip": [None, 1.5]},
    "overrides": [{"when": {"method": "toy", "seed": [0]}, "train": {"learning_rate": 0.25}, "test": {"queries": 2}}],
}


def shuffled(data: Any, order: random.Random) -> Any:
    """The same mappings with their keys in another order, and axes with their values in another order."""
    if not isinstance(data, dict):
        return data
    items = [(key, shuffled(value, order)) for key, value in data.items()]
    order.shuffle(items)
    return dict(items)


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False), st.booleans())
def test_key_order_and_yaml_style_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, order: random.Random, flow: bool
) -> None:
    folder = tmp_path_factory.getbasetemp()
    expected = read(folder, yaml.safe_dump(FULL, sort_keys=False))
    data = copy.deepcopy(FULL)
    for values in data["grid"].values():
        order.shuffle(values)
    data["overrides"] = [shuffled(override, order) for override in data["overrides"]]
    found = read(folder, yaml.safe_dump(shuffled(data, order), sort_keys=False, default_flow_style=flow))
    assert len(expected.cells) == 24
    assert {cell.key: cell for cell in found.cells} == {cell.key: cell for cell in expected.cells}
    assert {axis: set(values) for axis, values in found.axes.items()} == {
        axis: set(values) for axis, values in expected.axes.items()
    }


# Choosing cells


@pytest.fixture
def grid(tmp_path: Path) -> Grid:
    axes = "{method: [toy-near, toy], channels: [4, 8], train.learning_rate: [1e-3, 0.1], wide: [false, true]}"
    return read(tmp_path, BASE + f"grid: {axes}\n")


def test_select_is_a_filter_by_axis_values(grid: Grid) -> None:
    assert select(grid.cells, []) == list(grid.cells)
    assert select(grid.cells, ["method=toy"]) == [c for c in grid.cells if c.method == "toy"]
    assert select(grid.cells, ["channels=8,4"]) == list(grid.cells)
    assert select(grid.cells, ["model.channels=8"]) == [c for c in grid.cells if c.model["channels"] == 8]
    assert select(grid.cells, ["wide=false"]) == [c for c in grid.cells if c.method == "toy" and "wide" not in c.model]
    both = [c for c in grid.cells if c.method == "toy" and c.train.learning_rate == 0.001]
    assert select(grid.cells, ["train.learning_rate=0.001", "method=toy"]) == both
    assert select(grid.cells, ["train.learning_rate=1e-3", "method=toy"]) == both


@pytest.mark.parametrize(
    ("only", "said"),
    [
        (["method"], "write axis=value"),
        (["method="], "write axis=value"),
        (["chanels=4"], "no axis 'chanels'; did you mean 'channels'?"),
        (["learning_rate=0.1"], "did you mean 'train.learning_rate'?"),
        (["channels=4,5"], "no cell has channels=5; there are 4, 8"),
        (
            ["color=4"],
            "no axis 'color'; known are method, seed, channels, generates, dropout, blocks, wide, and keys of",
        ),
        (["method=ht"], "no cell has method=ht; there are toy-near, toy"),
        (["wide=yes"], "no cell has wide=yes; there are false, true"),
        (["method=toy-near", "wide=true"], "no cell satisfies all of --only method=toy-near --only wide=true"),
    ],
)
def test_select_says_what_exists(grid: Grid, only: list[str], said: str) -> None:
    with pytest.raises(UserError) as error:
        select(grid.cells, only)
    assert said in str(error.value)


# The experiments that come with the project


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_experiment_can_be_read(path: Path) -> None:
    grid = read_grid(path)
    assert grid.name == path.stem
    assert grid.cells


def test_the_quickstart_is_small() -> None:
    cells = read_grid(EXPERIMENTS / "smoke" / "quickstart.yaml").cells
    assert len(cells) == 12
    assert {(cell.train.steps, cell.train.batch, cell.model["channels"]) for cell in cells} == {(1600, 4, 4)}
