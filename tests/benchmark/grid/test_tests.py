"""`test:` as a list: what it comes to for each cell, and what is refused."""

from pathlib import Path

import pytest

from benchmark.cells.config import EpisodesConfig
from tests.benchmark.toy_grids import errors, read

HEAD = """\
name: test
dataset: {name: glyphs}
episodes: {ways: 5, shots: 1, queries: 4}
train: {batch: 4, steps: 10}
"""
METHOD = "method: protonet\n"


def test_a_list_of_one_is_the_mapping(tmp_path: Path) -> None:
    mapping = read(tmp_path, HEAD + METHOD + "test: {episodes: 50, seed: 3}\n").cells[0]
    listed = read(tmp_path, HEAD + METHOD + "test:\n  - {episodes: 50, seed: 3}\n").cells[0]
    assert listed == mapping and listed.model_dump_json() == mapping.model_dump_json()
    assert "tests" not in mapping.model_dump()


def test_further_tests_take_what_they_do_not_say_from_the_first(tmp_path: Path) -> None:
    text = HEAD + METHOD + "test:\n  - {episodes: 50, seed: 3}\n  - {ways: 10}\n  - {name: other, dataset: omniglot}\n"
    cell = read(tmp_path, text).cells[0]
    ten, other = cell.tests
    assert ten.episodes == EpisodesConfig(ways=10, shots=1, queries=4)
    assert (ten.name, ten.count, ten.seed, ten.dataset.name) == ("10-way", 50, 3, "glyphs")
    assert (other.name, other.count, other.dataset.name) == ("other", 50, "omniglot")
    assert other.episodes == cell.test_episodes


def test_a_cell_is_known_by_its_training_and_own_test_alone(tmp_path: Path) -> None:
    alone = read(tmp_path, HEAD + METHOD + "test: {episodes: 50}\n").cells[0]
    more = read(tmp_path, HEAD + METHOD + "test:\n  - {episodes: 50}\n  - {ways: 10}\n").cells[0]
    assert more.key == alone.key and more.tests and not alone.tests


def test_the_name_of_a_test_and_what_repeats_a_default_do_not_identify_it(tmp_path: Path) -> None:
    def key(entry: str) -> str:
        return read(tmp_path, HEAD + METHOD + f"test:\n  - {{}}\n  - {entry}\n").cells[0].tests[0].key

    ten = key("{ways: 10}")
    assert key("{ways: 10, name: ten}") == key("{ways: 10, shots: 1, dataset: glyphs}") == ten
    assert len({ten, key("{ways: 11}"), key("{ways: 10, seed: 1}"), key("{ways: 10, episodes: 9}")}) == 4


def test_a_test_that_is_some_cells_own_is_left_out_there(tmp_path: Path) -> None:
    text = HEAD + "test:\n  - {}\n  - {ways: 10}\ngrid: {method: protonet, episodes.ways: [5, 10]}\n"
    five, ten = read(tmp_path, text).cells
    assert [test.name for test in five.tests] == ["10-way"] and ten.tests == ()


def test_an_override_gives_some_cells_other_tests(tmp_path: Path) -> None:
    text = (
        HEAD
        + "test:\n  - {episodes: 50}\n  - {ways: 10}\ngrid: {method: [protonet, ht-all]}\n"
        + "overrides:\n  - {when: {method: ht-all}, test: [{episodes: 50}, {shots: 5}]}\n"
    )
    protonet, hyper = read(tmp_path, text).cells
    assert [test.name for test in protonet.tests] == ["10-way"]
    assert [test.name for test in hyper.tests] == ["5-shot"]


def test_a_folder_is_relative_to_the_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir("/")
    text = HEAD + METHOD + "test:\n  - {}\n  - {dataset: {name: folder, path: mine}}\n"
    (test,) = read(tmp_path, text).cells[0].tests
    assert Path(f"/{test.dataset.path}").resolve() == (tmp_path / "mine").resolve()  # type: ignore[union-attr]
    assert test.name == "folder mine"


REFUSED = {
    "test: []": "at least one test",
    "test:\n  - 3": "a test should be a section",
    "test:\n  - {ways: 3}": "the first test is of the cells' own setting",
    "test:\n  - {episodes: 1}": "test.episodes should be at least 2",
    "test:\n  - {}\n  - {wys: 3}": "unknown key 'wys' in test; did you mean 'ways'?",
    "test:\n  - {}\n  - {ways: 1}": "test.ways should be at least 2, found 1",
    "test:\n  - {}\n  - {ways: true}": "test.ways should be a whole number, found true",
    "test:\n  - {}\n  - {name: a/b}": "a name should be",
    "test:\n  - {}\n  - {dataset: omnoglot}": "did you mean 'omniglot'?",
    "test:\n  - {}\n  - {dataset: {name: omniglot, splt: lake}}": "unknown key 'splt' in test.dataset",
    "test:\n  - {}\n  - {ways: 3}\n  - {ways: 3, name: b}": "'3-way' and 'b' are the same test",
    "test:\n  - {}\n  - {ways: 3, name: b}\n  - {ways: 4, name: b}": "two tests are called 'b'",
    "test:\n  - {}\n  - {domain: blur}": "glyphs has no domain 'blur'",
    "test:\n  - {}\n  - {tasks: 3}": "protonet learns single ones",
    "test:\n  - {}\n  - {dataset: lake-oneshot, ways: 5}": "leave out ways",
    "test:\n  - {}\n  - {dataset: {name: folder, path: $NO_SUCH_PLACE/x}}": "NO_SUCH_PLACE is not set",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_wrong_is_told_at_its_line(text: str, tmp_path: Path) -> None:
    found = errors(tmp_path, HEAD + METHOD + text + "\n")
    assert any(REFUSED[text] in message for _, message in found), found
    assert all(line >= 6 for line, _ in found)


def test_a_method_of_one_number_of_ways_refuses_others(tmp_path: Path) -> None:
    ((line, message),) = errors(tmp_path, HEAD + "method: ht-all\ntest:\n  - {}\n  - {shots: 2}\n  - {ways: 3}\n")
    assert line == 9 and "ht-all is built for one number of ways, 5" in message and "3 ways" in message


def test_lakes_runs_want_a_training_that_saw_none_of_their_alphabets(tmp_path: Path) -> None:
    text = HEAD.replace("{name: glyphs}", "{name: omniglot}") + METHOD + "test:\n  - {}\n  - {dataset: lake-oneshot}\n"
    ((_, message),) = errors(tmp_path, text)
    assert "train with dataset.split: lake" in message
    (test,) = read(tmp_path, text.replace("{name: omniglot}", "{name: omniglot, split: lake}")).cells[0].tests
    assert (test.count, test.episodes) == (20, EpisodesConfig(ways=20, shots=1, queries=1))


def test_a_test_only_dataset_is_not_trained_on(tmp_path: Path) -> None:
    text = HEAD.replace("{name: glyphs}", "{name: lake-oneshot}") + METHOD
    assert "dataset.name should be" in errors(tmp_path, text)[0][1]
