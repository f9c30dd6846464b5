"""Every option has an effect, trains, and contradictions are refused."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from methods.hypertransformer.config import HyperTransformerConfig
from methods.hypertransformer.model import HyperTransformer, warmup_weights
from tests.methods.helpers import assert_batched_equals_loop, gradients, random_episode, setting_for

SMALL: dict[str, Any] = {"channels": 4, "transformer_layers": 2, "embedding": 8, "shared_features": 6}

# Each option appears at least once, most with several others.
COMBINATIONS: list[dict[str, Any]] = [
    {"allocation": "spatial", "generator": "encoder-decoder", "attention": "sigmoid", "shared_layers": 2},
    {"generate_bias": True, "generate_normalization": True, "generator": "separate", "logits_features": "mix"},
    {"generate_bias": True, "residual_weights": True, "variation_penalty": 0.1, "activation": "leaky_relu"},
    {
        "generate_normalization": True,
        "residual_weights": True,
        "separate_query_normalization": True,
        "query_statistics": "support",
        "generated_layers": 2,
    },
    {"separate_query_normalization": True, "generated_layers": "logits", "shared_layers": 0, "label_smoothing": 0.1},
    {"allocation": "spatial", "residual_weights": True, "generated_layers": -2, "weight_penalty": 1e-3},
    {"logits_features": "passthrough", "transformer_activation": "gelu", "key_query_width": 0.5, "heads": 4},
    {"nonlinear_logits_features": True, "shared_normalization": True, "value_width": 6, "linear_last_layer": True},
    {"inner_width": 0, "transformer_activation": "leaky_relu", "shared_layers": 3, "generated_layers": 1},
    {"class_loss": 0.5, "inner_width": 1.5, "local_features": 3, "shared_padding": "valid", "shared_layers": 2},
    {"local_features": 0, "generator": "encoder-decoder", "linear_last_layer": True, "class_loss": 0.1},
    {"generator": "separate", "attention": "sigmoid", "query_statistics": "support", "label_smoothing": 0.2},
]


def build(**options) -> Any:
    torch.manual_seed(0)
    config = HyperTransformerConfig(**{**SMALL, **options})
    return HyperTransformer(config, setting_for(random_episode())).double()


@pytest.mark.parametrize("options", COMBINATIONS, ids=lambda options: "-".join(options))
def test_combination_trains_and_equals_the_loop(options):
    model, episode = build(**options), random_episode(tasks=2, unlabelled=1)
    # Every tensor random: with the initial zeros and ones some gradients would vanish.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += torch.randn_like(parameter) / 10
    assert_batched_equals_loop(model, episode)
    for name, gradient in gradients(model, episode).items():
        assert gradient is not None and gradient.isfinite().all(), name
        assert gradient.abs().max() > 1e-10 or has_no_effect(name, options), name


def has_no_effect(name: str, options: dict[str, Any]) -> bool:
    """Parameters that the mathematics cancels: what is added to all classes alike, and, without local features,
    the support set's normalisation behind the last convolution, which nothing reads."""
    added_to_all_classes = name.startswith("linear.generator") and name.endswith("norm.bias")
    return added_to_all_classes or (options.get("local_features") == 0 and name.startswith("convolutions.3.norm"))


@pytest.mark.parametrize("option", ["dropout", "local_dropout", "shared_dropout", "logits_dropout"])
def test_dropout_acts_in_training_only(option):
    model, episode = build(**{option: 0.5}), random_episode()
    assert not torch.allclose(model(episode), model(episode))
    model.eval()
    assert torch.equal(model(episode), model(episode))
    plain = build().eval()
    plain.load_state_dict(model.state_dict())
    assert torch.equal(model(episode), plain(episode))


def test_dropping_support_images():
    model = build(drop_labelled=0.8, drop_unlabelled=0.4)
    labels = torch.tensor([0, 1, 2, -1]).repeat(2000, 10)
    torch.manual_seed(0)
    dropped = model._dropped(labels)
    unlabelled = labels == -1
    # The probability is uniform up to the maximum, anew for each task: a mean of half of it, and a spread of the
    # tasks' rates: variance max**2/12 between tasks, plus E[p(1-p)]/n within (30 labelled, 10 unlabelled).
    for kind, maximum, images in ((~unlabelled, 0.8, 30), (unlabelled, 0.4, 10)):
        rates = dropped[kind].view(2000, images).double().mean(1)
        assert rates.mean() == pytest.approx(maximum / 2, abs=0.02)
        within = (maximum / 2 - maximum**2 / 3) / images
        assert rates.var() == pytest.approx(maximum**2 / 12 + within, rel=0.15)
    assert model.eval()._dropped(labels) is None


