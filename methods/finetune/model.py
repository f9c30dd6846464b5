"""Sequential fine-tuning, and two ways of forgetting less: replay and elastic weight consolidation.

All three start from ordinary supervised training on the training classes, which knows nothing of sequences, as
"Pretrain + Tune" of continual few-shot learning does (Antoniou et al., "Defining benchmarks for continual few-shot
learning", 2020), and take the same gradient steps on what arrives; they differ in what else a step sees.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.episode import UNLABELLED, Episode, members
from methods.finetune.config import EWCConfig, FineTuningConfig, ReplayConfig
from methods.method import Loss, Setting
from methods.networks.architecture import KERNEL_SIZE
from methods.networks.classifier import Classifier, labelled_images, supervised_loss
from methods.networks.conv4 import LinearWeights, convolve, flatten, group_tasks, linear
from methods.sequences import ContinualMethod, TaskSequence

Weights = list[Tensor]
"""The networks of T learners: kernel (T, Cout, Cin, 3, 3) and bias (T, Cout) of each convolution, then weight (T, N, D)
and bias (T, N) of the linear layer."""


@dataclass(frozen=True)
class Learners:
    """T learners between two steps of their sequences.

    Attributes:
        weights: their networks.
        images: (T, M, C, H, W), the exemplars they keep.
        labels: (T, M), of these.
        importance: of each weight, shaped as `weights`.
    """

    weights: Weights
    images: Tensor
    labels: Tensor
    importance: Weights


class FineTuning(ContinualMethod):
    """Trains a classifier of all training classes, and fine-tunes all its convolutions and a new last layer.

    Training is that of `RFS`: supervised, on all images of the episodes. A sequence starts from the trained
    convolutions, with the normalisation by running statistics folded into them: what is fine-tuned is an ordinary
    network without normalisation, so an answer never depends on other queries. In each step of the
    sequence Adam, started anew, minimises the mean cross-entropy of the labelled images that arrive, among the classes
    that compete. (Plain gradient descent needs far more steps here: the network has no normalisation.)

    The last layer has a row for each class seen so far; new rows are zeros. (Any other row that all classes share at
    the start would do the same: it cancels in the softmax.) So sequences may be of any length and any number of ways.
    """

    Config = FineTuningConfig

    def __init__(self, config: FineTuningConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        self.network = Classifier(setting, config.channels)

    def loss(self, episode: Episode, progress: float) -> Loss:
        """Cross-entropy of all labelled images, support and query alike, among all training classes."""
        images, classes = labelled_images(episode)
        return supervised_loss(self.network(images), classes)

    def answers(self, sequence: TaskSequence, asked: Collection[int]) -> Iterator[Tensor]:
        """See `ContinualMethod`."""
        learners = self.beginners(sequence)
        for step, (images, labels) in enumerate(sequence.arrivals(), start=1):
            seen = sequence.first(step)
            learners = self.learn(learners, images, labels, seen)
            if step in asked:
                yield seen.compete(classify(seen.query_images, learners.weights))

    # Both take gradients, or prepare for them, even where the caller wants none (no_grad, inference_mode).
    @torch.inference_mode(False)
    @torch.no_grad()
    def beginners(self, sequence: TaskSequence) -> Learners:
        """The learners before their first step: no exemplars, nothing important, no classes."""
        weights: Weights = []
        for block in self.network.embedding.folded(sequence.tasks):
            assert block.bias is not None
            weights += [block.kernel, block.bias]
        rows = weights[0].new_zeros(sequence.tasks, 0, self.network.embedding.features)
        weights += [rows, rows[..., 0]]
        nothing = [torch.zeros_like(w) for w in weights]
        return Learners(weights, sequence.support_images[:, :0], sequence.support_labels[:, :0], nothing)

    @torch.inference_mode(False)
    @torch.enable_grad()
    def learn(self, before: Learners, images: Tensor, labels: Tensor, seen: TaskSequence) -> Learners:
        """The learners after one step, in which images (T, B, C, H, W) with labels (T, B) arrive."""
        before = replace(
            before, weights=grown(before.weights, seen.ways), importance=grown(before.importance, seen.ways)
        )
        images, labels = torch.cat([before.images, images], dim=1), torch.cat([before.labels, labels], dim=1)
        weights = [w.clone().requires_grad_() for w in before.weights]
        # Adam treats every number by itself, so that one optimiser for T learners is T optimisers.
        optimizer = torch.optim.Adam(weights, lr=self.config.inner_learning_rate, fused=True)
        for _ in range(self.config.inner_steps):
            logits = seen.compete(classify(images, weights), labels)
            total = mean_cross_entropy(logits, labels).sum() + self.penalty(weights, before)
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
        after = replace(before, weights=[w.detach() for w in weights])
        return self.keep(after, images, labels, seen)

    def penalty(self, weights: Weights, before: Learners) -> Tensor | float:
        """What else the steps minimise, summed over learners: nothing here."""
        return 0.0

    def keep(self, after: Learners, images: Tensor, labels: Tensor, seen: TaskSequence) -> Learners:
        """The learners with what they keep of the images (T, B, C, H, W) they have learnt from: nothing here."""
        return after

    def solver_parameters(self, ways: int) -> int:
        """Kernels and biases of the embedding, and the linear layer."""
        embedding = self.network.embedding
        return embedding.kernels_and_biases() + ways * (embedding.features + 1)

    def carried(self, seen: TaskSequence) -> int:
        """The network."""
        return self.solver_parameters(seen.ways)


class Replay(FineTuning):
    """Fine-tuning on what arrives together with exemplars of what came before (Robins, 1995; Chaudhry et al., "On tiny
    episodic memories in continual learning", 2019).

    Steps minimise the mean over the images that arrive and the exemplars, as if all were one support set. There are
    only few images, so each step sees all, where the papers draw mini-batches from the memory.
    """

    Config = ReplayConfig
    config: ReplayConfig

    def keep(self, after: Learners, images: Tensor, labels: Tensor, seen: TaskSequence) -> Learners:
        """Adds exemplars of the new classes; a class that has enough keeps those it has."""
        chosen = first_of_each_class(labels, seen.ways, self.config.exemplars)
        kept_images, kept_labels = (x[chosen].unflatten(0, (len(x), -1)) for x in (images, labels))
        return replace(after, images=kept_images, labels=kept_labels)

    def carried(self, seen: TaskSequence) -> int:
        """The network and the exemplars."""
        kept = first_of_each_class(seen.support_labels[:1], seen.ways, self.config.exemplars).sum()
        return super().carried(seen) + int(kept) * seen.support_images[0, 0].numel()


class EWC(FineTuning):
    """Elastic weight consolidation (Kirkpatrick et al., PNAS 2017, equation 3): fine-tuning with the penalty
    lambda/2 sum_i F_i (w_i - w*_i)^2, where w* are the weights after the step before.

    F is the diagonal of the Fisher information: the mean over the images that arrived of the squared gradient of the
    log-likelihood of their labels ("empirical" Fisher). That of all earlier steps is summed and held at the latest
    weights (Huszar, PNAS 2018), whereas the paper keeps the weights after each task as well.
    """

    Config = EWCConfig
    config: EWCConfig

    def penalty(self, weights: Weights, before: Learners) -> Tensor | float:
        """lambda/2 sum_i F_i (w_i - w*_i)^2."""
        terms = zip(weights, before.weights, before.importance, strict=True)
        return self.config.strength / 2 * sum((f * (w - anchor).square()).sum() for w, anchor, f in terms)

    def keep(self, after: Learners, images: Tensor, labels: Tensor, seen: TaskSequence) -> Learners:
        """Adds the Fisher information of what has been learnt to that of what came before."""
        new = fisher(after.weights, images, labels, seen)
        return replace(after, importance=[f + g for f, g in zip(after.importance, new, strict=True)])

    def carried(self, seen: TaskSequence) -> int:
        """The network and the importance of each of its weights."""
        return 2 * super().carried(seen)


def classify(images: Tensor, weights: Weights) -> Tensor:
    """Logits (T, B, N) of images (T, B, C, H, W): four times [3x3 convolution -> ReLU -> 2x2 max-pool], linear."""
    *convolutions, weight, bias = weights
    x = group_tasks(images)
    for kernel, shift in zip(convolutions[::2], convolutions[1::2], strict=True):
        x = F.relu(F.max_pool2d(convolve(x, kernel, shift, padding=KERNEL_SIZE // 2), 2))
    return linear(flatten(x, len(images)), LinearWeights(weight, bias))


def mean_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Of each task (T,), of logits (T, B, N) with labels (T, B), over its labelled images."""
    losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=UNLABELLED, reduction="none")
    return losses.unflatten(0, labels.shape).sum(1) / (labels != UNLABELLED).sum(1)


