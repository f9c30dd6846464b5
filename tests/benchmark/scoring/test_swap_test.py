"""The swap test: whose kernels classify which task, and what it costs."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark import data
from benchmark.cells.config import EpisodesConfig
from benchmark.data.configs import GlyphsConfig
from benchmark.data.dataset import ClassImages
from benchmark.episodes.draw import draw
from benchmark.episodes.sampling import sample
from benchmark.scoring.scoring import accuracies
from benchmark.scoring.swap_test import swap_test
from methods import UNLABELLED, Episode, registry
from methods.hypertransformer.layers import ConvLayer
from methods.hypertransformer.model import HyperTransformer
from methods.method import Method
from methods.networks.conv4 import NetworkWeights
from tests.methods.helpers import setting_for

SHAPE = EpisodesConfig(ways=3, shots=2, queries=2)
SMALL: dict[str, Any] = {"channels": 4, "transformer_layers": 2, "embedding": 8, "shared_features": 6}


def glyphs(domains: object = ()) -> ClassImages:
    config = GlyphsConfig(name="glyphs", train_classes=4, validation_classes=4, test_classes=5, images_per_class=5,
                          domains=domains)  # fmt: skip
    return data.load(config).splits["test"]


def build(name: str, images: ClassImages, **options: Any) -> Method:
    torch.manual_seed(0)
    setting = setting_for(sample(images, SHAPE, 0, 0, 1))
    return registry.get(name).build({**SMALL, **options}, replace(setting, shots=2)).eval()


class Recorder(Method):
    """Keeps what it is handed."""

    written_convolutions = 1

    def __init__(self) -> None:
        super().__init__()
        self.donors: list[Tensor] = []
        self.labels: list[Tensor] = []

    def forward(self, episode: Episode) -> Tensor:
        raise NotImplementedError

    def solver_parameters(self, ways: int) -> int:
        return 0

    def logits_with_kernels_of(self, episode: Episode, donors: Tensor) -> Tensor:
        self.donors.append(donors)
        self.labels.append(episode.query_labels)
        return torch.zeros(*episode.query_labels.shape, episode.ways)


def test_donors_are_of_the_domain_they_should_be_of() -> None:
    images = glyphs(["identity", "invert", "edges"])
    domains = draw(images, SHAPE, 5, torch.arange(16)).domains
    method = Recorder()
    found = swap_test(method, images, SHAPE, 5, 16)
    assert found is not None
    assert found.own == found.same_domain == found.other_domain == pytest.approx(1 / 3)  # always the first class
    own, same, other = method.donors
    assert torch.equal(own, torch.arange(16))
    several = torch.tensor([(domains == domain).sum() > 1 for domain in domains])
    assert torch.equal(domains[same][several], domains[several])
    assert (same[several] != own[several]).all()
    assert (domains[other] != domains).all()
    assert all((labels == UNLABELLED).all() for labels in method.labels)


@pytest.mark.parametrize("statistics", ["support", "batch"])
def test_own_is_the_methods_accuracy_and_static_kernels_cost_nothing(statistics: str) -> None:
    images = glyphs("planes")
    for name in ("ht-all", "ht-static"):
        method = build(name, images, query_statistics=statistics)
        found = swap_test(method, images, SHAPE, 7, 20)
        assert found is not None
        assert found.own == pytest.approx(accuracies(method, images, SHAPE, 7, 20).mean())
        if name == "ht-static":
            assert found.same_domain == pytest.approx(found.own) == found.other_domain


@pytest.mark.parametrize(
    "options",
    [{}, {"residual_weights": True, "generate_bias": True, "generate_normalization": True}, {"generated_layers": 2}],
)
@pytest.mark.parametrize("statistics", ["support", "batch"])
def test_exchanged_kernels_by_hand(options: dict[str, Any], statistics: str) -> None:
    """Task 0 with task 1's kernels, against a network assembled from the two tasks' own passes, in float64."""
    images = glyphs()
    method = build("ht", images, **{"generated_layers": "all", "query_statistics": statistics, **options}).double()
    assert isinstance(method, HyperTransformer)
    for parameter in method.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    episode = sample(images, SHAPE, 3, 0, 2)
    episode = replace(
        episode, support_images=episode.support_images.double(), query_images=episode.query_images.double()
    )
    with torch.inference_mode():
        swapped = method.logits_with_kernels_of(episode, torch.tensor([1, 0]))
        crossed = Episode(
            episode.support_images[[1]], episode.support_labels[[1]], episode.query_images[[0]],
            episode.query_labels[[0]], episode.ways,
        )  # fmt: skip
        written = method.write(crossed.support_images, crossed.support_labels)
        own = method.write(episode.support_images[:1], episode.support_labels[:1])
        x, blocks = episode.support_images[0], []
        for number, layer in enumerate(method.convolutions, start=1):
            assert isinstance(layer, ConvLayer)
            x, weights = layer.apply_parts(x, written.parts[f"conv{number}"], 1)
            assert torch.equal(weights.kernel, written.blocks[number - 1].kernel)
            blocks.append(weights)
        last, _ = method.linear(x, episode.support_labels[:1], own.shared, None)
        expected = method.classify(NetworkWeights(blocks, last, method.config.architecture), crossed.query_images)
    torch.testing.assert_close(swapped[:1], expected, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(swapped[:1], method(replace(episode))[:1])


@pytest.mark.parametrize("name", ["ht-logits", "protonet"])
def test_without_written_convolutions_there_is_nothing_to_exchange(name: str) -> None:
    images = glyphs()
    options = SMALL if name.startswith("ht") else {"channels": 4}
    torch.manual_seed(0)
    method = registry.get(name).build(options, setting_for(sample(images, SHAPE, 0, 0, 1)))
    assert swap_test(method, images, SHAPE, 0, 4) is None


def test_one_domain_has_no_other() -> None:
    images = glyphs()
    found = swap_test(build("ht-all", images), images, SHAPE, 0, 4)
    assert found is not None and found.other_domain is None and found.same_domain is not None
    assert found.as_metrics().keys() == {"swap/own", "swap/same_domain"}
