"""The parts of HyperTransformer against other implementations and hand computations."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.hypertransformer.config import HyperTransformerConfig
from methods.hypertransformer.extractors import LocalFeatures, SharedFeatures
from methods.hypertransformer.generator import conv_weights, convolution_generator, linear_weights
from methods.hypertransformer.tokens import Tokens
from methods.hypertransformer.transformer import Attention, Layer, WeightTransformer
from methods.networks.conv4 import group_tasks
from tests.methods.helpers import random_episode

TASKS, WEIGHTS, SAMPLES, WIDTH = 2, 4, 5, 12


def scrambled(module: Any) -> Any:
    """The module in float64 with all parameters random, so that zero biases and unit scales cannot hide a mistake."""
    module = module.double().eval()
    draw = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=draw, dtype=torch.float64) / 10)
    return module


def tokens(count: int, width: int = WIDTH, seed: int = 0) -> Tensor:
    return torch.randn(TASKS, count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def copy_attention(theirs: nn.MultiheadAttention, ours: Attention) -> None:
    theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key_value.weight]))
    theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key_value.bias]))
    theirs.out_proj.load_state_dict(ours.output.state_dict())


@torch.no_grad()
def torch_layer(ours: Any, decodes: bool) -> Any:
    """PyTorch's own layer with the same weights."""
    kind = nn.TransformerDecoderLayer if decodes else nn.TransformerEncoderLayer
    theirs: Any = kind(WIDTH, 2, WIDTH, dropout=0.0, layer_norm_eps=1e-6, batch_first=True).double()
    copy_attention(theirs.self_attn, ours.attention)
    norms = [ours.attention_norm]
    if decodes:
        copy_attention(theirs.multihead_attn, ours.memory_attention)
        norms.append(ours.memory_norm)
    norms.append(ours.feed_forward_norm)
    for number, norm in enumerate(norms, start=1):
        getattr(theirs, f"norm{number}").load_state_dict(norm.state_dict())
    theirs.linear1.load_state_dict(ours.feed_forward[0].state_dict())
    theirs.linear2.load_state_dict(ours.feed_forward[2].state_dict())
    return theirs


@pytest.mark.parametrize("outputs", [None, WEIGHTS])
def test_encoder_layer_is_pytorchs(outputs):
    layer = scrambled(Layer(WIDTH, HyperTransformerConfig()))
    x = tokens(WEIGHTS + SAMPLES)
    torch.testing.assert_close(layer(x, outputs=outputs), torch_layer(layer, decodes=False)(x)[:, :outputs])


def test_decoder_layer_is_pytorchs():
    layer = scrambled(Layer(WIDTH, HyperTransformerConfig(), memory_width=WIDTH))
    x, memory = tokens(WEIGHTS), tokens(SAMPLES, seed=1)
    torch.testing.assert_close(layer(x, memory=memory), torch_layer(layer, decodes=True)(x, memory))


def test_encoder_is_a_stack_of_layers_read_at_the_weight_tokens():
    transformer = scrambled(WeightTransformer(WIDTH, WIDTH, HyperTransformerConfig()))
    weights, samples = tokens(WEIGHTS), tokens(SAMPLES, seed=1)
    x = torch.cat([weights, samples], dim=1)
    for layer in transformer.encoder:
        x = torch_layer(layer, decodes=False)(x)
    torch.testing.assert_close(transformer(weights, samples), x[:, :WEIGHTS])


@pytest.mark.parametrize("attention", ["softmax", "sigmoid"])
@pytest.mark.parametrize("generator", ["encoder", "encoder-decoder"])
def test_a_dropped_sample_is_as_good_as_absent(generator, attention):
    config = HyperTransformerConfig(generator=generator, attention=attention)
    transformer = scrambled(WeightTransformer(WIDTH, WIDTH, config))
    weights, samples = tokens(WEIGHTS), tokens(SAMPLES, seed=1)
    dropped = torch.tensor([False, True, False, True, True]).expand(TASKS, -1)
    torch.testing.assert_close(transformer(weights, samples, dropped), transformer(weights, samples[:, [0, 2]]))
    nothing_left = transformer(weights, samples, torch.ones_like(dropped))
    torch.testing.assert_close(nothing_left, transformer(weights, samples[:, :0]))