def grown(weights: Weights, ways: int) -> Weights:
    """The weights, or anything shaped like them, with zeros for the classes that the linear layer lacks."""
    *convolutions, weight, bias = weights
    missing = ways - bias.shape[1]
    return [*convolutions, F.pad(weight, (0, 0, 0, missing)), F.pad(bias, (0, missing))]


def first_of_each_class(labels: Tensor, ways: int, count: int) -> Tensor:
    """Which images, (T, B) bool, are the first `count` of their class, or all of a class that has fewer."""
    belongs = members(labels, ways)
    return (belongs & (belongs.cumsum(-1) <= count)).any(1)


def fisher(weights: Weights, images: Tensor, labels: Tensor, seen: TaskSequence) -> Weights:
    """Mean over the labelled images (T, B, C, H, W) of the squared gradient of the log-likelihood of their labels.

    Every image gets a copy of its task's network, so that all gradients come from one pass.
    """
    copies = [w.repeat_interleave(labels.shape[1], dim=0).requires_grad_() for w in weights]
    logits = classify(images.flatten(0, 1).unsqueeze(1), copies).view(*labels.shape, -1)
    losses = F.cross_entropy(
        seen.compete(logits, labels).flatten(0, 1), labels.flatten(), ignore_index=UNLABELLED, reduction="sum"
    )
    labelled = (labels != UNLABELLED).sum(1)
    gradients = torch.autograd.grad(losses, copies)
    return [g.square().unflatten(0, labels.shape).sum(1) / labelled.view(-1, *[1] * (g.dim() - 1)) for g in gradients]
