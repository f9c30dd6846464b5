"""HyperTransformer as a whole: what depends on what, and its size."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from methods.hypertransformer.config import HyperTransformerConfig
from methods.hypertransformer.model import HyperTransformer
from methods.networks.conv4 import linear
from methods.registry import get
from tests.methods.helpers import (
    assert_batched_equals_loop,
    assert_tasks_are_independent,
    gradients,
    keep_queries,
    random_episode,
    relabel,
    reorder_support,
    setting_for,
)

SMALL: dict[str, Any] = {"channels": 4, "transformer_layers": 2, "embedding": 8, "shared_features": 6}
GENERATED = ["logits", "all", 2, -1]
STATISTICS = ["batch", "support", "image"]


def build(seed: int = 0, **options) -> Any:
    """A small float64 model for `random_episode`, in eval mode."""
    torch.manual_seed(seed)
    config = HyperTransformerConfig(**{**SMALL, **options})
    return HyperTransformer(config, setting_for(random_episode())).double().eval()


@pytest.mark.parametrize("query_statistics", STATISTICS)
@pytest.mark.parametrize("generated_layers", GENERATED)
def test_tasks_at_once_equal_tasks_one_by_one(generated_layers, query_statistics):
    model = build(generated_layers=generated_layers, query_statistics=query_statistics)
    assert_batched_equals_loop(model.train(), random_episode(unlabelled=1))


@pytest.mark.parametrize("query_statistics", STATISTICS)
@pytest.mark.parametrize("generated_layers", ["logits", "all"])
def test_tasks_are_independent(generated_layers, query_statistics):
    model = build(generated_layers=generated_layers, query_statistics=query_statistics, shared_normalization=True)
    assert_tasks_are_independent(model, random_episode())


@pytest.mark.parametrize("query_statistics", STATISTICS)
def test_a_query_depends_on_the_others_only_through_batch_statistics(query_statistics):
    model, episode = build(query_statistics=query_statistics), random_episode()
    alike = torch.allclose(model(episode)[:, :3], model(keep_queries(episode, 3)), rtol=1e-8)
    assert alike == (query_statistics != "batch")


@pytest.mark.parametrize("generator", ["encoder", "encoder-decoder", "separate"])
def test_support_order_does_not_matter(generator):
    model, episode = build(generator=generator), random_episode(unlabelled=1)
    order = torch.randperm(episode.support_labels.shape[1], generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(model(episode), model(reorder_support(episode, order)), rtol=1e-8, atol=1e-9)


def test_the_order_of_unlabelled_images_does_not_matter():
    model, episode = build(drop_unlabelled=0.5), random_episode(shots=1, unlabelled=3)
    labels = episode.support_labels
    order = torch.arange(labels.shape[1]).expand_as(labels).clone()
    for task, row in enumerate(labels):  # each task's in another order, among themselves
        hidden = (row == -1).nonzero().flatten()
        order[task, hidden] = hidden[torch.randperm(len(hidden), generator=torch.Generator().manual_seed(task))]
    images = torch.stack([images[o] for images, o in zip(episode.support_images, order, strict=True)])
    assert not torch.equal(images, episode.support_images)
    shuffled = replace(episode, support_images=images)
    torch.testing.assert_close(model(shuffled), model(episode), rtol=1e-8, atol=1e-9)


def test_support_labels_matter():
    model, episode = build(), random_episode()
    changed = relabel(episode, torch.tensor([1, 2, 0]))
    assert not torch.allclose(model(episode), model(changed))


def test_labels_are_only_names_of_embeddings():
    """Renaming the classes together with their label embeddings and class tokens permutes the logits, no more."""
    model, episode, permutation = build(), random_episode(unlabelled=1), torch.tensor([2, 0, 1])
    before = model(episode)
    with torch.no_grad():
        for layer in [*model.convolutions, model.linear]:
            labels = layer.generator.tokens.labels
            labels[permutation] = labels[:3].clone()
        classes = model.linear.generator.tokens.weights
        classes[permutation] = classes.clone()
    torch.testing.assert_close(model(relabel(episode, permutation))[..., permutation], before, rtol=1e-8, atol=1e-9)


def test_the_no_label_embedding_serves_unlabelled_images_only():
    model = build()
    with_unlabelled, labelled = random_episode(unlabelled=1), random_episode()
    before = model(with_unlabelled), model(labelled)
    with torch.no_grad():
        model.linear.generator.tokens.labels[-1] += 1
    assert not torch.allclose(model(with_unlabelled), before[0])
    assert torch.equal(model(labelled), before[1])


def test_queries_do_not_influence_the_networks():
    model, episode = build(), random_episode()
    full, fewer = model.solver(episode), model.solver(keep_queries(episode, 1))
    for left, right in zip(full.blocks, fewer.blocks, strict=True):
        assert torch.equal(left.kernel, right.kernel)
    assert torch.equal(full.linear.weight, fewer.linear.weight)


def test_forward_is_classify_after_solver():
    model, episode = build(), random_episode()
    torch.testing.assert_close(model(episode), model.classify(model.solver(episode), episode.query_images))


@pytest.mark.parametrize(("generated_layers", "names"), [
    ("logits", []), ("all", [1, 2, 3, 4]), (1, [4]), (3, [2, 3, 4]), (-1, [1]), (-3, [1, 2, 3]),
])  # fmt: skip
def test_which_layers_are_generated(generated_layers, names):
    written = build(generated_layers=generated_layers).generated_weights(random_episode())
    assert list(written) == [f"conv{name}.kernel" for name in names] + ["linear.weight", "linear.bias"]
    for name, tensor in written.items():
        assert not torch.allclose(tensor[0], tensor[1]), f"{name} is the same for two tasks"


def test_a_trained_kernel_serves_all_tasks():
    blocks = build(generated_layers=2).solver(random_episode()).blocks
    same = [torch.equal(block.kernel[0], block.kernel[1]) for block in blocks]
    assert same == [True, True, False, False]


def test_learns_an_easy_task():
    episode = random_episode(tasks=4, ways=3, queries=3)
    model = build().float().train()
    episode = episode.to(dtype=torch.float32)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = model.loss(episode, 0.0)
        loss.total.backward()
        optimizer.step()
        losses.append(loss.total.item())
    assert losses[-1] < losses[0] / 3


def test_every_parameter_learns():
    found = gradients(build().train(), random_episode(unlabelled=1))
    # What the last normalisation in front of the linear layer adds is the same for all classes; the softmax cancels it.
    del found["linear.generator.transformer.encoder.1.feed_forward_norm.bias"]
    assert [name for name, gradient in found.items() if gradient is None or gradient.abs().max() < 1e-9] == []


def test_number_of_parameters():
    def transformer(width):
        """Three layers of query, key, value, output and two feed-forward matrices with biases, two normalisations."""
        return 3 * (6 * (width**2 + width) + 2 * 2 * width)

    def embeddings(tokens):
        """20 labels, "no label", and the weight tokens."""
        return (20 + 1 + tokens) * 32

    def convolution(inputs, outputs, size=3):
        return outputs * (inputs * size**2 + 1)

    shared = convolution(1, 32) + 2 * convolution(32, 32) + 3 * 2 * 32
    normalisation = 4 * 2 * 8
    # Token widths are 32 + max(numbers of a block, local + shared features): 32 + max(9, 8 + 32) in front of logits,
    # where the image is 1x1 and so is the local kernel.
    logits = transformer(72) + embeddings(20) + convolution(8, 8, size=1)
    # 32 + max(9, 2*8 + 32) in front of layer 1, 32 + max(72, 2*8 + 32) in front of the others; the 3x3 image in front
    # of layer 4 leaves room for only one local convolution.
    layer1 = transformer(80) + embeddings(8) + convolution(1, 8) + convolution(8, 8)
    layers23 = 2 * (transformer(104) + embeddings(8) + 2 * convolution(8, 8))
    layer4 = transformer(104) + embeddings(8) + convolution(8, 8)
    trained_kernels = 9 * 8 + 3 * 9 * 8 * 8

    setting = setting_for(random_episode(ways=20, image_shape=(1, 28, 28)))
    sizes = [sum(p.numel() for p in get(name).build({}, setting).parameters()) for name in ("ht-all", "ht-logits")]
    everything = shared + normalisation + logits + layer1 + layers23 + layer4
    assert sizes == [everything, shared + normalisation + logits + trained_kernels] == [834_248, 117_728]


def test_size_of_the_generated_network():
    episode = random_episode(ways=20, image_shape=(1, 28, 28)).to(dtype=torch.float32)
    model = HyperTransformer(HyperTransformerConfig(), setting_for(episode))
    assert model.solver_parameters(20) == 1_800 + 20 * 9
    written = model.generated_weights(episode)
    assert sum(tensor[0].numel() for tensor in written.values()) == 1_980


def test_names_fix_the_generated_layers():
    setting = setting_for(random_episode())
    for name, layers in (("ht-logits", "logits"), ("ht-all", "all")):
        model: Any = get(name).build({"channels": 4}, setting)
        assert model.config.generated_layers == layers


def test_images_of_another_shape():
    episode = random_episode(tasks=1, image_shape=(3, 32, 40))
    model = HyperTransformer(HyperTransformerConfig(**SMALL), setting_for(episode)).double()
    weights = model.solver(episode)
    assert weights.linear.weight.shape == (1, 3, 4 * 2 * 2)
    assert linear(torch.zeros(1, 5, 16, dtype=torch.float64), weights.linear).shape == (1, 5, 3)
