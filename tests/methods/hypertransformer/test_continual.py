"""Continual HyperTransformer: the recursion, the prototypes, and its merged reference."""

from dataclasses import replace

import pytest
import torch

from methods.hypertransformer.continual_config import ContinualConfig
from methods.hypertransformer.generator import conv_blocks, conv_weights
from methods.hypertransformer.model import HyperTransformer
from methods.networks.conv4 import flatten, trunk
from methods.protonet.model import prototypes
from tests.methods.helpers import gradients, random_episode, setting_for
from tests.methods.test_sequences import SMALL, WAYS, all_answers, build, random_sequence

OPTIONS = [
    {},
    {"generate_bias": True, "generate_normalization": True, "generator": "separate"},
    {"allocation": "spatial", "residual_weights": True, "query_statistics": "support"},
    {"generated_layers": 2, "separate_query_normalization": True, "shared_normalization": True}
    | {"query_statistics": "batch"},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_blocks_and_weights_are_two_ways_to_write_the_same(options):
    config, spatial = ContinualConfig(**{**SMALL, **options}), options.get("allocation") == "spatial"
    size = 3 * 9 + config.generate_bias + 2 * config.generate_normalization
    blocks = torch.randn(2, 9, 3 * 4) if spatial else torch.randn(2, 4, size)
    assert torch.equal(conv_blocks(conv_weights(blocks, config), config), blocks)


@pytest.mark.parametrize("options", OPTIONS)
def test_answers_are_those_of_the_recursion_by_hand(options):
    """One learner, one query set at a time, with the generators fed by hand."""
    model, sequence = build("ht-continual", **options), random_sequence("class-incremental", tasks=1)
    answers = all_answers(model, sequence)
    previous, means = None, []
    for step, (images, labels) in enumerate(sequence.arrivals(), start=1):
        local = torch.where(labels < 0, labels, labels - WAYS * (step - 1))
        written = model.write(images, local, previous)
        previous = written.parts
        means.append(prototypes(flatten(written.support, 1), local, WAYS)[0])
        for task in range(step):
            queries = sequence.query_images[:, 4 * task : 4 * task + 4]
            embedded = flatten(trunk(queries, written.blocks)[-1], 1)[0]
            expected = -torch.cdist(embedded, torch.cat(means)).square()
            torch.testing.assert_close(answers[step - 1][0, 4 * task : 4 * task + 4], expected, rtol=1e-7, atol=1e-9)


def test_the_first_task_is_learnt_as_by_an_ordinary_hypertransformer():
    """The same transformers write the same convolutions; the prototypes are class means in front of its last layer."""
    episode = random_episode(ways=WAYS, unlabelled=1)
    continual = build("ht-continual")
    plain = HyperTransformer(ContinualConfig(**SMALL), setting_for(episode)).double().eval()
    missing = plain.load_state_dict(continual.state_dict(), strict=False)
    assert all(name.startswith("linear.") for name in missing.missing_keys) and not missing.unexpected_keys
    blocks = plain.solver(episode).blocks
    support, query = (
        flatten(trunk(images, blocks)[-1], 3) for images in (episode.support_images, episode.query_images)
    )
    means = prototypes(support, episode.support_labels, WAYS)
    torch.testing.assert_close(continual(episode), -torch.cdist(query, means).square(), rtol=1e-7, atol=1e-9)


def test_previous_weights_matter_and_zeros_are_none():
    model, sequence = build("ht-continual"), random_sequence()
    images, labels = next(iter(sequence.arrivals()))
    first = model.write(images, labels)
    zeros = {layer: {name: torch.zeros_like(x) for name, x in parts.items()} for layer, parts in first.parts.items()}
    from_zeros, again = model.write(images, labels, zeros), model.write(images, labels, first.parts)
    for index, block in enumerate(first.blocks):
        torch.testing.assert_close(from_zeros.blocks[index].kernel, block.kernel)
        assert not torch.allclose(again.blocks[index].kernel, block.kernel)


def test_the_support_set_of_a_task_is_remembered_only_through_weights_and_prototypes():
    """The first task's support images influence what is written for the second: the gradient reaches them."""
    model, sequence = build("ht-continual"), random_sequence("task-incremental", steps=2)
    support = sequence.support_images.clone().requires_grad_()
    changed = replace(sequence, support_images=support)
    second = all_answers(model, changed)[1][:, 4:, WAYS:]  # task 2's queries, among task 2's own prototypes
    (found,) = torch.autograd.grad(second.square().sum(), support)
    assert found[:, :6].abs().max() > 1e-8


def test_renaming_classes_within_a_task_with_their_embeddings_permutes_its_logits():
    model, sequence = build("ht-continual"), random_sequence("class-incremental")
    before = all_answers(model, sequence)
    swap = torch.tensor([1, 0])
    every_task = torch.cat([swap + WAYS * task for task in range(3)])
    labels = sequence.support_labels
    renamed = every_task[labels.clamp(min=0)].where(labels >= 0, labels)
    changed = replace(sequence, support_labels=renamed)
    with torch.no_grad():
        for layer in model.convolutions:
            table = layer.generator.tokens.labels
            table[:WAYS] = table[swap].clone()
    for left, right in zip(all_answers(model, changed), before, strict=True):
        torch.testing.assert_close(left[..., every_task[: left.shape[-1]]], right, rtol=1e-8, atol=1e-9)


def test_merging_one_task_is_learning_it_first():
    """With the same parameters the merged reference and the recursion agree on the first task and then part."""
    recursive, merged = build("ht-continual"), build("ht-merged")
    sequence = random_sequence()
    left, right = all_answers(recursive, sequence), all_answers(merged, sequence)
    torch.testing.assert_close(left[0], right[0])
    assert not torch.allclose(left[1], right[1])


def test_the_merged_reference_does_not_care_in_which_order_tasks_came():
    merged, sequence = build("ht-merged"), random_sequence("class-incremental", steps=2)
    half_support, half_query = sequence.support_labels.shape[1] // 2, sequence.query_labels.shape[1] // 2
    labels = sequence.support_labels
    swapped = torch.where(labels < 0, labels, (labels + WAYS) % (2 * WAYS))
    other = replace(
        sequence,
        support_images=sequence.support_images.roll(half_support, 1),
        support_labels=swapped.roll(half_support, 1),
        query_images=sequence.query_images.roll(half_query, 1),
    )
    expected = merged(sequence).roll((half_query, WAYS), (1, 2))
    torch.testing.assert_close(merged(other), expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", ["ht-continual", "ht-merged"])
@pytest.mark.parametrize("options", OPTIONS)
def test_combinations_train(name, options):
    model = build(name, **options).train()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += torch.randn_like(parameter) / 10
    for parameter, gradient in gradients(model, random_sequence(steps=2)).items():
        assert gradient is not None and gradient.isfinite().all(), parameter


def test_what_is_carried():
    sequence = random_sequence()
    kernels = 9 * (1 + 3 * 4) * 4
    assert build("ht-continual").carried(sequence) == kernels + 6 * 4
    assert build("ht-continual", query_statistics="support").carried(sequence) == kernels + 6 * 4 + 2 * 4 * 4
    assert build("ht-continual", generated_layers=1).carried(sequence.first(1)) == 9 * 4 * 4 + 2 * 4
    assert build("ht-merged").carried(sequence.first(2)) == 2 * 6 * 256
    assert build("protonet-continual").carried(sequence) == 6 * 4


@pytest.mark.parametrize("option", [{"generated_layers": "logits"}, {"warmup": 0.1}, {"logits_features": "mix"}])
def test_options_without_effect_are_refused(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        ContinualConfig(**option)
