"""A user's own pictures: folders in, labels out."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark import data
from benchmark.data.glyphs import draw
from benchmark.errors import UserError
from benchmark.trained.pictures import bright_ink, read_queries, read_support
from benchmark.trained.prediction import classify
from benchmark.trained.run import load_run
from methods import registry
from tests.benchmark.helpers import SCRATCH_METHODS, invoke
from tests.benchmark.trained_runs import configure, hand_made_folders, train, untrained


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A protonet after some seconds of training."""
    budget = {"batch": 8, "steps": 150, "validate_every": 150, "validation_episodes": 20, "learning_rate": 1e-2}
    return train(tmp_path_factory.mktemp("run") / "cell", "protonet", train=budget)


def test_levels_and_polarity_of_a_scan_are_undone() -> None:
    glyphs = torch.from_numpy(draw((0, 9, 0), 4))[:, None].float() / 255
    expected = glyphs / glyphs.amax((1, 2, 3), keepdim=True)
    for paper, ink, invert in ((0.0, 1.0, False), (0.9, 0.2, True), (0.4, 0.1, True), (0.55, 0.95, False)):
        scan = paper + (ink - paper) * glyphs
        images, inverted = bright_ink(scan, "auto")
        assert inverted.tolist() == [invert] * 4
        torch.testing.assert_close(images, expected)
        forced, _ = bright_ink(scan, "yes" if invert else "no")
        assert torch.equal(forced, images)
    wrong, _ = bright_ink(1 - glyphs, "no")
    assert float(wrong.max()) == 0  # dark ink on white, told that it is bright: nothing is left
    assert torch.equal(bright_ink(torch.ones(1, 1, 28, 28), "auto")[0], torch.zeros(1, 1, 28, 28))


def test_photographs_for_other_datasets_stay_as_they_are(tmp_path: Path) -> None:
    support, _ = hand_made_folders(tmp_path, queries=0)
    run = untrained("protonet")
    photos = configure("protonet", dataset={"name": "folder", "path": "elsewhere"})
    folder_run = type(run)(run.folder, photos, run.setting, run.method, None)
    kept = read_support(folder_run, support, "auto")
    assert float(kept.images[:, 0, 0, 0].min()) > 0.8  # khaki paper
    assert "5 as they are" in kept.note
    torch.testing.assert_close(read_support(folder_run, support, "yes").images, 1 - kept.images)


def test_sensible_answers_for_characters_nobody_trained_on(trained: Path, tmp_path: Path) -> None:
    support, query = hand_made_folders(tmp_path)
    done = invoke("predict", trained, "--support", support, "--query", query, "--json")
    assert done.exit_code == 0
    answer = json.loads(done.stdout)
    assert len(answer["predictions"]) == 20
    right = [row["label"] == Path(row["file"]).stem for row in answer["predictions"]]
    assert sum(right) >= 14  # 4 by chance; on papers of four colours
    for row in answer["predictions"]:
        assert set(row["probabilities"]) == {f"char{n}" for n in range(5)}
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert row["probability"] == max(row["probabilities"].values()) == row["probabilities"][row["label"]]
    assert "5 of 5 inverted" in answer["notes"][0] and "10 of 20 inverted" in answer["notes"][1]


def test_unlabelled_pictures_join_the_support_set(tmp_path: Path) -> None:
    support, query = hand_made_folders(tmp_path, queries=2)
    torch.manual_seed(0)
    run = untrained("ht-logits")
    together = read_support(run, support, "auto", query)
    assert together.labels.tolist() == [0, 1, 2, 3, 4] + [-1] * 10
    assert torch.equal(together.images[5:], read_queries(run, query, "auto").images)
    assert torch.equal(together.images[:5], read_support(run, support, "auto").images)
    assert "15 of 15 inverted" in together.note
    without, informed = classify(run, support, query), classify(run, support, query, unlabelled_folder=query)
    assert without.predictions[0].probabilities != informed.predictions[0].probabilities
    assert any("trained without unlabelled pictures" in note for note in informed.notes)
    semi = replace(run, config=configure("ht-logits", episodes={"ways": 5, "shots": 1, "queries": 3, "unlabelled": 2}))
    said = "trained with 2 unlabelled picture(s) per class; these are "
    assert any(said + "none in all" in note for note in classify(semi, support, query).notes)
    assert not any(said in note for note in classify(semi, support, query, unlabelled_folder=query).notes)
    with pytest.raises(UserError, match=r"--unlabelled .*nowhere is not a folder"):
        read_support(run, support, "auto", tmp_path / "nowhere")


