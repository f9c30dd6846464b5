"""The oracle against a plain loop over tasks with torch's own layers, and the images it is given."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.cells.config import EpisodesConfig
from benchmark.cells.folder import ExperimentFolder
from benchmark.data import load
from benchmark.data.configs import GlyphsConfig
from benchmark.episodes.sampling import sample, sample_all
from benchmark.execution.cell import run
from benchmark.grid import read_grid
from methods.networks.conv4 import NORM_EPS
from methods.registry import get
from tests.benchmark.helpers import write_grid
from tests.methods.helpers import (
    keep_queries,
    random_episode,
    relabel,
    reorder_support,
    setting_for,
)

EPISODE = random_episode(tasks=2, shots=3)


def build(episode: Any = EPISODE, **options: Any) -> Any:
    torch.manual_seed(0)
    return get("oracle").build({"channels": 4, "steps": 4, **options}, setting_for(episode)).double().eval()


def plain_network(weights: list[Tensor], support: Tensor, query: Tensor) -> tuple[Tensor, Tensor]:
    """Logits of one task's support and query images, both normalised with the statistics of the former."""
    *convolutions, weight, bias = weights
    for kernel, scale, offset in zip(convolutions[::3], convolutions[1::3], convolutions[2::3], strict=True):
        both = torch.cat([support, query])
        both = F.max_pool2d(F.relu(F.conv2d(both, kernel, padding=1)), 2)
        support = both[: len(support)]
        mean = support.mean((0, 2, 3), keepdim=True)
        variance = ((support - mean) ** 2).mean((0, 2, 3), keepdim=True)
        both = (both - mean) / (variance + NORM_EPS).sqrt() * scale[:, None, None] + offset[:, None, None]
        support, query = both.split([len(support), len(query)])
    return support.flatten(1) @ weight.T + bias, query.flatten(1) @ weight.T + bias


def plain_logits(model: Any, support: Tensor, labels: Tensor, query: Tensor, ways: int) -> Tensor:
    """Of one task: full-batch Adam, the rate falling along half a cosine."""
    weights = []
    for kernel in model.kernels:
        weights += [kernel.clone(), torch.ones(len(kernel)).double(), torch.zeros(len(kernel)).double()]
    weights += [torch.zeros(ways, 4).double(), torch.zeros(ways).double()]
    optimizer = torch.optim.Adam([w.requires_grad_() for w in weights])
    steps = model.config.steps
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = model.config.learning_rate * (1 + math.cos(math.pi * step / steps)) / 2
        optimizer.zero_grad()
        logits, _ = plain_network(weights, support, query)
        F.cross_entropy(logits[labels >= 0], labels[labels >= 0]).backward()
        optimizer.step()
    return plain_network(weights, support, query)[1].detach()


@pytest.mark.parametrize("unlabelled", [0, 2])
def test_all_tasks_at_once_are_plain_loops_one_by_one(unlabelled):
    episode = random_episode(tasks=2, shots=3, unlabelled=unlabelled)
    model = build(episode)
    parts = zip(episode.support_images, episode.support_labels, episode.query_images, strict=True)
    expected = torch.stack([plain_logits(model, *part, episode.ways) for part in parts])
    torch.testing.assert_close(model(episode), expected, rtol=1e-6, atol=1e-8)
    with torch.inference_mode():
        fresh = replace(episode, support_images=episode.support_images.clone())
        torch.testing.assert_close(model(fresh), expected, rtol=1e-6, atol=1e-8)


def test_it_depends_on_nothing_but_the_task():
    model = build(steps=3)
    logits = model(EPISODE)
    torch.testing.assert_close(model(EPISODE[1:2]), logits[1:2], rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(model(keep_queries(EPISODE, 2)), logits[:, :2], rtol=1e-8, atol=1e-10)
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(model(relabel(EPISODE, order))[..., order], logits, rtol=1e-6, atol=1e-8)
    shuffled = reorder_support(EPISODE, torch.randperm(9, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(model(shuffled), logits, rtol=1e-6, atol=1e-8)


def test_it_learns_its_support_set_and_more_ways_than_it_was_built_for():
    episode = random_episode(tasks=1, ways=5, shots=4)
    model = build(steps=40, channels=8)
    known = replace(episode, query_images=episode.support_images, query_labels=episode.support_labels)
    assert torch.equal(model(known).argmax(-1), known.query_labels)


def test_nothing_is_trained_once_and_for_all():
    model = build()
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert model.solver_parameters(5) == 9 * (1 + 3 * 4) * 4 + 5 * (4 + 1)
    with pytest.raises(ValueError, match="steps is at least 1"):
        build(steps=0)


@pytest.mark.parametrize("distractors", [0, 2])
@pytest.mark.parametrize("unlabelled", [0, 3])
def test_all_other_images_of_the_classes_and_the_same_queries(unlabelled, distractors):
    glyphs = load(
        GlyphsConfig(name="glyphs", train_classes=8, validation_classes=4, test_classes=6, images_per_class=9)
    )
    images = glyphs.splits["test"]
    shape = EpisodesConfig(ways=3, shots=2, queries=2, unlabelled=unlabelled, distractors=distractors)
    few, everything = sample(images, shape, 5, 7, 4), sample_all(images, shape, 5, 7, 4)
    assert torch.equal(everything.query_images, few.query_images)
    assert torch.equal(everything.query_labels, few.query_labels)
    for task in range(4):
        for way in range(3):
            known = everything.support_images[task][everything.support_labels[task] == way]
            asked = everything.query_images[task][everything.query_labels[task] == way]
            together = {tuple(image.flatten().tolist()) for image in torch.cat([known, asked])}
            drawings = images.turned.to(torch.float32).div(255).flatten(1)
            classes = [{tuple(row.tolist()) for row in drawings[c * 9 : c * 9 + 9]} for c in range(6)]
            assert (len(known), len(together)) == (7, 9) and together in classes
            given = few.support_images[task][few.support_labels[task] == way]
            assert {tuple(image.flatten().tolist()) for image in given} < together


def test_from_a_grid_to_a_record_on_the_test_episodes_of_few_shot_learners(tmp_path: Path) -> None:
    path = write_grid(
        tmp_path,
        episodes={"ways": 3, "shots": 1, "queries": 2},
        test={"episodes": 20},
        model={"channels": 4},
        train={"batch": 2, "steps": 2, "validate_every": 2, "validation_episodes": 4},
        grid={"method": ["oracle", "protonet"]},
        overrides=[{"when": {"method": "oracle"}, "model": {"steps": 5}}],
    )
    results = []
    for config in read_grid(path).cells:
        store = ExperimentFolder(tmp_path / "runs").cell(config)
        store.create(config)
        results.append(run(store, "cpu"))
    oracle, protonet = results
    assert oracle.failure is None and oracle.training is not None and oracle.model is not None
    assert (oracle.training.steps, oracle.model.parameters, oracle.model.transductive) == (0, 0, False)
    assert oracle.test is not None and protonet.test is not None
    assert oracle.test.sha256 == protonet.test.sha256
