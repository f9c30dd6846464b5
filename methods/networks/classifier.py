"""Ordinary supervised training: one classifier of all training classes, for methods that want an embedding from it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.episode import UNLABELLED, Episode
from methods.method import Loss, Setting
from methods.networks.embedding import Embedding


class Classifier(nn.Module):
    """Embedding and classifier of all training classes."""

    def __init__(self, setting: Setting, channels: int) -> None:
        super().__init__()
        self.embedding = Embedding(setting.image_shape, channels)
        self.classes = nn.Linear(self.embedding.features, setting.training_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, training classes) of images (B, C, H, W), in training normalised all together."""
        return self.classes(self.embedding(images.unsqueeze(0)).squeeze(0))


def labelled_images(episode: Episode) -> tuple[Tensor, Tensor]:
    """All labelled images (B, C, H, W) of the episodes, support and query alike, and their training classes (B,).

    Raises:
        ValueError: the episode does not say which training classes it is made of.
    """
    if episode.classes is None:
        raise ValueError("supervised training needs episodes with Episode.classes, as training episodes have")
    labels = torch.cat([episode.support_labels, episode.query_labels], dim=1)
    labelled = labels != UNLABELLED
    images = torch.cat([episode.support_images, episode.query_images], dim=1)[labelled]
    return images, episode.classes.gather(1, labels.clamp(min=0))[labelled]


def supervised_loss(logits: Tensor, classes: Tensor) -> Loss:
    """Cross-entropy of logits (B, training classes), mean over images, and the accuracy."""
    cross_entropy = F.cross_entropy(logits, classes)
    accuracy = (logits.detach().argmax(-1) == classes).float().mean()
    return Loss(cross_entropy, {"cross_entropy": cross_entropy.detach(), "accuracy": accuracy})