def test_a_task_whose_images_are_all_dropped_stays_finite():
    model = build(drop_labelled=1.0)
    model._dropped = lambda labels: torch.ones_like(labels, dtype=torch.bool)
    for gradient in gradients(model, random_episode()).values():
        assert gradient is None or gradient.isfinite().all()


def test_a_dropped_image_keeps_its_label_to_itself():
    model = build(drop_labelled=1.0, generated_layers="logits")
    episode = random_episode()
    model._dropped = lambda labels: torch.arange(labels.shape[1]).expand_as(labels) == 0
    before = model(episode)
    episode.support_labels[:, 0] = (episode.support_labels[:, 0] + 1) % 3
    assert torch.equal(model(episode), before)


def test_generated_normalisation_is_applied():
    """Scales and offsets come from the blocks themselves, without trained ones."""
    model, episode = build(generate_normalization=True), random_episode()
    assert not any(name.startswith("convolutions.0.norm") for name, _ in model.named_parameters())
    block, written = model.solver(episode).blocks[0], model.generated_weights(episode)
    assert torch.equal(block.scale, written["conv1.scale"])
    assert torch.equal(block.offset, written["conv1.offset"])


def test_residual_weights_are_added_to_the_generated():
    model, episode = build(residual_weights=True, generate_bias=True), random_episode()
    weights, written = model.solver(episode), model.generated_weights(episode)
    with torch.no_grad():
        layer = model.convolutions[1]
        torch.testing.assert_close(weights.blocks[1].kernel, written["conv2.kernel"] + layer.kernel)
        torch.testing.assert_close(weights.linear.weight, written["linear.weight"] + model.linear.residual.weight)


def test_penalties_by_hand():
    model = build(residual_weights=True, weight_penalty=0.01, variation_penalty=0.1, generated_layers=2)
    episode = random_episode()
    loss, weights, written = model.loss(episode, 0.0), model.solver(episode), model.generated_weights(episode)
    squares = sum(block.kernel[task].square().sum() for block in weights.blocks for task in range(3))
    squares += weights.linear.weight.square().sum()
    torch.testing.assert_close(loss.parts["weight_penalty"], (squares / 3).detach())
    ratios = [
        written[f"conv{number}.kernel"].square().sum() / 3 / model.convolutions[number - 1].kernel.square().sum()
        for number in (3, 4)
    ]
    torch.testing.assert_close(loss.parts["variation_penalty"], sum(ratios).detach(), rtol=1e-6, atol=0)
    total = loss.parts["cross_entropy"] + 0.01 * squares / 3 + 0.1 * sum(ratios)
    torch.testing.assert_close(loss.total, total, rtol=1e-6, atol=0)


def test_label_smoothing_by_hand():
    model, episode = build(label_smoothing=0.3), random_episode()
    log_probability = model(episode).log_softmax(-1)
    target = 0.7 * F.one_hot(episode.query_labels, 3) + 0.3 / 3
    torch.testing.assert_close(model.loss(episode, 0.0).total, -(target * log_probability).sum(-1).mean())


def test_class_loss_by_hand():
    model, episode = build(class_loss=0.5), random_episode(unlabelled=1)
    assert episode.classes is not None
    logits = model.class_head(model._solve(episode).shared)
    losses = [
        F.cross_entropy(logits[task, image], episode.classes[task, label])
        for task, labels in enumerate(episode.support_labels)
        for image, label in enumerate(labels)
        if label >= 0
    ]
    loss = model.loss(episode, 0.0)
    torch.testing.assert_close(loss.parts["class_loss"], torch.stack(losses).mean().detach())
    torch.testing.assert_close(loss.total, (loss.parts["cross_entropy"] + 0.5 * torch.stack(losses).mean()))


