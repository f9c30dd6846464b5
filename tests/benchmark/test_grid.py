import copy
import itertools
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmark.errors import UserError
from benchmark.grid import Grid, axis_value, read_grid, select
from methods import Episode, Method, Setting, register

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


class Toy(Method):
    def __init__(self, config: Any, setting: Setting) -> None:
        super().__init__()

    def forward(self, episode: Episode) -> Tensor:
        raise NotImplementedError

    def solver_parameters(self, ways: int) -> int:
        return 0


@register("toy-near", "knows only channels")
class Near(Toy):
    @dataclass(frozen=True)
    class Config:
        channels: int = 8


@register("toy", "knows more")
@register("toy-all", "fixes an option", generates="all")
class Hyper(Toy):
    @dataclass(frozen=True)
    class Config:
        channels: int = 8
        generates: Literal["logits", "all"] = "logits"
        dropout: float = 0.0
        blocks: tuple[int, ...] = (1, 1)
        wide: bool = False

        def __post_init__(self) -> None:
            if self.channels % 2:
                raise ValueError(f"channels should be even, got {self.channels}")


@register("toy-plain", "has no channels, and an option without a default")
class Plain(Toy):
    @dataclass(frozen=True)
    class Config:
        depth: int


BASE = """\
name: test
dataset: {name: glyphs}
episodes: {ways: 5, shots: 1}
train: {batch: 4, steps: 10}
"""


def read(tmp_path: Path, text: str) -> Grid:
    path = tmp_path / "grid.yaml"
    path.write_text(text)
    return read_grid(path)


def errors(tmp_path: Path, text: str) -> list[tuple[int, str]]:
    """The (line, message) pairs a file is refused with."""
    with pytest.raises(UserError) as error:
        read(tmp_path, text)
    prefix = f"{tmp_path / 'grid.yaml'}:"
    found = []
    for line in str(error.value).splitlines():
        assert line.startswith(prefix)
        number, message = line.removeprefix(prefix).split(": ", 1)
        found.append((int(number), message))
    return found


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


# What is wrong with a grid


