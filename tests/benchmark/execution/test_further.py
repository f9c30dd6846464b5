"""Further tests of real small trainings: scored once, without training, by the same episodes whoever asks."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark import data
from benchmark.cells import checkpoint
from benchmark.cells.config import CellConfig
from benchmark.cells.folder import CellFolder
from benchmark.cells.further import TestEntry, further_test
from benchmark.cells.further_standing import standings_of_tests
from benchmark.cells.identity import standing
from benchmark.errors import UserError
from benchmark.execution.cell import run
from benchmark.execution.evaluate import evaluate
from benchmark.execution.plan import make_plan, preflight
from benchmark.trained.run import load_run
from tests.benchmark.trained_runs import GLYPHS, configure

ENTRIES = (TestEntry(ways=3), TestEntry(name="other", dataset={"name": "glyphs", "seed": 7, "test_classes": 12}))


def with_tests(config: CellConfig, *entries: TestEntry) -> CellConfig:
    return config.model_copy(update={"tests": tuple(further_test(entry, config) for entry in entries)})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished cell without further tests."""
    store = CellFolder(tmp_path_factory.mktemp("cells") / "cell")
    store.create(configure("protonet"))
    assert run(store, "cpu").state == "done"
    return store.folder


@pytest.fixture
def cell(trained: Path, tmp_path: Path) -> CellFolder:
    shutil.copytree(trained, tmp_path / "cell")
    return CellFolder(tmp_path / "cell")


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def by_hand(store: CellFolder, ways: int, episodes: int) -> np.ndarray:
    """Accuracies by a loop over single episodes, with labels in sight."""
    from benchmark.cells.config import EpisodesConfig
    from benchmark.episodes.draw import stream
    from benchmark.episodes.sampling import sample

    method, config = load_run(store.folder).method, store.config()
    images = data.load(config.dataset).splits["test"]
    found = []
    with torch.inference_mode():
        for index in range(episodes):
            shape = EpisodesConfig(ways=ways, shots=1, queries=3)
            episode = sample(images, shape, stream("test", config.test.seed), index, 1)
            found.append(float((method(episode).argmax(-1) == episode.query_labels).float().mean()))
    return np.array(found)


def test_a_finished_cell_gets_further_tests_without_training(cell: CellFolder) -> None:
    before = content(cell.folder)
    cell.plan_tests(with_tests(cell.config(), *ENTRIES).tests)
    run(cell, "cpu")
    after = content(cell.folder)
    assert {name for name in before if before[name] != after[name]} == {"cell.json"}
    three, other = standings_of_tests(cell.config(), cell)
    assert three.state == other.state == "done"
    assert three.record is not None and three.record.score is not None
    accuracy = cell.tests.accuracy(three.record)
    assert np.allclose(accuracy, by_hand(cell, 3, 20), atol=1e-6)
    assert three.record.score.accuracy == pytest.approx(accuracy.mean())
    assert other.record is not None and other.record.score is not None
    assert other.record.score.sha256 != three.record.score.sha256
    # Scored once.
    written = {path.name: path.stat().st_mtime_ns for path in cell.tests.folder.iterdir()}
    run(cell, "cpu")
    assert {path.name: path.stat().st_mtime_ns for path in cell.tests.folder.iterdir()} == written


def test_further_tests_change_nothing_of_a_cells_own_numbers(cell: CellFolder, tmp_path: Path) -> None:
    store = CellFolder(tmp_path / "again")
    store.create(with_tests(configure("protonet"), *ENTRIES))
    result, alone = run(store, "cpu"), cell.result()
    assert alone is not None and alone.test is not None and result.test is not None
    assert result.key == alone.key and result.test.sha256 == alone.test.sha256
    assert np.array_equal(store.test_accuracy(), cell.test_accuracy())
    assert [one.state for one in standings_of_tests(store.config(), store)] == ["done", "done"]


def test_the_same_setting_has_the_hash_that_a_cells_own_test_has(cell: CellFolder, tmp_path: Path) -> None:
    """So that trainings at several ways are compared on the same episodes."""
    store = CellFolder(tmp_path / "three")
    store.create(configure("protonet", episodes={"ways": 3, "shots": 1, "queries": 3}))
    three = run(store, "cpu")
    found = evaluate(cell, TestEntry(ways=3), "best", "cpu")
    assert three.test is not None and found.score.sha256 == three.test.sha256


def test_a_damaged_score_is_told_and_concerns_no_other(cell: CellFolder) -> None:
    cell.plan_tests(with_tests(cell.config(), *ENTRIES).tests)
    run(cell, "cpu")
    config = cell.config()
    path = cell.tests.folder / f"{config.tests[0].key}.npy"
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")
    damaged, fine = standings_of_tests(config, cell)
    assert (damaged.state, fine.state) == ("damaged", "done") and "not the file of its record" in damaged.note
    assert standing(config, cell).state == "done"
    record = cell.tests.folder / f"{config.tests[1].key}.json"
    record.write_text("{")
    assert [one.state for one in standings_of_tests(config, cell)] == ["damaged", "damaged"]


