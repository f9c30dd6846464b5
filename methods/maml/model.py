"""MAML, FOMAML, ANIL and MAML++: one differentiable inner loop over T tasks at once."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.episode import UNLABELLED, Episode
from methods.maml.config import MAMLConfig, MAMLPlusPlusConfig
from methods.maml.derivatives import convolve, max_pool
from methods.maml.passing_images import Images
from methods.method import Loss, Method, Setting
from methods.networks.architecture import BLOCKS, KERNEL_SIZE
from methods.networks.conv4 import NORM_EPS, LinearWeights, feature_count, flatten, input_channels, linear
from methods.networks.normalisation import affine, statistics

Weights = list[Tensor]
"""The networks of T tasks: four kernels (T, Cout, Cin, 3, 3), linear weight (T, N, D) and bias (T, N)."""


class MAML(Method):
    """Learns initial weights from which `inner_steps` gradient steps on a task's support set solve the task.

    MAML (Finn, Abbeel, Levine, ICML 2017, algorithm 2), its first-order approximation (section 5.2), ANIL (Raghu et
    al., ICLR 2020), and the parts of MAML++ (Antoniou, Edwards, Storkey, ICLR 2019) as options. The outer loss is the
    cross-entropy of the queries under the adapted weights.

    The network is MAML++'s: four times [3x3 convolution -> batch normalisation -> (leaky) ReLU -> 2x2 max-pool],
    flattened, linear; Xavier-uniform weights, zero bias. Its convolutions there have biases too, which the
    normalisation that follows subtracts again: they change no prediction and no gradient, and are left out here. Every
    pass normalises with the statistics of the images passing through, as in the authors' codes (running averages
    never enter there); epsilon is 1e-3, as in MAML's (1e-5 in MAML++'s).

    Other differences from MAML++'s code: several tasks share one pass, annealing moves with every step instead of
    every epoch, and one model is tested, not an ensemble of the five best checkpoints (worth about two points on
    mini-ImageNet; `test.ensemble` adds that as a row of its own). Unlabelled support images only take part in the
    statistics.
    """

    Config = MAMLConfig
    fixed_ways = True

    def __init__(self, config: MAMLConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        channels, ways = config.channels, setting.ways
        inputs = input_channels(setting.image_shape, channels)
        steps = config.inner_steps * setting.tasks  # one after the other, for learners of task sequences
        rows = steps if config.per_step_normalization else 1
        self.kernels = nn.ParameterList(torch.empty(channels, width, KERNEL_SIZE, KERNEL_SIZE) for width in inputs)
        self.scales = nn.ParameterList(torch.ones(rows, channels) for _ in inputs)
        self.offsets = nn.ParameterList(torch.zeros(rows, channels) for _ in inputs)
        self.weight = nn.Parameter(torch.empty(ways, feature_count(setting.image_shape, channels)))
        self.bias = nn.Parameter(torch.zeros(ways))
        for tensor in (*self.kernels, self.weight):
            nn.init.xavier_uniform_(tensor)
        self.frozen = BLOCKS if config.adapt == "head" else 0  # the inner loop adapts the tensors after these
        rates = torch.full((len(self.initial) - self.frozen, steps), config.inner_learning_rate)
        self.rates = nn.Parameter(rates, requires_grad=config.learned_rates)  # a row per tensor, a column per step

    @property
    def initial(self) -> Weights:
        """The weights every task starts from, without the leading task axis."""
        return [*self.kernels, self.weight, self.bias]

    def forward(self, episode: Episode) -> Tensor:
        """Logits (T, Q, N); adapts by gradients even where the caller wants none (no_grad, inference_mode)."""
        config = self.config
        steps = config.inner_steps
        if not self.training and config.test_inner_steps is not None:
            steps = config.test_inner_steps
        second_order = config.second_order and torch.is_grad_enabled()
        with torch.inference_mode(False), torch.enable_grad():
            for adapted in self.adaptation(episode, steps, second_order):
                weights = adapted
        return self.classify(weights, self.streams(episode), steps)

    def loss(self, episode: Episode, progress: float) -> Loss:
        """Cross-entropy of the queries after the last inner step, or weighted over all of them."""
        config = self.config
        steps = config.inner_steps
        second_order = config.second_order and progress >= config.derivative_order_annealing
        shares = [0.0] * (steps - 1) + [1.0]
        if progress < config.multi_step_loss:
            shares = multi_step_shares(steps, progress / config.multi_step_loss)
        labels, streams = episode.query_labels, self.streams(episode)
        terms = []
        for step, weights in enumerate(self.adaptation(episode, steps, second_order)):
            if step > 0 and shares[step - 1] > 0:
                logits = self.classify(weights, streams, step)
                cross_entropy = F.cross_entropy(logits.flatten(0, 1), labels.flatten())
                terms.append(shares[step - 1] * cross_entropy)
        accuracy = (logits.detach().argmax(-1) == labels).float().mean()
        return Loss(torch.stack(terms).sum(), {"cross_entropy": cross_entropy.detach(), "accuracy": accuracy})

    def adaptation(
        self, episode: Episode, steps: int, second_order: bool, start: Weights | None = None, before: int = 0
    ) -> Iterator[Weights]:
        """The weights before the first inner step and after each.

        They are the initial ones, or those to `start` from, which so many inner steps `before` have led to.
        """
        # Clones, because autograd cannot keep tensors that were made in inference mode.
        images, labels = Images(episode.support_images.clone()), episode.support_labels.clone()
        labelled = (labels != UNLABELLED).sum(1)
        weights = start or [tensor.expand(episode.tasks, *tensor.shape) for tensor in self.initial]
        yield weights
        features = None
        for step in range(before, before + steps):
            if features is None or not self.frozen:
                features = self.features([images], weights, step)
            logits = linear(features, LinearWeights(*weights[BLOCKS:]))
            losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=UNLABELLED, reduction="none")
            # Tasks share nothing but the constants above: the gradients of this sum are each task's own.
            total = (losses.unflatten(0, labels.shape).sum(1) / labelled).sum()
            fixed, moving = weights[: self.frozen], weights[self.frozen :]
            gradients = torch.autograd.grad(total, moving, create_graph=second_order)
            rates = self.rates[:, min(step, self.rates.shape[1] - 1)]
            weights = fixed + [w - rate * g for w, rate, g in zip(moving, rates, gradients, strict=True)]
            yield weights

    def streams(self, episode: Episode) -> list[Images]:
        """What passes through the adapted networks: the queries, behind the support images if those normalise them."""
        queries = Images(episode.query_images)
        return [Images(episode.support_images), queries] if self.config.query_statistics == "support" else [queries]

    def classify(self, weights: Weights, streams: list[Images], steps: int) -> Tensor:
        """Logits (T, Q, N) of the last of the streams under the weights after so many inner steps."""
        return linear(self.features(streams, weights, max(steps - 1, 0)), LinearWeights(*weights[BLOCKS:]))

    def features(self, streams: list[Images], weights: Weights, step: int) -> Tensor:
        """Features (T, B, D) of the last of the streams, normalised with the statistics of the first.

        Pooling comes in front of the normalisation here: the maximum of increasing functions is the function of the
        maximum. A negative scale would make it decreasing, so its sign goes into the kernel.
        """
        tasks = len(weights[0])
        passing = [stream.grouped for stream in streams]
        for block, (kernel, scales, offsets) in enumerate(zip(weights, self.scales, self.offsets, strict=False)):
            row = min(step, len(scales) - 1)
            scale, offset = scales[row], offsets[row]
            signed = kernel * torch.where(scale < 0, -1, 1)[:, None, None, None]
            passing = [convolve(x, signed) for x in passing]
            repeated = block == 0 and not self.frozen  # the same images under other kernels, step after step
            mean, variance = streams[0].statistics_behind(signed) if repeated else statistics(passing[0])
            slope = scale.abs().repeat(tasks) * torch.rsqrt(variance + NORM_EPS)
            shift = offset.repeat(tasks) - mean * slope
            passing = [affine(max_pool(x), slope, shift) for x in passing]
            passing = [F.leaky_relu(x, self.config.negative_slope) for x in passing]
        return flatten(passing[-1], tasks)

    def solver_parameters(self, ways: int) -> int:
        """Kernels and the linear layer."""
        return sum(kernel.numel() for kernel in self.kernels) + ways * (self.weight.shape[1] + 1)


class MAMLPlusPlus(MAML):
    """MAML++ (Antoniou, Edwards, Storkey, ICLR 2019): see `MAML`.

    Its cosine schedule is the trainer's, and so is what its authors do on ImageNet images: they keep each number of the
    gradients of the outer loop within 10, `train: {clip_value: 10}`.
    """

    Config = MAMLPlusPlusConfig


def multi_step_shares(steps: int, done: float) -> list[float]:
    """Weight of the query loss after each inner step at the fraction `done` of the multi-step phase.

    All equal at first; the early ones fall linearly to 3 % of that, the last one takes the rest (MAML++'s code,
    where `done` is epoch / number of epochs of the phase). They sum to 1.
    """
    early = max(1 - done, 0.03) / steps
    return [early] * (steps - 1) + [1 - (steps - 1) * early]