@pytest.mark.parametrize(
    ("changed", "line", "said"),
    [
        (("name: test", "nmae: test"), 1, "unknown key 'nmae'; did you mean 'name'? known are name, dataset"),
        (("name: test", "name: a/b"), 1, "name should be a folder name"),
        (("name: test", "name: .."), 1, "name should be a folder name"),
        (("name: test", "name: 2024"), 1, "found 2024"),
        (
            ("glyphs", "glyhps"),
            2,
            "dataset.name should be omniglot, glyphs or folder, found 'glyhps' (text); did you mean",
        ),
        (("name: glyphs", "seed: 1"), 2, "dataset.name is missing"),
        (("{name: glyphs}", "glyphs"), 2, "dataset should be a section of 'key: value' lines, found 'glyphs' (text)"),
        (
            ("glyphs", "glyphs, sede: 1"),
            2,
            "unknown key 'sede' in dataset; did you mean 'seed'? known are name, train_c",
        ),
        (("glyphs", "glyphs, split: ht"), 2, "unknown key 'split' in dataset; known are name, train_classes"),
        (("ways: 5", "ways: 1"), 3, "episodes.ways should be at least 2, found 1"),
        (("ways: 5", "ways: five"), 3, "episodes.ways should be a whole number, found 'five' (text)"),
        (("ways: 5", "ways: '5'"), 3, "episodes.ways should be a whole number, found '5' (text)"),
        (("ways: 5", "ways: 2.5"), 3, "episodes.ways should be a whole number, found 2.5"),
        (("ways: 5", "ways: true"), 3, "episodes.ways should be a whole number, found true"),
        (("ways: 5", "ways: [5, 20]"), 3, "episodes.ways should be a whole number, found a list"),
        (("steps: 10", "stpes: 10"), 4, "unknown key 'stpes' in train; did you mean 'steps'?"),
        (("steps: 10", ""), 4, "train: give exactly one of 'steps' and 'minutes'"),
        (("steps: 10", "steps: 1, minutes: 1"), 4, "train: give exactly one of 'steps' and 'minutes'"),
        (("steps: 10", "steps: 10, learning_rate: 0"), 4, "train.learning_rate should be more than 0"),
        (
            ("steps: 10", "steps: 10, learning_rate: .inf"),
            4,
            "train.learning_rate should be a number, found '.inf' (text)",
        ),
        (("steps: 10", "steps: 10, learning_rate: 1e999"), 4, "train.learning_rate should be a number"),
        (("steps: 10", "steps: 10, momentum: 1"), 4, "train.momentum should be less than 1"),
        (
            ("steps: 10", "steps: 10, optimizer: adm"),
            4,
            "should be adam, adamw or sgd, found 'adm' (text); did you mean 'adam'?",
        ),
        (("method: toy", "grid: {}"), 5, "grid should be a section of axes"),
        (("method: toy", "grid:"), 5, "grid should be a section of axes such as 'seed: [0, 1]', found nothing"),
        (
            ("method: toy", "grid: {method: []}"),
            5,
            "axis 'method' should be a value or a list of values, found nothing",
        ),
        (("method: toy", "grid: {method: toy, seed:}"), 5, "axis 'seed' should be a value or a list"),
        (("method: toy", "seed: 1"), 1, "method is missing"),
        (("method: toy", "method: tyo"), 5, "no method 'tyo': did you mean 'toy'?"),
        (("method: toy", "method: 3"), 5, "method should be the name of a method, found 3"),
        (("method: toy", "method: [toy]"), 5, "put a list under 'grid:'"),
        (("method: toy", "method: toy\nseed: -1"), 6, "seed should be at least 0, found -1"),
        (
            ("method: toy", "method: toy\nseed: 1\ngrid: {seed: [0]}"),
            7,
            "'seed' is an axis here and has a single value on line 6",
        ),
        (
            ("method: toy", "method: toy\ngrid: {chanels: [4]}"),
            6,
            "no axis 'chanels'; did you mean 'channels'?",
        ),
        (("method: toy", "method: toy\ngrid: {batch: [4]}"), 6, "no axis 'batch'; did you mean 'train.batch'?"),
        (
            ("method: toy", "method: toy\ngrid: {train.bacth: [4]}"),
            6,
            "no axis 'train.bacth'; did you mean 'train.batch'?",
        ),
        (
            ("method: toy", "method: toy\ngrid: {trian.batch: [4]}"),
            6,
            "no axis 'trian.batch'; did you mean 'train.batch'?",
        ),
        (("method: toy", "method: toy\ngrid: {model.channels: 4, channels: 2}"), 6, "axis 'channels' is given twice"),
        (
            ("method: toy", "method: toy\ngrid:\n  channels: [2,\n    four]"),
            8,
            "model.channels should be a whole number, found",
        ),
        (
            ("method: toy", "method: toy\nmodel: {drop: 1}"),
            6,
            "unknown option 'drop' in model; did you mean 'dropout'?",
        ),
        (("method: toy", "method: toy\nmodel: {channels: 3}"), 6, "model: channels should be even, got 3"),
        (("method: toy", "method: toy\nmodel: {wide: 1}"), 6, "model.wide should be true or false, found 1"),
        (("method: toy", "method: toy\nmodel: {blocks: 1}"), 6, "model.blocks should be a list, found 1"),
        (
            ("method: toy", "method: toy\nmodel:\n  wide: true\n  blocks: [1, x]"),
            8,
            "model.blocks.1 should be a whole number",
        ),
        (
            ("method: toy", "method: toy\nmodel: {generates: al}"),
            6,
            "model.generates should be logits or all, found 'al'",
        ),
        (
            ("method: toy", "method: toy-all\nmodel: {generates: all}"),
            6,
            "'toy-all' fixes option 'generates' to 'all'; use method 'toy'",
        ),
        (("method: toy", "method: toy\noverrides: {when: 1}"), 6, "overrides should be a list"),
        (("method: toy", "method: toy\noverrides: [{seed: 1}]"), 6, "an override should say when it applies"),
        (("method: toy", "method: toy\nplugins: [none.py]"), 6, "no plugin file"),
        (("method: toy", "method: toy\nplugins: none.py"), 6, "plugins should be a list"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_would_be_right(
    tmp_path: Path, changed: tuple[str, str], line: int, said: str
) -> None:
    text = BASE + "method: toy\n"
    assert changed[0] in text
    found = errors(tmp_path, text.replace(*changed, 1))
    assert len(found) == 1
    assert found[0][0] == line
    assert said in found[0][1]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("when: {method: toy-nera}, seed: 1", "'when' matches no cell; method is toy-near, toy"),
        (
            "when: {method: toy-near, dropout: 0.5}, seed: 1",
            "'when' matches no cell; method is toy-near, toy and model.dropout is 0",
        ),
        (
            "when: {chanels: 4}, seed: 1",
            "unknown axis 'chanels' of this grid; did you mean 'channels'? known are method, chan",
        ),
        ("when: {seed: 4}, train: {batch: 2}", "unknown axis 'seed' of this grid; known are"),
        (
            "when: {method: toy-near}, model: {dropout: 1}",
            "unknown option 'dropout' of method 'toy-near'; known are channels",
        ),
        ("when: {method: toy-near}, trian: {batch: 1}", "unknown key 'trian'; did you mean 'train'?"),
        ("when: {method: toy-near}, train: {bacth: 1}", "unknown key 'bacth' in train; did you mean 'batch'?"),
        ("when: {method: toy-near}, method: toy", "unknown key 'method'; known are when"),
        ("when: {method: toy-near}, train: {minutes: 1}", "train: give exactly one of"),
        ("when: {method: toy}, model: {channels: 5}", "model: channels should be even, got 5"),
    ],
)
def test_a_mistake_in_an_override(tmp_path: Path, override: str, said: str) -> None:
    grid = "grid: {method: [toy-near, toy], channels: [4, 8], dropout: [0, 0.5]}\noverrides:\n"
    found = errors(tmp_path, f"{BASE}{grid}  - {{{override}}}\n")
    assert [line for line, _ in found] == [7]
    assert said in found[0][1]


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = """\
name: many
datset: {name: glyphs}
episodes:
  ways: 1
train:
  batch: many
  steps: 1
grid:
  method: [toy, toyy]
  seed: [0, -1]
overrides:
  - {when: {method: toyy}, seed: 1}
"""
    assert [line for line, _ in errors(tmp_path, text)] == [2, 4, 6, 9, 10]


def test_a_plugin_that_cannot_be_imported(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import no_such_module_anywhere\n")
    ((line, message),) = errors(tmp_path, BASE + "method: toy\nplugins:\n  - broken.py\n")
    assert line == 7
    assert "broken.py cannot be imported: ModuleNotFoundError: No module named 'no_such_module_anywhere'" in message


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


def test_the_quickstart_trains_for_at_most_five_minutes_on_two_cores() -> None:
    cells = read_grid(EXPERIMENTS / "smoke" / "quickstart.yaml").cells
    assert len(cells) == 12
    assert sum(cell.train.minutes or float("inf") for cell in cells) / 2 <= 5
