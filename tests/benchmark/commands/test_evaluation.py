"""`htbench evaluate`, as it is typed, and the grid that gets a test afterwards."""

import json
from pathlib import Path

import pytest
import yaml

from benchmark.errors import UserError
from tests.benchmark.helpers import htbench, invoke, write_grid
from tests.benchmark.trained_runs import train


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("runs") / "cell", "protonet")


def test_what_it_prints_and_gives_to_scripts(run: Path) -> None:
    shown = invoke("evaluate", run, "--ways", 3, "--episodes", 12, "--device", "cpu")
    assert shown.exit_code == 0 and shown.stdout.startswith("3-way: accuracy ")
    assert "kept with the run" in shown.stdout
    found = json.loads(invoke("evaluate", run, "--ways", 3, "--episodes", 12, "--device", "cpu", "--json").stdout)
    assert (found["test"], found["episodes"], found["origin"]) == ("3-way", 12, "recorded") and found["step"] in (2, 4)
    assert found["setting"]["episodes"]["ways"] == 3 and f"{100 * found['accuracy']:.2f}" in shown.stdout
    assert found["interval"][0] <= found["accuracy"] <= found["interval"][1]
    other = json.loads(
        invoke("evaluate", run, "--dataset", "{name: glyphs, seed: 5}", "--device", "cpu", "--json").stdout
    )
    assert other["setting"]["dataset"]["seed"] == 5 and other["episodes_sha256"] != found["episodes_sha256"]


REFUSED = {
    ("--ways", "1"): "--ways should be at least 2, found 1",
    ("--dataset", "omnoglot"): "did you mean 'omniglot'?",
    ("--dataset", "{name: omniglot, splt: lake}"): "--dataset: unknown key 'splt'",
    ("--checkpoint", "newest"): "--checkpoint should be best, last or the number of a step, found 'newest'",
    ("--checkpoint", "3"): r"no weights after 3 steps; it has those after .*4 \(",
    ("--name", "a/b"): "a name should be",
}


@pytest.mark.parametrize("arguments", REFUSED)
def test_bad_input_is_one_clear_message(arguments: tuple[str, str], run: Path) -> None:
    with pytest.raises(UserError, match=REFUSED[arguments]):
        invoke("evaluate", run, *arguments, "--device", "cpu")


def test_a_folder_that_is_no_run(run: Path) -> None:
    with pytest.raises(UserError, match=r"is no run|not a cell's run directory|give one such as"):
        invoke("evaluate", run.parent, "--ways", 3, "--device", "cpu")


def test_a_test_added_to_a_finished_grid_is_scored_without_training(tmp_path: Path) -> None:
    grid = write_grid(tmp_path)
    assert htbench("run", grid, "--no-track", cwd=tmp_path).returncode == 0
    content = yaml.safe_load(grid.read_text())
    grid.write_text(yaml.safe_dump(content | {"test": [{"episodes": 30}, {"ways": 4}, {"ways": 9}]}))
    left = htbench("status", grid, cwd=tmp_path)
    assert left.returncode == 1 and "0 of 1 cells done" in left.stdout
    again = htbench("run", grid, "--no-track", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "1 cells, 0 to run" in again.stdout
    assert "2 further tests of 1 finished cells to score, without training them again" in again.stdout
    status = json.loads(htbench("status", grid, "--json", cwd=tmp_path).stdout)
    (cell,) = status["cells"]
    assert status["done"] == 1
    assert [(one["name"], one["state"]) for one in cell["tests"]] == [("4-way", "done"), ("9-way", "done")]
    # 10 test classes there are; what is impossible is said before anything is scored.
    grid.write_text(yaml.safe_dump(content | {"test": [{"episodes": 30}, {"ways": 11}]}))
    refused = htbench("run", grid, "--no-track", cwd=tmp_path)
    assert refused.returncode == 2 and "test '11-way'" in refused.stderr and "10 classes" in refused.stderr
