"""Looking inside a HyperTransformer: what is drawn is what the network computes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark import data
from benchmark.cells.folder import CellFolder
from benchmark.episodes.draw import stream
from benchmark.episodes.sampling import sample
from benchmark.errors import UserError
from benchmark.inspection import inspect_run
from benchmark.inspection.figures import _side_by_side
from benchmark.trained.run import load_run
from methods import Episode
from methods.hypertransformer.config import HyperTransformerConfig
from methods.hypertransformer.inspection import attention_to_support, attention_weights
from methods.hypertransformer.model import HyperTransformer
from methods.hypertransformer.transformer import Attention
from methods.variation import domain_share, variation_share
from tests.benchmark.helpers import invoke
from tests.benchmark.trained_runs import train
from tests.methods.helpers import random_episode, reorder_support, setting_for
from tests.methods.test_sequences import build, random_sequence


def test_variation_share_is_the_variance_between_tasks_over_all_variance() -> None:
    weights = np.random.default_rng(0).normal(size=(7, 3, 4))
    flat = weights.reshape(7, 12)
    grand = flat.mean()
    between = sum((flat[t, i] - flat[:, i].mean()) ** 2 for t in range(7) for i in range(12))
    total = sum((flat[t, i] - grand) ** 2 for t in range(7) for i in range(12))
    assert float(variation_share(torch.from_numpy(weights))) == pytest.approx(between / total)


def test_domain_share_is_the_variance_of_the_domains_means() -> None:
    draw = np.random.default_rng(1)
    weights, domains = draw.normal(size=(12, 5)), np.array([0, 1, 2] * 4)
    weights += 3 * domains[:, None]
    means = np.stack([weights[domains == domain].mean(0) for domain in range(3)])
    expected = means.var(axis=0).mean() / weights.var()  # domains of equal size
    found = float(domain_share(torch.from_numpy(weights), torch.from_numpy(domains)))
    assert found == pytest.approx(expected)
    assert found < float(variation_share(torch.from_numpy(weights)))


def test_variation_share_of_networks_that_ignore_or_are_all_support() -> None:
    alike = torch.randn(3, 4, dtype=torch.float64).expand(6, 3, 4)
    assert float(variation_share(alike)) == pytest.approx(0, abs=1e-12)
    opposite = torch.stack([alike[0], -alike[0]])  # tasks have nothing in common: their mean is 0 everywhere
    assert float(variation_share(opposite - opposite.mean())) == pytest.approx(1)
    assert float(variation_share(torch.ones(5, 3))) == 0


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
@pytest.mark.parametrize("hide", [False, True])
def test_recorded_attention_is_what_attention_weighs_values_by(kind: Any, hide: bool) -> None:
    torch.manual_seed(0)
    attention = Attention(12, 20, HyperTransformerConfig(attention=kind, heads=3)).double()
    x, memory = torch.randn(2, 4, 12).double(), torch.randn(2, 6, 20).double()
    dropped = torch.tensor([[0, 1, 0, 0, 1, 0], [1, 0, 0, 0, 0, 0]]).bool() if hide else None
    weights = attention_weights(attention, x, memory, dropped)
    assert weights.shape == (2, 3, 4, 6)
    value = attention.key_value(memory)[..., attention.key_width :].unflatten(-1, (3, -1)).transpose(1, 2)
    output = attention.output((weights @ value).transpose(1, 2).flatten(2))
    torch.testing.assert_close(output, attention(x, memory, dropped))


@pytest.mark.parametrize("generator", ["encoder", "encoder-decoder", "separate"])
@pytest.mark.parametrize("layers", ["logits", "all"])
def test_attention_follows_the_support_images(generator: Any, layers: Any) -> None:
    torch.manual_seed(1)
    episode = random_episode(tasks=2, ways=3, shots=2, unlabelled=1)
    config = HyperTransformerConfig(channels=4, generator=generator, generated_layers=layers, transformer_layers=2)
    model = HyperTransformer(config, setting_for(episode)).double().eval()
    before = model(episode)
    attention = attention_to_support(model, episode)
    assert list(attention) == (["linear"] if layers == "logits" else ["conv1", "conv2", "conv3", "conv4", "linear"])
    expected = {
        "encoder": ["encoder 1", "encoder 2"],
        "separate": ["decoder 1 memory", "decoder 2 memory"],
    }.get(generator)
    order = torch.randperm(9)
    moved = attention_to_support(model, reorder_support(episode, order))
    for layer, found in attention.items():
        assert expected is None or list(found) == expected
        for name, weights in found.items():
            assert weights.shape == (2, 2, 3 if layer == "linear" else 4, 9)
            sums = weights.sum(-1)
            assert bool(((sums > 0) & (sums <= 1 + 1e-9)).all())
            assert generator != "separate" or torch.allclose(sums, torch.ones_like(sums))
            torch.testing.assert_close(moved[layer][name], weights[..., order])
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(model(episode), before)


def test_variation_is_logged_at_every_validation(tmp_path: Path) -> None:
    store = CellFolder(train(tmp_path / "cell", "ht-logits"))
    lines = store.metrics()
    assert [line.step for line in lines] == [2, 4]
    run = load_run(tmp_path / "cell")
    assert isinstance(run.method, HyperTransformer)
    result = store.result()
    assert result is not None and result.training is not None
    best = next(line.diagnostics for line in lines if line.step == result.training.best_step)
    images = data.load(run.config.dataset).splits["validation"]
    episode = sample(images, run.config.test_episodes, stream("validation", 0), 0, 16)
    with torch.no_grad():
        weights = run.method.generated_weights(episode)
    shares = {name: float(variation_share(tensor)) for name, tensor in weights.items()}
    assert set(shares) == {"linear.weight", "linear.bias"}
    for name, share in shares.items():
        assert 0 < share < 1
        assert best[f"ht/variation_share.{name}"] == pytest.approx(share, rel=1e-4)
    assert best["ht/variation_share"] == pytest.approx(sum(shares.values()) / 2, rel=1e-4)


def test_other_methods_have_no_diagnostics(tmp_path: Path) -> None:
    store = CellFolder(train(tmp_path / "cell", "protonet"))
    assert not [name for line in store.metrics() for name in line.diagnostics]


def test_inspect_draws_and_tells_about_a_test_episode(tmp_path: Path) -> None:
    episodes = {"ways": 5, "shots": 1, "queries": 2, "unlabelled": 1, "distractors": 2}
    folder = train(tmp_path / "cell", "ht-all", model={"channels": 4}, episodes=episodes)
    done = invoke("inspect", folder, "--episode", 3, "--json")
    assert done.exit_code == 0
    seen = json.loads(done.stdout)
    run = load_run(folder)
    images = data.load(run.config.dataset).splits["test"]
    episode: Episode = sample(images, run.config.test_episodes, stream("test", run.config.test.seed), 3, 1)
    accuracy = (run.method(episode).argmax(-1) == episode.query_labels).float().mean()
    assert seen["accuracy"] == pytest.approx(float(accuracy))
    assert len(seen["class_names"]) == 5
    assert set(seen["variation_share"]) == {f"conv{n}.kernel" for n in range(1, 5)} | {"linear.weight", "linear.bias"}
    assert all(0 <= share <= 1 for share in seen["support_attention"].values())
    drawn = {path.name for path in (folder / "inspect").iterdir()}
    assert drawn == {f"{name}.{kind}" for name in seen["figures"] for kind in ("png", "svg")}


@pytest.mark.parametrize("domains", [["identity", "invert"], "planes"])
def test_inspect_tells_domains_apart(domains: Any, tmp_path: Path) -> None:
    glyphs = {"name": "glyphs", "domains": domains}
    folder = train(tmp_path / "cell", "ht-all", model={"channels": 4}, dataset=glyphs)
    seen = inspect_run(load_run(folder), 0, folder / "inspect")
    assert seen.domain_share.keys() == seen.variation_share.keys()
    assert all(0 <= seen.domain_share[name] <= share for name, share in seen.variation_share.items())
    assert seen.swap is not None and None not in (seen.swap.same_domain, seen.swap.other_domain)
    said = invoke("inspect", folder).stdout
    assert f"the task itself {seen.swap.own:.1%}" in said and "a task of another domain" in said


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_planes_of_an_image_are_drawn_below_each_other(channels: int) -> None:
    images = torch.rand(5, channels, 7, 7)
    strip = _side_by_side(images)
    if channels in (1, 2):
        assert np.array_equal(strip[-7:, 7:14], images[1, -1])
    else:
        assert np.array_equal(strip[-7:, 7:14], images[1, -3:].permute(1, 2, 0))
    assert strip.shape[:2] == (7 * (2 if channels in (2, 6) else 1), 35)


@pytest.mark.parametrize("method", ["ht-continual", "ht-merged"])
@pytest.mark.parametrize("scenario", ["class-incremental", "mini-batch"])
def test_inspect_follows_a_task_sequence(method: str, scenario: str, tmp_path: Path) -> None:
    episodes = {"ways": 2, "shots": 2, "queries": 2, "tasks": 3, "scenario": scenario}
    model = {"channels": 4, "transformer_layers": 1, "shared_layers": 2}
    folder = train(tmp_path / "cell", method, model=model, episodes=episodes)
    seen = inspect_run(load_run(folder), 1, folder / "inspect")
    assert len(seen.class_names) == (2 if scenario == "mini-batch" else 6)
    assert set(seen.variation_share) == {f"conv{n}.kernel" for n in range(1, 5)}
    assert {path.name for path in (folder / "inspect").glob("*.png")} == {f"{name}.png" for name in seen.figures}


def test_attention_and_weights_of_a_sequence_are_those_of_its_last_step() -> None:
    model, sequence = build("ht-continual", generator="separate"), random_sequence("class-incremental", tasks=1)
    first, second, third = model.networks(sequence)
    for name, tensor in model.generated_weights(sequence).items():
        layer, _, part = name.partition(".")
        assert torch.equal(tensor, third.parts[layer][part])
    assert torch.equal(model.generated_weights(sequence.first(2))["conv2.kernel"], second.parts["conv2"]["kernel"])
    assert not torch.equal(first.parts["conv2"]["kernel"], second.parts["conv2"]["kernel"])
    images_of_a_step = sequence.support_images.shape[1] // 3
    for found in attention_to_support(model, sequence).values():
        for weights in found.values():
            assert weights.shape[-1] == images_of_a_step
            torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights.sum(-1)))


def test_inspect_refuses_other_methods_and_episodes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run of protonet, which generates no weights"):
        inspect_run(load_run(train(tmp_path / "protonet", "protonet")), 0, tmp_path / "out")
    with pytest.raises(UserError, match="test episodes 0 to 19"):
        inspect_run(load_run(train(tmp_path / "ht", "ht-logits")), 20, tmp_path / "out")
