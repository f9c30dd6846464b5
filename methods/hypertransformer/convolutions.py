"""Writing the convolutions of T networks: what HyperTransformer and its continual version share."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from methods.episode import UNLABELLED, Episode
from methods.hypertransformer.config import HyperTransformerConfig
from methods.hypertransformer.extractors import SharedFeatures
from methods.hypertransformer.inspection import attention_to_support
from methods.hypertransformer.layers import ConvLayer, Parts
from methods.method import Method, Setting
from methods.networks.conv4 import ConvWeights, feature_count, group_tasks, input_channels, sides


@dataclass(frozen=True)
class Convolutions:
    """What one pass over the support sets gives, up to the features.

    Attributes:
        blocks: the convolutions to push queries through.
        parts: what the transformers wrote, by layer ("conv1", "conv2", ...); nothing for a trained layer.
        support: (S, T*C, H, W), the support images' activations behind the last block, grouped.
        shared: (T, S, F), their features shared by all layers, if any.
        dropped: (T, S), True for support images hidden from the transformers, if any.
    """

    blocks: list[ConvWeights]
    parts: dict[str, Parts]
    support: Tensor
    shared: Tensor | None
    dropped: Tensor | None


class ConvolutionWriter(Method):
    """A method whose transformers write convolutions, layer by layer, from a support set."""

    Config = HyperTransformerConfig
    fixed_ways = True

    def __init__(self, config: HyperTransformerConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        network = config.architecture
        self.inputs = inputs = input_channels(setting.image_shape, config.channels, network.blocks)
        self.smaller_sides = [min(side) for side in sides(setting.image_shape, network)]
        self.flat = feature_count(setting.image_shape, config.channels, network)
        self.shared = SharedFeatures(inputs[0], config) if config.shared_layers else None
        least = 2 ** (config.shared_layers + 1) - 1
        if config.shared_padding == "valid" and min(setting.image_shape[1:]) < least:
            raise ValueError(
                f"shared_padding 'valid' leaves nothing of these images: {config.shared_layers} shared_layers then need"
                f" {least}x{least} pixels; use 'same', or fewer shared_layers"
            )
        self.convolutions = nn.ModuleList(
            ConvLayer(inputs[block], self.smaller_sides[block], setting.ways, generated, config)
            for block, generated in enumerate(config.generated_blocks)
        )

    def write(self, images: Tensor, labels: Tensor, previous: Mapping[str, Parts] | None = None) -> Convolutions:
        """The convolutions for support images (T, S, C, H, W) with labels (T, S).

        `previous` are the `parts` of earlier networks of the same learners, which the weight tokens then start from.
        """
        x = group_tasks(images)
        shared = None if self.shared is None else self.shared(x, len(images))
        dropped = self._dropped(labels)
        blocks, parts = [], {}
        for number, layer in enumerate(self.convolutions, start=1):
            name = f"conv{number}"
            x, weights, parts[name] = layer(x, labels, shared, dropped, None if previous is None else previous[name])
            blocks.append(weights)
        return Convolutions(blocks, parts, x, shared, dropped)

    @property
    def written_convolutions(self) -> int:
        """How many of the convolutions are generated."""
        return sum(self.config.generated_blocks)

    def exchanged(self, written: Convolutions, images: Tensor, donors: Tensor) -> Convolutions:
        """What `write` gave for support images (T, S, C, H, W), but with task t's convolutions those of `donors[t]`.

        Normalisation and the activations of the support set are the task's own.
        """
        x, blocks, parts = group_tasks(images), [], {}
        for number, layer in enumerate(self.convolutions, start=1):
            name = f"conv{number}"
            assert isinstance(layer, ConvLayer)
            parts[name] = {part: tensor[donors] for part, tensor in written.parts[name].items()}
            x, weights = layer.apply_parts(x, parts[name], len(images))
            blocks.append(weights)
        return replace(written, blocks=blocks, parts=parts, support=x)

    @abstractmethod
    def generated_weights(self, episode: Episode) -> dict[str, Tensor]:
        """See `methods.capabilities.GeneratesWeights`."""

    def attention_to_support(self, episode: Episode) -> dict[str, dict[str, Tensor]]:
        """See `methods.hypertransformer.inspection`."""
        return attention_to_support(self, episode)

    def attention_is_a_share(self) -> bool:
        """Softmax weights sum to one, sigmoid weights to nothing in particular."""
        return self.config.attention == "softmax"

    def convolution_tokens(self) -> str:
        """What a convolution's weight tokens become."""
        return "kernel positions" if self.config.allocation == "spatial" else "filters"

    def shared_weights(self) -> Mapping[str, Tensor]:
        """Of the shared extractor, if there is one."""
        return {} if self.shared is None else self.shared.state_dict()

    def restore_shared(self, weights: Mapping[str, Tensor]) -> None:
        """Start from the shared extractor in the `state_dict` of another such method; it goes on learning.

        The original's `restore_shared_features_from`, which also restores the classifier among all training classes.

        Raises:
            ValueError: there or here is none, or it has another shape.
        """
        own = {} if self.shared is None else self.shared.state_dict(prefix="shared.")
        theirs = {name: tensor for name, tensor in weights.items() if name.startswith("shared.")}
        for name in [*own, *theirs]:
            there, here = (tuple(found[name].shape) if name in found else "absent" for found in (theirs, own))
            if there != here:
                raise ValueError(
                    f"the shared extractor there has another shape: {name} is {there}, and here {here};"
                    " use the same shared_layers, shared_features and shared_normalization, and as many colours"
                )
        if self.shared is None:
            raise ValueError("there is no shared extractor, neither there nor here: shared_layers is 0")
        self.load_state_dict(theirs, strict=False)

    def convolution_parameters(self) -> int:
        """Kernels and biases (if any) of one task's convolutions."""
        kernels = self.config.kernel_size**2 * sum(self.inputs) * self.config.channels
        return kernels + self.config.generate_bias * sum(self.config.generated_blocks) * self.config.channels

    def _dropped(self, labels: Tensor) -> Tensor | None:
        """Support images (T, S) to hide from the transformers; they still take part in normalisation."""
        config = self.config
        if not self.training or not (config.drop_labelled or config.drop_unlabelled):
            return None
        limits = torch.where(labels == UNLABELLED, config.drop_unlabelled, config.drop_labelled)
        kinds = torch.rand(2, len(labels), 1, device=labels.device)  # one probability per task and kind of image
        probability = limits * torch.where(labels == UNLABELLED, kinds[0], kinds[1])
        return torch.rand(labels.shape, device=labels.device) < probability