def test_scores_of_other_weights_do_not_count(cell: CellFolder) -> None:
    config = with_tests(cell.config(), TestEntry(ways=3))
    cell.plan_tests(config.tests)
    run(cell, "cpu")
    (one,) = standings_of_tests(config, cell)
    assert one.record is not None
    cell.tests.write(one.record.model_copy(update={"weights": "0" * 64}), cell.tests.accuracy(one.record))
    (one,) = standings_of_tests(config, cell)
    assert one.state == "missing" and "other weights" in one.note
    # What is missing is planned, and the cell is not complete without it.
    from benchmark.cells.folder import ExperimentFolder

    experiment = ExperimentFolder(cell.folder.parent)
    cell.folder.rename(experiment.cell(config).folder)
    (planned,) = make_plan([config], experiment)
    assert planned.state == "done" and not planned.complete and "1 further test to score: 3-way" in planned.told
    assert [left.test.name for left in planned.tests_to_score()] == ["3-way"]


# Evaluating by hand


def test_a_test_by_hand_joins_the_run_and_is_looked_up_afterwards(cell: CellFolder) -> None:
    found = evaluate(cell, TestEntry(ways=4, episodes=12), "best", "cpu")
    assert found.origin == "scored" and np.allclose(found.accuracy, by_hand(cell, 4, 12), atol=1e-6)
    again = evaluate(cell, TestEntry(ways=4, episodes=12), "best", "cpu")
    assert again.origin == "recorded" and again.score == found.score
    assert evaluate(cell, TestEntry(), "best", "cpu").origin == "own"
    (one,) = standings_of_tests(cell.config(), cell)
    assert one.label == "4-way" and one.state == "done"


def test_beside_a_training_the_weights_say_after_how_many_steps_they_are(cell: CellFolder) -> None:
    """Between two validations of a run that holds its lock; weights chosen so far are no final ones."""
    last = checkpoint.load(cell.last_checkpoint)
    last["progress"] |= {"step": 3}
    checkpoint.save(cell.last_checkpoint, last)
    result = cell.result()
    assert result is not None and result.training is not None
    best = result.training.best_step
    (cell.folder / "result.json").unlink()
    with cell.lock():
        found = evaluate(cell, TestEntry(ways=3), "best", "cpu")
        assert (found.step, found.test.step) == (best, best)
        assert evaluate(cell, TestEntry(ways=3), best, "cpu").origin == "recorded"
        assert evaluate(cell, TestEntry(), "last", "cpu").test.step == 3
        with pytest.raises(UserError, match=rf"no weights after 999 steps; it has those after .*{best} \(best\)"):
            evaluate(cell, TestEntry(), 999, "cpu")
    # Finished, the test of the final weights is another one, and none of these stands in its place.
    cell.plan_tests(with_tests(cell.config(), TestEntry(ways=3)).tests)
    states = {one.label: one.state for one in standings_of_tests(cell.config(), cell)}
    assert states["3-way"] == "missing" and states[f"3-way after {best} steps"] == "done"


REFUSED = {
    "more ways than classes": (TestEntry(ways=1000), "impossible"),
    "another shape": (TestEntry(dataset={"name": "glyphs", "domains": "planes"}), "built for 1 x 28 x 28"),
    "no such domain": (TestEntry(domain="blur"), "no domain 'blur'"),
    "sequences": (TestEntry(tasks=2), "learns single ones"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_test_is_refused_and_leaves_nothing(name: str, cell: CellFolder) -> None:
    entry, message = REFUSED[name]
    with pytest.raises(UserError, match=message):
        evaluate(cell, entry, "best", "cpu")
    assert cell.tests.recorded() == []


def test_classes_that_were_trained_on_are_no_test(cell: CellFolder) -> None:
    """The training characters of this cell, as a folder of somebody's own pictures."""
    from PIL import Image

    images = data.load(cell.config().dataset).splits["train"]
    folder = cell.folder.parent / "mine"
    for split, first in (("train", 20), ("validation", 30), ("test", 0)):
        for number in range(first, first + 6):
            for row in range(int(images.first[number]), int(images.first[number + 1])):
                path = folder / split / f"c{number}" / f"{row}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(images.images[row, 0].numpy()).save(path)
    mine = TestEntry(dataset={"name": "folder", "path": str(folder)})
    with pytest.raises(UserError, match="6 classes that are trained on here"):
        evaluate(cell, mine, "best", "cpu")
    with pytest.raises(UserError, match="6 classes that are trained on here"):
        preflight([with_tests(cell.config(), mine)])


def test_a_method_of_one_number_of_ways_says_so(tmp_path: Path) -> None:
    store = CellFolder(tmp_path / "cell")
    store.create(
        configure("ht-logits", model={"channels": 4}, train={"batch": 1, "steps": 1, "validation_episodes": 2})
    )
    run(store, "cpu")
    with pytest.raises(UserError, match=r"ht-logits is built for one number of ways, 5.*of 3 ways$"):
        evaluate(store, TestEntry(ways=3), "best", "cpu")
    assert evaluate(store, TestEntry(shots=2), "best", "cpu").origin == "scored"


def test_glyphs_are_as_assumed() -> None:
    assert configure("protonet").test_episodes.queries == 3 and GLYPHS["test_classes"] == 20