def test_an_unreadable_query_is_named_and_the_others_are_predicted(trained: Path, tmp_path: Path) -> None:
    support, query = hand_made_folders(tmp_path, queries=1)
    (query / "broken [1].png").write_bytes(b"no image")
    done = invoke("predict", trained, "--support", support, "--query", query)
    assert done.exit_code == 1
    assert "broken [1].png cannot be read as an image" in done.stderr
    assert sum(line.strip().startswith("page0") for line in done.stdout.splitlines()) == 5
    assert "broken" not in done.stdout


def test_input_that_makes_no_task_is_refused(trained: Path, tmp_path: Path) -> None:
    support, query = hand_made_folders(tmp_path, queries=1)
    run = load_run(trained)
    one = tmp_path / "one"
    (one / "lonely").mkdir(parents=True)
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder, message in (
        (one, "has 1 class folders"),
        (empty, "has 0 class folders"),
        (query / "x", "not a folder"),
    ):
        with pytest.raises(UserError, match=message):
            classify(run, folder, query)
    with pytest.raises(UserError, match="has no images"):
        classify(run, support, empty)
    (support / "char0" / "broken.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"broken\.png cannot be read"):
        classify(run, support, query)
    for file in query.rglob("*.png"):
        file.write_bytes(b"no image")
    with pytest.raises(UserError, match=r"char0\.png(.|\n)*char4\.png"):
        read_queries(run, query, "auto")


def test_every_method_predicts_and_says_what_it_looks_at(tmp_path: Path) -> None:
    registry.load_plugin(SCRATCH_METHODS)
    support, query = hand_made_folders(tmp_path, queries=1)
    other = train(tmp_path / "other", "linear-mean", plugins=[str(SCRATCH_METHODS)])
    answer = classify(load_run(other), support, query)
    assert len(answer.predictions) == 5
    assert not any("transductive" in note for note in answer.notes)
    transductive = classify(load_run(train(tmp_path / "ht", "ht-logits")), support, query)
    assert any("transductive" in note for note in transductive.notes)
    (support / "char0" / "second.png").write_bytes((support / "char0" / "sample.png").read_bytes())
    assert any(
        "1 picture(s) per class; these have 1-2" in note for note in classify(load_run(other), support, query).notes
    )


def test_a_run_is_loaded_without_its_data(tmp_path: Path, user_cache: Path) -> None:
    rng = np.random.default_rng(0)
    images = tmp_path / "images"
    for c in range(12):
        (images / f"c{c}").mkdir(parents=True)
        for i in range(4):
            Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(images / f"c{c}" / f"{i}.png")
    dataset = {"name": "folder", "path": str(images), "image_size": 20, "colour": True}
    shape = {"ways": 2, "shots": 1, "queries": 3}
    folder = train(tmp_path / "cell", "ht-all", dataset=dataset, episodes=shape, model={"class_loss": 0.1})
    original = data.load(load_run(folder).config.dataset)
    images.rename(tmp_path / "moved")
    run = load_run(folder)
    assert run.setting.image_shape == (3, 20, 20) == original.splits["train"].image_shape
    assert run.setting.training_classes == original.splits["train"].classes
    assert not run.method.training


def test_what_is_no_trained_run_is_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"not a cell's run directory; give one such as .*cell"):
        load_run(trained.parent)
    copy = tmp_path / "cell"
    copy.mkdir()
    (copy / "cell.json").write_bytes((trained / "cell.json").read_bytes())
    with pytest.raises(UserError, match=r"has no best\.pt: nothing has been trained there yet"):
        load_run(copy)
    (copy / "best.pt").write_bytes((trained / "best.pt").read_bytes()[:900])
    with pytest.raises(UserError, match="not a readable checkpoint"):
        load_run(copy)
    (copy / "best.pt").write_bytes((trained / "best.pt").read_bytes())
    (copy / "cell.json").write_text(
        (trained / "cell.json").read_text().replace('"model": {}', '"model": {"channels": 3}')
    )
    with pytest.raises(UserError, match="another version of 'protonet'"):
        load_run(copy)
    (copy / "cell.json").write_text("{}")
    with pytest.raises(UserError, match=r"cell\.json is damaged"):
        load_run(copy)
