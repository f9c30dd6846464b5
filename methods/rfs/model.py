"""RFS: a good embedding is all you need (Tian et al., "Rethinking few-shot image classification", ECCV 2020)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.episode import Episode
from methods.method import Loss, Method, Setting
from methods.networks.classifier import Classifier, labelled_images, supervised_loss
from methods.networks.conv4 import LinearWeights, linear
from methods.protonet.model import prototypes
from methods.rfs import logistic_regression
from methods.rfs.config import SHIFTS, RFSConfig

TEMPERATURE = 4.0


class RFS(Method):
    """Trains one classifier of all training classes, and fits a new one on its features for each task.

    Training is supervised: the loss is the cross-entropy of all images of the episodes, support and query alike,
    among all training classes, and they are normalised with the statistics of all of them together. To train as the
    paper does, make a step one episode of many ways: `train: {ways: 64, shots: 1, queries: 1, batch: 1}` is a batch
    of 128 images. Unlike in mini-batches drawn at random, each of its 64 classes is there exactly twice, and no image
    twice; unlabelled images are left out. Tests may use any number of ways.

    A task's classifier works on features of unit length, from the running statistics of the normalisation.

    With distillation, when a generation ends, the network becomes the teacher and starts again from new weights. It
    then learns, in equal parts, the classes and the teacher's softened answers (section 3.3). The optimiser is not
    told: Adam's moments carry over, and the schedule of the learning rate spans all generations (in the paper each
    has its own), so "constant" is the fair choice. As the weights chosen on validation are tested, they may be those
    of any generation. `train.minutes` are turned into steps by timing the first, which have no teacher: later
    generations take a quarter to a half longer.

    Other differences from the paper: the embedding is that of `ProtoNet`, as for the other methods, whereas RFS's own
    Conv4 lacks the last pooling and averages over all pixels; there is no augmentation in training; and one model is
    chosen on validation episodes, instead of the last.
    """

    Config = RFSConfig

    def __init__(self, config: RFSConfig, setting: Setting) -> None:
        super().__init__()
        self.config, self.setting = config, setting
        self.network = self._new_network()
        self.teacher = self._new_network().requires_grad_(False) if config.generations else None
        self.generation: Tensor
        self.register_buffer("generation", torch.tensor(0))

    def forward(self, episode: Episode) -> Tensor:
        """Logits (T, Q, N). The fit on the support images passes no gradient on to them."""
        images, labels = with_shifted(episode.support_images, episode.support_labels, self.config.support_augmentations)
        support, query = self._features(images), self._features(episode.query_images)
        return linear(query, self.classifier(support, labels, episode.ways))

    def classifier(self, support: Tensor, labels: Tensor, ways: int) -> LinearWeights:
        """What is fitted on support features (T, S, D) with labels (T, S)."""
        if self.config.classifier == "logistic-regression":
            return logistic_regression.fit(support, labels, ways, self.config.C)
        means = F.normalize(prototypes(support, labels, ways), dim=-1)
        return LinearWeights(means, means.new_zeros(means.shape[:-1]))

    def loss(self, episode: Episode, progress: float) -> Loss:
        """Cross-entropy among all training classes, and the divergence from the teacher if there is one.

        Raises:
            ValueError: the episode does not say which training classes it is made of.
        """
        images, classes = labelled_images(episode)
        teacher = self._teacher(progress)
        logits = self.network(images)
        supervised = supervised_loss(logits, classes)
        if not self.config.generations:
            return supervised
        total, divergence = supervised.total, torch.zeros_like(supervised.total)
        if teacher is not None:
            divergence = distillation(logits, teacher(images))
            total = 0.5 * total + 0.5 * divergence
        return Loss(total, {**supervised.parts, "distillation": divergence.detach()})

    def solver_parameters(self, ways: int) -> int:
        """Kernels and biases of the embedding, and the task's linear classifier (nearest means have no bias)."""
        per_class = self.network.embedding.features + (self.config.classifier == "logistic-regression")
        return self.network.embedding.kernels_and_biases() + ways * per_class

    def _features(self, images: Tensor) -> Tensor:
        """(T, B, D), of unit length."""
        return F.normalize(self.network.embedding(images), dim=-1)

    def _new_network(self) -> Classifier:
        return Classifier(self.setting, self.config.channels)

    def _teacher(self, progress: float) -> Classifier | None:
        """The teacher at this point of training, if there is one; starts the next generation when it is due.

        Which generation it is belongs to the saved state, and the new weights come from torch's generator, whose
        state is saved too: an interrupted training goes on as if it had not been.
        """
        if self.teacher is None:
            return None
        due = int(progress * (self.config.generations + 1))
        if due > self.generation:
            self.teacher.load_state_dict(self.network.state_dict())
            self.network.load_state_dict(self._new_network().state_dict())
            self.generation.fill_(due)
        # `train()` reaches the teacher as well, whose answers must not depend on the batch.
        return self.teacher.eval() if due > 0 else None


def distillation(logits: Tensor, teacher: Tensor) -> Tensor:
    """KL(teacher || student) of the softened answers, from logits (B, classes), mean over images, times T^2.

    The factor keeps the gradient's size independent of the temperature T (Hinton, Vinyals, Dean, 2015).
    """
    student, target = (F.log_softmax(each / TEMPERATURE, dim=-1) for each in (logits, teacher))
    return F.kl_div(student, target, log_target=True, reduction="batchmean") * TEMPERATURE**2


def with_shifted(images: Tensor, labels: Tensor, copies: int) -> tuple[Tensor, Tensor]:
    """Images (T, S, C, H, W) and labels (T, S), followed by `copies` shifted copies of them all.

    What a shift uncovers repeats the image's border.
    """
    if copies == 0:
        return images, labels
    height, width = images.shape[-2:]
    shift = max(1, round(height / 14))
    padded = F.pad(images.flatten(0, 1), [shift] * 4, mode="replicate").unflatten(0, images.shape[:2])
    shifted = [images]
    for down, right in SHIFTS[:copies]:
        top, left = shift * (1 - down), shift * (1 - right)
        shifted.append(padded[..., top : top + height, left : left + width])
    return torch.cat(shifted, dim=1), labels.repeat(1, 1 + copies)
