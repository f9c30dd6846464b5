"""What is wrong with a grid is told with its line and what would be right."""

from pathlib import Path

import pytest

from tests.benchmark.toy_grids import BASE, errors


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
            "dataset.name should be omniglot, glyphs, mini_imagenet, tiered_imagenet, cifar_fs, fc100, folder or"
            " mixture, found 'glyhps' (text); did you mean",
        ),
        (("name: glyphs", "seed: 1"), 2, "dataset.name is missing"),
        (("{name: glyphs}", "glyphs"), 2, "dataset should be a section of 'key: value' lines, found 'glyphs' (text)"),
        (
            ("glyphs", "glyphs, sede: 1"),
            2,
            "unknown key 'sede' in dataset; did you mean 'seed'? known are domains, name, train_c",
        ),
        (("glyphs", "glyphs, split: ht"), 2, "unknown key 'split' in dataset; known are domains, name, train_classes"),
        (("glyphs", "glyphs, domains: 7"), 2, "dataset.domains should be a list or planes, found 7"),
        (("glyphs", "glyphs, domains: [edges, null]"), 2, "dataset.domains.1 should be identity, invert, blur, edges"),
        (("ways: 5", "ways: 1"), 3, "episodes.ways should be at least 2, found 1"),
        (("ways: 5", "ways: five"), 3, "episodes.ways should be a whole number, found 'five' (text)"),
        (("ways: 5", "ways: '5'"), 3, "episodes.ways should be a whole number, found '5' (text)"),
        (("ways: 5", "ways: 2.5"), 3, "episodes.ways should be a whole number, found 2.5"),
        (("ways: 5", "ways: true"), 3, "episodes.ways should be a whole number, found true"),
        (("ways: 5", "ways: [5, 20]"), 3, "episodes.ways should be a whole number, found a list"),
        (("name: test", "name: test\nquestion: 5"), 2, "question should be text that the report shows, found 5"),
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
        (("steps: 10", "steps: 10, warmup_steps: 10"), 4, "train: warmup_steps (10) should be fewer than steps (10)"),
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
        (("method: toy", "method: toy\nexclude: {method: toy}"), 6, "exclude should be a list of conditions"),
        (("method: toy", "method: toy\nexclude: [toy]"), 6, "should be a condition such as"),
        (("method: toy", "method: toy\nexclude: [{channels: 4}]"), 6, "unknown axis 'channels' of this grid"),
        (("method: toy", "method: toy\nexclude: [{method: toi}]"), 6, "'exclude' matches no cell; method is toy"),
        (("method: toy", "method: toy\nexclude: [{method: toy}]"), 6, "exclude leaves no cell of the grid"),
        (("batch: 4", "batch: 0"), 4, "train.batch: should be a whole number of at least 1, or auto, found 0"),
        (("batch: 4", "batch: all"), 4, "train.batch: should be a whole number of at least 1, or auto, found 'all'"),
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
    assert "broken.py:1 cannot be imported: ModuleNotFoundError: No module named 'no_such_module_anywhere'" in message