def test_sigmoid_attention_by_hand():
    config = HyperTransformerConfig(attention="sigmoid", heads=1)
    attention = scrambled(Attention(WIDTH, WIDTH, config))
    x = tokens(3)
    key, value = attention.key_value(x).chunk(2, dim=-1)
    weights = torch.sigmoid(torch.einsum("tid,tjd->tij", attention.query(x), key) / WIDTH**0.5)
    torch.testing.assert_close(attention(x, x, None), attention.output(torch.einsum("tij,tjd->tid", weights, value)))


def test_widths_are_fractions_or_numbers_rounded_up_to_heads():
    config = HyperTransformerConfig(heads=4, key_query_width=0.5, value_width=16, inner_width=0.3)
    layer: Any = Layer(WIDTH, config)
    assert layer.attention.query.out_features == 8
    assert layer.attention.value_width == 16
    assert layer.feed_forward[0].out_features == 4


def test_no_feed_forward_and_a_linear_one():
    without = scrambled(Layer(WIDTH, HyperTransformerConfig(inner_width=0)))
    x = tokens(3)
    torch.testing.assert_close(without(x), without.attention_norm(x + without.attention(x, x, None)))
    config = HyperTransformerConfig(linear_last_layer=True)
    one: Any = WeightTransformer(WIDTH, WIDTH, config)
    assert [type(layer.feed_forward[1]) for layer in one.encoder] == [nn.ReLU, nn.ReLU, nn.Identity]
    config = HyperTransformerConfig(linear_last_layer=True, generator="encoder-decoder")
    both: Any = WeightTransformer(WIDTH, WIDTH, config)
    assert [type(layer.feed_forward[1]) for layer in both.encoder] == [nn.ReLU] * 3
    assert [type(layer.feed_forward[1]) for layer in both.decoder] == [nn.ReLU, nn.ReLU, nn.Identity]


def test_tokens_by_hand():
    layer = Tokens(ways=3, weight_tokens=2, embedding=4)
    features = torch.randn(1, 2, 3)
    assert layer.labels is not None
    samples = layer.sample_tokens(features, torch.tensor([[2, -1]]), width=9)
    expected = torch.stack([layer.labels[2], layer.labels[3]])  # the row after the last class means "no label"
    assert torch.equal(samples[0, :, :4], expected)
    assert torch.equal(samples[..., 4:7], features)
    assert samples[..., 7:].abs().max() == 0
    weights = layer.weight_tokens(tasks=1, width=9)
    assert torch.equal(weights[0, :, :4], layer.weights)
    assert weights[..., 4:].abs().max() == 0
    assert torch.equal(layer.read_weights(samples, 3), features)


def test_previous_weights_fill_the_zeros_of_the_weight_tokens():
    layer = Tokens(ways=3, weight_tokens=2, embedding=4)
    previous = torch.randn(1, 2, 3)
    weights = layer.weight_tokens(1, 9, previous)
    assert torch.equal(weights[..., 4:7], previous)
    torch.testing.assert_close(weights - layer.weight_tokens(1, 9), F.pad(previous, (4, 2)))


def test_token_j_is_filter_j():
    config = HyperTransformerConfig(channels=4, generate_bias=True, generate_normalization=True)
    blocks = torch.randn(TASKS, 4, 3 * 9 + 3)
    before = conv_weights(blocks, config)
    altered = blocks.clone()
    altered[:, 2] += 1
    after = conv_weights(altered, config)
    assert before["kernel"].shape == (TASKS, 4, 3, 3, 3)
    for name, tensor in before.items():
        changed = (after[name] != tensor).flatten(2).all(-1) if name == "kernel" else after[name] != tensor
        assert torch.equal(changed, torch.tensor([False, False, True, False]).expand(TASKS, -1)), name


def test_numbers_inside_a_block():
    config = HyperTransformerConfig(channels=2, generate_bias=True, generate_normalization=True)
    block = torch.arange(2 * 9 + 3.0)
    parts = conv_weights(torch.stack([block, block + 100])[None], config)
    for row in range(3):
        for column in range(3):
            for channel in range(2):
                assert parts["kernel"][0, 1, channel, row, column] == 100 + (row * 3 + column) * 2 + channel
    assert [parts[name][0, 1] for name in ("bias", "scale", "offset")] == [118, 119, 120]


