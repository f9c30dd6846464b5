"""Small random episodes, and the checks every learner should pass."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from methods import UNLABELLED, Episode, Method, Setting


def random_episode(
    tasks: int = 3,
    ways: int = 3,
    shots: int = 2,
    queries: int = 2,
    unlabelled: int = 0,
    image_shape: tuple[int, int, int] = (1, 16, 16),
    seed: int = 0,
) -> Episode:
    """Noise images in float64 around a mean per task and class, shuffled; classes are among max(7, N)."""
    draw = torch.Generator().manual_seed(seed)

    def images(labels: Tensor) -> Tensor:
        means = torch.rand(tasks, ways, *image_shape, generator=draw, dtype=torch.float64)
        noise = torch.rand(*labels.shape, *image_shape, generator=draw, dtype=torch.float64)
        return (means[torch.arange(tasks)[:, None], labels] + noise) / 2

    def shuffled(per_class: int) -> Tensor:
        labels = torch.arange(ways).repeat(per_class)
        return torch.stack([labels[torch.randperm(len(labels), generator=draw)] for _ in range(tasks)])

    known, query = shuffled(shots + unlabelled), shuffled(queries)
    support = images(known)
    occurrence = (known.unsqueeze(-1) == known.unsqueeze(-2)).tril(-1).sum(-1)
    labels = known.where(occurrence < shots, UNLABELLED)
    classes = torch.stack([torch.randperm(max(7, ways), generator=draw)[:ways] for _ in range(tasks)])
    return Episode(support, labels, images(query), query, ways, classes)


def setting_for(episode: Episode) -> Setting:
    """The setting of such an episode."""
    shape = episode.support_images.shape
    return Setting(episode.ways, 1, (shape[2], shape[3], shape[4]), training_classes=max(7, episode.ways))


def reorder_support(episode: Episode, order: Tensor) -> Episode:
    """The same episode with its support images in another order, the same for all tasks."""
    return replace(
        episode,
        support_images=episode.support_images[:, order],
        support_labels=episode.support_labels[:, order],
    )


def keep_queries(episode: Episode, count: int) -> Episode:
    """The same episode with its first `count` queries only."""
    return replace(episode, query_images=episode.query_images[:, :count], query_labels=episode.query_labels[:, :count])


def relabel(episode: Episode, permutation: Tensor) -> Episode:
    """Class n of each task becomes class permutation[n]; the unlabelled stay so."""
    labels = episode.support_labels
    support = permutation[labels.clamp(min=0)].where(labels != UNLABELLED, UNLABELLED)
    return replace(episode, support_labels=support, query_labels=permutation[episode.query_labels])


def gradients(method: Method, episode: Episode, progress: float = 0.0) -> dict[str, Any]:
    """Gradients of the training loss by parameter name; None for parameters that took no part."""
    method.zero_grad(set_to_none=True)
    method.loss(episode, progress).total.backward()
    return {name: parameter.grad for name, parameter in method.named_parameters()}


def assert_tasks_are_independent(method: Method, episode: Episode) -> None:
    """The logits of each task have zero gradient with respect to the images of the others, and not to its own."""
    support = episode.support_images.clone().requires_grad_()
    query = episode.query_images.clone().requires_grad_()
    logits = method(replace(episode, support_images=support, query_images=query))
    for task in range(episode.tasks):
        found = torch.autograd.grad(logits[task].square().sum(), [support, query], retain_graph=True)
        for gradient in found:
            assert gradient[task].abs().max() > 0
            others = torch.cat([gradient[:task], gradient[task + 1 :]])
            assert torch.equal(others, torch.zeros_like(others))


def assert_batched_equals_loop(method: Method, episode: Episode) -> None:
    """T tasks at once give the logits, loss and gradients of T calls with one task each."""
    each = [episode[task : task + 1] for task in range(episode.tasks)]
    with torch.no_grad():
        torch.testing.assert_close(method(episode), torch.cat([method(one) for one in each]), rtol=1e-9, atol=1e-10)
    together = gradients(method, episode)
    alone = [gradients(method, one) for one in each]
    for name, gradient in together.items():
        one_by_one = [grads[name] for grads in alone]
        if gradient is None:
            assert one_by_one == [None] * episode.tasks
        else:
            mean = torch.stack([grad for grad in one_by_one if grad is not None]).mean(0)
            assert torch.allclose(gradient, mean, rtol=1e-7, atol=1e-10), name
