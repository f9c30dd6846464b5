"""Grids on miniImageNet as a user meets them, on a small archive: data, plan, a trained cell, its predictions."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from benchmark import data
from benchmark.data.configs import MiniImageNetConfig
from benchmark.episodes.draw import draw, stream
from benchmark.episodes.images import gather
from benchmark.trained.pictures import read_queries
from benchmark.trained.run import load_run
from tests.benchmark.data.photograph_archives import all_photos, photos, write_class_dict
from tests.benchmark.helpers import ROOT, invoke, main_here, write_grid
from tests.benchmark.trained_runs import train

PAPER = ROOT / "experiments" / "paper"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HTBENCH_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def test_without_files_the_command_says_what_to_put_where_and_ends_with_2(tmp_path: Path, root: Path) -> None:
    grid = write_grid(tmp_path, dataset={"name": "mini_imagenet"}, plugins=None, grid={"method": "rfs"})
    ended = main_here("data", grid, cwd=tmp_path)
    assert ended.returncode == 2
    assert f"no files in {root}/mini_imagenet. Put mini-imagenet-cache-train.pkl" in ended.stderr


def test_data_says_what_is_there(tmp_path: Path, root: Path) -> None:
    write_class_dict(root / "mini_imagenet", all_photos())
    grid = write_grid(
        tmp_path, dataset={"name": "mini_imagenet", "partial": True}, plugins=None, grid={"method": "rfs"}
    )
    printed = invoke("data", grid).stdout
    dataset = data.load(MiniImageNetConfig(name="mini_imagenet", partial=True))
    assert "train          4 classes      12 images of 3x84x84" in printed
    assert f"sha256 {dataset.sha256}" in printed
    assert f"class split sha256 {dataset.split_sha256}" in printed


@pytest.mark.parametrize(
    ("grid", "cells"),
    [("mini-imagenet-table1", "method=maml++,ht-logits"), ("mini-imagenet-table2", "method=rfs")],
)
def test_plan_costs_the_papers_tables(tmp_path: Path, root: Path, grid: str, cells: str) -> None:
    enough = {"train": photos("train", 32, 21), "val": photos("val", 5, 16), "test": photos("test", 5, 16)}
    write_class_dict(root / "mini_imagenet", enough)
    text = (PAPER / f"{grid}.yaml").read_text()
    small = text.replace("name: mini_imagenet\n", "name: mini_imagenet\n  partial: true\n")
    small = small.replace("[8, 16, 32, 48, 64]", "[8]").replace("channels: 64", "channels: 8")
    (tmp_path / f"{grid}.yaml").write_text(small)
    only = ["--only", cells, "--only", "seed=0", "--only", "episodes.shots=1"]
    planned = json.loads(invoke("plan", tmp_path / f"{grid}.yaml", "--runs", tmp_path, "--json", *only).stdout)
    assert len(planned["cells"]) == len(cells.split(","))
    assert all(cell["remaining_seconds"] > 0 for cell in planned["cells"])


def test_a_trained_cell_predicts_on_pictures_as_it_saw_them(tmp_path: Path, root: Path) -> None:
    enough = {split: photos(split, 5, 4) for split in ("train", "val", "test")}
    write_class_dict(root / "mini_imagenet", enough)
    dataset = {"name": "mini_imagenet", "partial": True, "augment": True}
    shape = {"ways": 3, "shots": 1, "queries": 2}
    run = load_run(train(tmp_path / "cell", "protonet", dataset=dataset, episodes=shape, model={"channels": 2}))
    test = data.load(run.config.dataset).splits["test"]
    drawn = draw(test, run.config.test_episodes, stream("test", 0), torch.tensor([0]))
    for number, row in enumerate(drawn.rows[0, :, 1:].flatten().tolist()):
        (tmp_path / "pictures").mkdir(exist_ok=True)
        Image.fromarray(test.images[row].permute(1, 2, 0).numpy()).save(tmp_path / "pictures" / f"{number}.png")
    pictures = read_queries(run, tmp_path / "pictures", "auto")
    assert torch.equal(pictures.images, gather(test, run.config.test_episodes, drawn).query_images[0])
    assert "normalised" in pictures.note