def test_spatial_tokens_are_kernel_positions():
    config = HyperTransformerConfig(channels=4, allocation="spatial")
    blocks = torch.randn(TASKS, 9, 3 * 4)
    kernel = conv_weights(blocks, config)["kernel"]
    assert kernel.shape == (TASKS, 4, 3, 3, 3)
    assert torch.equal(kernel[1, 2, 1, 0, 2], blocks[1, 2, 1 * 4 + 2])
    assert torch.equal(kernel[:, :, :, 1, 1].transpose(1, 2).flatten(1), blocks[:, 4])


def test_class_tokens_are_rows_of_the_linear_layer():
    blocks = torch.randn(TASKS, 3, 6)
    parts = linear_weights(blocks)
    assert torch.equal(parts["weight"], blocks[:, :, :5])
    assert torch.equal(parts["bias"], blocks[:, :, 5])


@pytest.mark.parametrize("nonlinear", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("side", [28, 9, 7, 4, 3, 2, 1])
def test_local_features_are_means_of_plain_convolutions(side, layers, nonlinear):
    extractor = scrambled(LocalFeatures(2, 3, side, layers, 0.0, nonlinear))
    images = random_episode(image_shape=(2, side, side)).support_images
    features = extractor(group_tasks(images), 3)
    x, expected = images.flatten(0, 1), []
    size, step = min(side, 3), (2 if side >= 3 else 1)
    for index, convolution in enumerate(extractor.convolutions):
        x = F.conv2d(x, convolution.kernel, convolution.bias, stride=1 if index == layers - 1 else step)
        expected.append((x.relu() if nonlinear else x).mean((2, 3)))
        x = x.relu()
    torch.testing.assert_close(features, torch.cat(expected, -1).unflatten(0, (3, -1)))
    assert len(extractor.convolutions) == layers or min(x.shape[2:]) < size
    assert features.shape[-1] == extractor.width


@pytest.mark.parametrize(("layers", "padding"), [(2, "valid"), (3, "same"), (4, "same")])
@pytest.mark.parametrize("side", [28, 17])
def test_shared_features_are_tensorflows_on_images_turned_by_180_degrees(layers, padding, side):
    shape = {"shared_layers": layers, "shared_padding": padding}
    config = HyperTransformerConfig(**shape, shared_features=5, shared_normalization=False)
    extractor = scrambled(SharedFeatures(2, config))
    images = random_episode(image_shape=(2, side, side)).support_images
    features = extractor(group_tasks(images), 3)
    x = images.flatten(0, 1).rot90(2, (2, 3))
    for index, convolution in enumerate(extractor.convolutions):
        stride = 1 if index == layers - 1 else 2
        if padding == "same":
            missing = max((-(-x.shape[-1] // stride) - 1) * stride + 3 - x.shape[-1], 0)
            before, after = missing // 2, missing - missing // 2  # TensorFlow puts the odd one at the end
            x = F.pad(x, (before, after, before, after))
        elif stride == 2 and x.shape[-1] % 2 == 0:
            x = x[..., 1:, 1:]  # turned, the windows start at the other end
        x = F.relu(F.conv2d(x, convolution.kernel.rot90(2, (2, 3)), convolution.bias, stride=stride))
    torch.testing.assert_close(features, x.mean((2, 3)).unflatten(0, (3, -1)))


def test_shared_normalisation_uses_the_images_of_the_task():
    config = HyperTransformerConfig(shared_layers=2, shared_features=5, shared_normalization=True)
    extractor = scrambled(SharedFeatures(1, config))
    images = random_episode().support_images
    features = extractor(group_tasks(images), 3)
    for task in range(3):
        x = images[task]
        for index, convolution in enumerate(extractor.convolutions):
            x = F.relu(F.conv2d(x, convolution.kernel, convolution.bias, stride=2 - index, padding=1))
            scale, offset = extractor.scales[index], extractor.offsets[index]
            x = F.batch_norm(x, None, None, scale, offset, training=True, eps=1e-3)
        torch.testing.assert_close(features[task], x.mean((2, 3)))


def test_previous_weights_reach_the_generator():
    config = HyperTransformerConfig(channels=4, shared_layers=0)
    generator = scrambled(convolution_generator(1, 16, 3, config))
    episode = random_episode()
    x = group_tasks(episode.support_images)
    zeros = torch.zeros(3, 4, 9, dtype=torch.float64)
    plain = generator(x, episode.support_labels)
    torch.testing.assert_close(generator(x, episode.support_labels, previous=zeros), plain)
    assert not torch.allclose(generator(x, episode.support_labels, previous=zeros + 1), plain)
