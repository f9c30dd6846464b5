"""HyperTransformer (Zhmoginov, Sandler, Vladymyrov, ICML 2022, arXiv 2201.04182)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.episode import UNLABELLED, Episode
from methods.hypertransformer.config import HyperTransformerConfig
from methods.hypertransformer.convolutions import Convolutions, ConvolutionWriter
from methods.hypertransformer.layers import ConvLayer, LinearLayer, Parts
from methods.method import Loss, Setting
from methods.networks.conv4 import NetworkWeights, features, flatten, group_tasks, linear, trunk
from methods.variation import variation_share


@dataclass(frozen=True)
class _Solution:
    """What one pass over the support sets gives: the networks to classify queries with, the generated parts of their
    layers ("conv1", ..., "linear"), and the support images' shared features (T, S, F).
    """

    weights: NetworkWeights
    parts: dict[str, Parts]
    shared: Tensor | None


class HyperTransformer(ConvolutionWriter):
    """Writes a small network for each task, layer by layer, from its support set, and classifies the queries with it.

    For each generated layer a transformer reads one token per support image (features of the image's activations in
    front of that layer, features of the image itself, an embedding of its label) and one per block of weights, and
    returns the blocks; the support set then passes through the new layer, and the next one is generated. Training
    minimises the cross-entropy of the queries through all of this; nothing is adapted by gradients at test time.

    `ht-static` is the control for every claim about generated convolutions: the same transformers write all layers, but
    those of the convolutions see nothing of the support set. At equal steps `ht-all` less `ht-static` is what writing
    convolutions for the task gains, `ht-static` less `ht-logits` what it gains to train them through a transformer.

    This follows the authors' TensorFlow code (google-research, `hypertransformer`), with these differences: support
    and query sets are disjoint (a matter of the episodes), several tasks make one step, and dropout in front of the
    last layer is active in training rather than in evaluation. Three more differences are for Adam, which the original
    did not use and with which this trains faster, 20-way at all: the transformers start from PyTorch's default weights,
    smaller than the original's Glorot-uniform ones; images stay in [0, 1] with a background of 0, where the original
    maps them to [-1, 1]; and the shared extractor has three batch-normalised layers (the original's `3-layer-bn`),
    where its Omniglot script has four plain ones.

    Run side by side in float64, both agree to 1e-13 but for these habits of the authors' code:
    - its decoder layers always use ReLU; `transformer_activation` and `linear_last_layer` concern its encoders alone,
      here the decoders as well;
    - its `3-layer-bn` never updates its moving statistics, so it is an affine map: `shared_statistics: fixed`;
    - its transformers' dropout stays active in evaluation, here it ends with training;
    - it adds its variation penalty each time a layer is applied, so twice, and of biases too; here once, of kernels;
    - its `class_loss` counts unlabelled support images, here they are left out;
    - its linear layer reads activations ordered by (row, column, channel), here by (channel, row, column).
    """

    def __init__(self, config: HyperTransformerConfig, setting: Setting) -> None:
        super().__init__(config, setting)
        channels, ways, heads = config.channels, setting.ways, config.architecture.blocks - 1
        self.linear = LinearLayer(channels, self.smaller_sides[-1], self.flat, ways, config)
        self.logits_dropout = nn.Dropout(config.logits_dropout)
        self.warmup_heads = nn.ModuleList(nn.Linear(channels, ways) for _ in range(heads if config.warmup else 0))
        self.class_head: nn.Linear | None = None
        if config.class_loss or config.pretrain:
            self.class_head = nn.Linear(config.shared_features, setting.training_classes)

    def forward(self, episode: Episode) -> Tensor:
        """Logits (T, Q, N)."""
        return self.classify(self.solver(episode), episode.query_images)

    def solver(self, episode: Episode) -> NetworkWeights:
        """The networks that classify the queries of each task, from its support set alone."""
        return self._solve(episode).weights

    def classify(self, weights: NetworkWeights, images: Tensor) -> Tensor:
        """Logits (T, B, N) of images (T, B, C, H, W) in [0, 1]."""
        return self._logits(trunk(images, weights.blocks, weights.architecture)[-1], weights)

    def logits_with_kernels_of(self, episode: Episode, donors: Tensor) -> Tensor:
        """Logits (T, Q, N) as `forward`, but task t has the convolutions written for task `donors[t]`.

        Its last layer is written from its own support set, as seen through them.
        """
        written = self.write(episode.support_images, episode.support_labels)
        solution = self._finish(self.exchanged(written, episode.support_images, donors), episode.support_labels)
        return self.classify(solution.weights, episode.query_images)

    def generated_weights(self, episode: Episode) -> dict[str, Tensor]:
        """What the transformers write for each task, each (T, ...), as in "conv1.kernel" or "linear.bias".

        With `residual_weights`, without the trained weights that are added.
        """
        parts = self._solve(episode).parts
        return {f"{layer}.{name}": tensor for layer in parts for name, tensor in parts[layer].items()}

    def diagnostics(self, episode: Episode) -> dict[str, float]:
        """`ht/variation_share` of each generated tensor, and the mean over them: do the weights depend on the task?"""
        shares = {name: float(variation_share(w)) for name, w in self.generated_weights(episode).items()}
        mean = sum(shares.values()) / len(shares)
        return {"ht/variation_share": mean, **{f"ht/variation_share.{name}": share for name, share in shares.items()}}

    def solver_parameters(self, ways: int) -> int:
        """Kernels, biases (if any) and the linear layer of one task's network."""
        return self.convolution_parameters() + (self.flat + 1) * ways

    def loss(self, episode: Episode, progress: float) -> Loss:
        """Cross-entropy of the queries, warm-up and auxiliary losses, penalties: those that the config asks for."""
        config = self.config
        if progress < config.pretrain:
            return self._pretraining_loss(episode)
        progress = (progress - config.pretrain) / (1 - config.pretrain)
        solution = self._solve(episode)
        activations = trunk(episode.query_images, solution.weights.blocks, config.architecture)
        logits = self._logits(activations[-1], solution.weights)
        cross_entropy = self._cross_entropy(logits, episode.query_labels)
        accuracy = (logits.detach().argmax(-1) == episode.query_labels).float().mean()
        parts = {"cross_entropy": cross_entropy.detach(), "accuracy": accuracy}
        total = cross_entropy
        if progress < config.warmup:
            total = self._warmup_loss(activations, cross_entropy, episode, progress / config.warmup)
            parts["warmup"] = total.detach()
        for name, weight, term in self._extra_losses(episode, solution):
            total = total + weight * term
            parts[name] = term.detach()
        return Loss(total, parts)

    def _solve(self, episode: Episode) -> _Solution:
        return self._finish(self.write(episode.support_images, episode.support_labels), episode.support_labels)

    def _finish(self, written: Convolutions, labels: Tensor) -> _Solution:
        last, parts = self.linear(written.support, labels, written.shared, written.dropped)
        weights = NetworkWeights(written.blocks, last, self.config.architecture)
        return _Solution(weights, {**written.parts, "linear": parts}, written.shared)

    def _logits(self, activations: Tensor, weights: NetworkWeights) -> Tensor:
        seen = features(activations, weights.linear.weight.shape[0], weights.architecture)
        return linear(self.logits_dropout(seen), weights.linear)

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean over those that have a label."""
        return F.cross_entropy(
            logits.flatten(0, 1),
            labels.flatten(),
            ignore_index=UNLABELLED,
            label_smoothing=self.config.label_smoothing,
        )

    def _warmup_loss(self, activations: list[Tensor], main: Tensor, episode: Episode, done: float) -> Tensor:
        """The stage's mixture of the losses of the classifiers on the first blocks and of the network itself."""
        *weights, main_weight = warmup_weights(done, len(self.warmup_heads))
        terms = [main_weight * main] if main_weight > 0 else []
        for weight, head, x in zip(weights, self.warmup_heads, activations, strict=False):
            if weight > 0:
                means = flatten(F.avg_pool2d(x, list(x.shape[2:])), episode.tasks)
                terms.append(weight * self._cross_entropy(head(means), episode.query_labels))
        return torch.stack(terms).sum()

    def _extra_losses(self, episode: Episode, solution: _Solution) -> list[tuple[str, float, Tensor]]:
        """(name, weight, value) of each loss added to the cross-entropy."""
        config = self.config
        extra = []
        if config.weight_penalty > 0:
            kernels = [block.kernel for block in solution.weights.blocks] + [solution.weights.linear.weight]
            squares = torch.stack([kernel.square().sum() for kernel in kernels]).sum()
            extra.append(("weight_penalty", config.weight_penalty, squares / episode.tasks))
        if config.variation_penalty > 0:
            layers = zip(self.convolutions, solution.parts.values(), strict=False)
            variations = [layer.variation(parts) for layer, parts in layers if isinstance(layer, ConvLayer) and parts]
            extra.append(("variation_penalty", config.variation_penalty, torch.stack(variations).sum()))
        if config.class_loss > 0:
            assert solution.shared is not None
            extra.append(("class_loss", config.class_loss, self._class_loss(solution.shared, episode)))
        return extra

    def _pretraining_loss(self, episode: Episode) -> Loss:
        """That of the shared extractor and its classifier alone."""
        assert self.shared is not None
        loss = self._class_loss(self.shared(group_tasks(episode.support_images), episode.tasks), episode)
        return Loss(loss, {"class_loss": loss.detach()})

    def _class_loss(self, shared: Tensor, episode: Episode) -> Tensor:
        """Cross-entropy of the support images among all training classes, by their shared features (T, S, F)."""
        if episode.classes is None:
            raise ValueError("class_loss and pretrain need episodes with Episode.classes, as training episodes have")
        assert self.class_head is not None
        labels = episode.support_labels
        classes = episode.classes.gather(1, labels.clamp(min=0)).where(labels != UNLABELLED, UNLABELLED)
        return self._cross_entropy(self.class_head(shared), classes)


def warmup_weights(done: float, stages: int = 3) -> tuple[float, ...]:
    """Weights of the losses on the first blocks and of the main loss after the fraction `done` of the warm-up.

    There is a stage for each of those blocks. With three, (1, 0, 0, 0) at 0, (0, 1, 0, 0) at 1/3, (0, 0, 1, 0) at 2/3,
    (0, 0, 0, 1) at 1, linear in between.
    """
    return tuple(max(0.0, 1 - abs(stages * done - stage)) for stage in range(stages + 1))
