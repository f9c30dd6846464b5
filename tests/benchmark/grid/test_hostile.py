"""Grids and plugins that are foolish or hostile: one line with what is wrong, soon, and nothing else happens."""

import time
from pathlib import Path

import pytest
import yaml

from benchmark.cells.config import CellConfig
from benchmark.cells.folder import ExperimentFolder
from benchmark.cells.names import is_name
from benchmark.commands.catalogue import methods
from benchmark.errors import UserError
from benchmark.execution.plan import preflight
from benchmark.grid import read_grid
from benchmark.grid.source import load, parse_value
from methods import registry
from methods.protonet.model import ProtoNet
from tests.benchmark.toy_grids import BASE, errors, read

GOOD = ["protonet", "maml++", "a", "9", "Mine_2.0-b", "x" * 60]
BAD = [
    "",
    ".",
    "..",
    "../x",
    "a/b",
    "a\\b",
    "-x",
    "+x",
    ".x",
    "x" * 61,
    "a b",
    "a\n",
    "é",
    "a|b",
    "<b>",
    "=1",
    "a\x1b[2J",
]


@pytest.mark.parametrize("name", GOOD + BAD)
def test_names_are_one_rule_everywhere(tmp_path: Path, name: str) -> None:
    good = name in GOOD
    assert is_name(name) == good
    config = {"dataset": {"name": "glyphs"}, "method": name, "train": {"steps": 1}}
    grid = yaml.safe_dump({**yaml.safe_load(BASE), "name": name, "method": "toy"})
    if good:
        assert CellConfig.model_validate(config).method == name
        assert read(tmp_path, grid).name == name
        if name not in registry.names():
            registry.register(name, "a method")(ProtoNet)
            del registry._registered[name]
        return
    with pytest.raises(ValueError, match="a name should be letters, digits"):
        CellConfig.model_validate(config)
    [(_, message)] = errors(tmp_path, grid)
    assert "name should be a folder name of letters, digits" in message or "name is missing" in message
    with pytest.raises(ValueError, match="name should be letters, digits"):
        registry.register(name, "a method")(ProtoNet)


def test_a_crafted_width_stays_out_of_paths(tmp_path: Path) -> None:
    """An option of a method that is not here may be anything."""
    config = CellConfig.model_validate(
        {"dataset": {"name": "glyphs"}, "method": "theirs", "model": {"channels": "/../../../x"}, "train": {"steps": 1}}
    )
    assert ExperimentFolder(tmp_path).cell(config).folder.parent == tmp_path
    forged = config.model_copy(update={"method": "../theirs"})
    with pytest.raises(ValueError, match="a name should be"):
        ExperimentFolder(tmp_path).cell(forged)


def bomb(levels: int, width: int, inner: str = "[{}]", outer: str = "[{}]") -> str:
    """Lists of aliases of lists of aliases."""
    lines = ["x-a0: &a0 " + inner.format(", ".join(["1"] * width))]
    lines += [f"x-a{i}: &a{i} " + outer.format(", ".join([f"*a{i - 1}"] * width)) for i in range(1, levels)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        bomb(30, 9),
        "x-a0: &a0 {k: 1}\n"
        + "".join(f"x-a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 25)),
        BASE + "grid: {seed: [" + ", ".join(map(str, range(200_000))) + "]}",
    ],
)
def test_bombs_are_refused_at_once(tmp_path: Path, text: str) -> None:
    before = time.process_time()
    with pytest.raises(UserError, match=r"more than 100,000 values|has at most 1,048,576 bytes"):
        read(tmp_path, text)
    assert time.process_time() - before < 20  # nobody could wait for 9 to the 30th


def test_harmless_aliases_and_deep_nesting(tmp_path: Path) -> None:
    assert read(tmp_path, BASE + bomb(3, 5) + "method: toy\n").cells
    with pytest.raises(UserError, match="nested too deeply"):
        read(tmp_path, "a: " + "[" * 5000)
    with pytest.raises(UserError, match="nested too deeply, or an anchor"):
        read(tmp_path, "a: &a [*a]")
    assert parse_value("[" * 100_000) == "[" * 100_000
    assert parse_value("{a: &a [*a]}") == "{a: &a [*a]}"


def test_merge_keys_and_keys_for_anchors(tmp_path: Path) -> None:
    text = """\
name: test
x-shared: &t {batch: 4, steps: 10, learning_rate: 1e-2}
x-other: &o {steps: 20, validate_every: 5}
dataset: {name: glyphs}
train:
  <<: [*t, *o]
  learning_rate: 3e-3
method: toy
"""
    [cell] = read(tmp_path, text).cells
    # By YAML's rule the section itself goes first, then the earlier of the list.
    assert (cell.train.learning_rate, cell.train.steps, cell.train.validate_every) == (3e-3, 10, 5)
    assert errors(tmp_path, text.replace("batch: 4", "batch: 0")) == [
        (2, "train.batch: should be a whole number of at least 1, or auto, found 0")
    ]
    assert errors(tmp_path, text.replace("[*t, *o]", "[*t, 5]"))[0][1].startswith("<< brings in sections")
    assert "unknown key 'y-other'" in errors(tmp_path, text.replace("x-other", "y-other"))[0][1]
    assert load(tmp_path / "grid.yaml")[0]  # a key in quotes is text
    assert parse_value("{'<<': 1}") == {"<<": 1}