def test_class_loss_needs_class_identities():
    episode = random_episode()
    unknown = type(episode)(
        episode.support_images, episode.support_labels, episode.query_images, episode.query_labels, episode.ways
    )
    with pytest.raises(ValueError, match=r"Episode\.classes"):
        build(class_loss=0.5).loss(unknown, 0.0)
    assert build(class_loss=0.5)(unknown).isfinite().all()


def test_warmup_stages():
    assert warmup_weights(0) == pytest.approx((1, 0, 0, 0))
    assert warmup_weights(1 / 6) == pytest.approx((0.5, 0.5, 0, 0))
    assert warmup_weights(1 / 3) == pytest.approx((0, 1, 0, 0))
    assert warmup_weights(2 / 3) == pytest.approx((0, 0, 1, 0))
    assert warmup_weights(5 / 6) == pytest.approx((0, 0, 0.5, 0.5))
    assert warmup_weights(1) == pytest.approx((0, 0, 0, 1))


def test_warmup_trains_one_block_after_the_other():
    model, episode = build(warmup=0.3), random_episode()
    start = gradients(model, episode, progress=0.0)
    assert start["warmup_heads.0.weight"].abs().max() > 0
    assert start["warmup_heads.1.weight"] is None
    assert start["convolutions.0.generator.tokens.weights"].abs().max() > 0
    assert start["convolutions.1.generator.tokens.weights"] is None
    later = gradients(model, episode, progress=0.25)
    assert later["warmup_heads.2.weight"].abs().max() > 0
    assert later["linear.generator.tokens.weights"].abs().max() > 0
    over = gradients(model, episode, progress=0.3)
    assert over["warmup_heads.2.weight"] is None
    torch.testing.assert_close(model.loss(episode, 0.3).total, F.cross_entropy(
        model(episode).flatten(0, 1), episode.query_labels.flatten()
    ))  # fmt: skip


def test_separate_query_normalisation_leaves_generation_alone():
    model, episode = build(separate_query_normalization=True), random_episode()
    before, written = model(episode), model.generated_weights(episode)
    with torch.no_grad():
        for layer in model.convolutions:
            layer.query_norm.scale += 0.5
    assert not torch.allclose(model(episode), before)
    for name, tensor in model.generated_weights(episode).items():
        assert torch.equal(tensor, written[name])


@pytest.mark.parametrize(("options", "message"), [
    ({"network": "avgpool3", "generated_layers": 3}, r"'logits', 'all', 1\.\.2 or -2\.\.-1, not 3"),
    ({"kernel_size": 4}, "'maxpool4' needs an odd kernel_size"),
    ({"stride": 0}, "kernel_size and stride are at least 1"),
    ({"network": "avgpool4", "logits_features": "mix"}, "logits_features 'mix' needs network 'maxpool4'"),
    ({"pretrain": 1.0}, "pretrain is a fraction"),
    ({"pretrain": 0.1, "shared_layers": 0}, "pretrain needs shared_layers"),
    ({"separate_query_normalization": True, "local_features": 0}, "separate_query_normalization needs local_features"),
    ({"generated_layers": 4}, "'logits', 'all', 1..3 or -3..-1, not 4"),
    ({"generated_layers": "first"}, "not 'first'"),
    ({"generate_bias": True, "generated_layers": "logits"}, "generate_bias needs generated convolutions"),
    ({"generate_bias": True, "allocation": "spatial"}, "generate_bias needs allocation 'output'"),
    ({"generate_normalization": True, "allocation": "spatial"}, "generate_normalization needs allocation 'output'"),
    ({"variation_penalty": 0.1}, "needs residual_weights"),
    ({"separate_query_normalization": True, "generate_normalization": True}, "needs trained normalisation"),
    ({"value_width": 5}, "multiple of heads"),
    ({"inner_width": 0, "linear_last_layer": True}, "linear_last_layer needs inner_width"),
    ({"local_features": 0, "shared_layers": 0}, "no features at all"),
    ({"local_features": 0, "logits_features": "mix"}, "need local_features"),
    ({"class_loss": 1.0, "shared_layers": 0}, "class_loss needs shared_layers"),
    ({"generator": "separate", "drop_labelled": 0.5}, "need generator 'encoder'"),
])  # fmt: skip
def test_contradictions_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        HyperTransformerConfig(**options)