def test_a_grid_of_a_hundred_million_cells(tmp_path: Path) -> None:
    axis = "[" + ", ".join(map(str, range(10_000))) + "]"
    text = BASE + f"method: toy\ngrid:\n  seed: {axis}\n  test.seed: {axis}\n"
    assert errors(tmp_path, text) == [
        (6, "the grid has 100,000,000 cells (10,000 seed x 10,000 test.seed); at most 20,000 are possible")
    ]


@pytest.mark.parametrize(
    ("setting", "limit"),
    [
        ("model: {channels: 1e8}", "model.channels should be at most 4096, found 100000000"),
        ("model: {blocks: [1, 1e8]}", "model.blocks should be at most 100000"),
        ("grid: {channels: [8, 1e8]}", "model.channels should be at most 4096, found 100000000"),
        ("seed: 1e30", "seed should be at most 9223372036854775807"),
        ("test: {episodes: 1e9}", "test.episodes should be at most 1000000, found 1000000000"),
        ("timeout_minutes: 1e300", "timeout_minutes should be at most 10000000"),
    ],
)
def test_absurd_sizes_are_refused_with_the_limit(tmp_path: Path, setting: str, limit: str) -> None:
    [(_, message)] = errors(tmp_path, BASE + "method: toy\n" + setting)
    assert message.startswith(limit)


@pytest.mark.parametrize(
    ("old", "new", "limit"),
    [
        ("ways: 5", "ways: 1e8", "episodes.ways should be at most 10000"),
        ("batch: 4", "batch: 1e8", "train.batch: should be at most 65,536"),
        ("steps: 10", "steps: 1e12", "train.steps should be at most 1000000000"),
        ("{name: glyphs}", "{name: glyphs, train_classes: 1e8}", "dataset.train_classes should be at most 100000"),
    ],
)
def test_absurd_sizes_in_sections(tmp_path: Path, old: str, new: str, limit: str) -> None:
    [(_, message)] = errors(tmp_path, BASE.replace(old, new) + "method: toy\n")
    assert message.startswith(limit)


HEAD = """\
import sys
from dataclasses import dataclass
import torch
from methods import Method, register
"""
BODY = """\
@register("mine", "a method")
class Mine(Method):
    @dataclass(frozen=True)
    class Config:
        channels: int = 8
    def __init__(self, config, setting):
        super().__init__()
    def forward(self, episode):
        raise NotImplementedError
    def solver_parameters(self, ways):
        return 0
"""


@pytest.mark.parametrize(
    ("plugin", "line", "said"),
    [
        (HEAD + "sys.exit(0)\n", 5, "SystemExit: 0"),
        (HEAD + "def f():\n    raise KeyError('x')\nf()\n", 6, "KeyError: 'x'"),
        (HEAD + "@register('mine', 'no method')\nclass Mine:\n    pass\n", 5, "a class derived from methods.Method"),
        (
            HEAD + BODY.replace("    @dataclass(frozen=True)\n", ""),
            5,
            r"Config of 'mine' \(Mine\) should be a dataclass",
        ),
        (HEAD + BODY.replace('"mine"', '"../mine"'), 5, "name should be letters"),
        (HEAD + "def broken(:\n", 5, "SyntaxError"),
        (HEAD + "import no_such_module\n", 5, "No module named 'no_such_module'"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_one_line(tmp_path: Path, plugin: str, line: int, said: str) -> None:
    (tmp_path / "mine.py").write_text(plugin)
    with pytest.raises(UserError, match=said) as error:
        read(tmp_path, BASE + "plugins: [mine.py]\nmethod: mine\n")  # which is not known, and that is no news
    assert f"plugin {tmp_path / 'mine.py'}:{line} cannot be imported: " in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=said) as error:
        methods(plugin=[tmp_path / "mine.py"])
    assert f"--plugin {tmp_path / 'mine.py'}:{line} cannot be imported: " in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("super().__init__()", "raise KeyError('width')", 11, "KeyError: 'width'"),
        ("super().__init__()", "sys.exit(3)", 11, "SystemExit: 3"),
        ("super().__init__()", "super().__init__(5)", 11, "TypeError"),
    ],
)
def test_a_plugin_that_cannot_be_built_is_one_line(tmp_path: Path, old: str, new: str, line: int, said: str) -> None:
    (tmp_path / "mine.py").write_text(HEAD + BODY.replace(old, new))
    grid = read(tmp_path, BASE + "plugins: [mine.py]\nmethod: mine\n")
    with pytest.raises(UserError, match="mine cannot be built") as error:
        preflight(grid.cells)
    assert f"{tmp_path / 'mine.py'}:{line}: {said}" in str(error.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("channels: int = 8", "channels: torch.nn.Linear = None"),
        ("channels: int = 8", "channels: 'NoSuchType' = 8"),
        ("channels: int = 8", "channels: int = 8\n        def __post_init__(self):\n            raise KeyError('x')"),
    ],
)
def test_a_config_that_cannot_be_checked_is_one_line(tmp_path: Path, old: str, new: str) -> None:
    (tmp_path / "mine.py").write_text(HEAD + BODY.replace(old, new))
    with pytest.raises(UserError, match=r"the Config of 'mine' cannot be used: .*mine.py") as error:
        read_grid(_grid(tmp_path))
    assert "\n" not in str(error.value)


def _grid(tmp_path: Path) -> Path:
    path = tmp_path / "grid.yaml"
    path.write_text(BASE + "plugins: [mine.py]\nmethod: mine\n")
    return path
