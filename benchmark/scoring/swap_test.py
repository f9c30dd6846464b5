"""The swap test: what a task loses when it gets the convolutions that were written for another one.

A share of variance between tasks says that generated kernels differ, not that the difference is used; this says it. A
loss near 0 means that any task's kernels would do, so the method has trained an ordinary CNN; accuracy at chance with
the kernels of another domain means that they are written for what the support set shows.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmark.cells.config import EpisodesConfig
from benchmark.cells.metrics import SWAP_OTHER_DOMAIN, SWAP_OWN, SWAP_SAME_DOMAIN
from benchmark.data.dataset import ClassImages
from benchmark.episodes.draw import draw
from benchmark.episodes.exam import examine
from benchmark.episodes.sampling import sample
from benchmark.scoring.sound import check_logits
from methods.capabilities import ExchangesKernels
from methods.method import Method

CHUNK = 16
"""Tasks that exchange kernels with each other."""


@dataclass(frozen=True)
class SwapTest:
    """Accuracies over the same tasks, in [0, 1].

    Attributes:
        own: with the convolutions written for the task.
        same_domain: with those of another task of its domain (of all tasks, where there are no domains); None if no
            chunk has two of them.
        other_domain: with those of a task of another domain; None if there is only one.
    """

    own: float
    same_domain: float | None
    other_domain: float | None

    def as_metrics(self) -> dict[str, float]:
        """By the names of metrics; what there is none of is left out."""
        named = {SWAP_OWN: self.own, SWAP_SAME_DOMAIN: self.same_domain, SWAP_OTHER_DOMAIN: self.other_domain}
        return {name: value for name, value in named.items() if value is not None}


@torch.inference_mode()
def swap_test(method: Method, images: ClassImages, shape: EpisodesConfig, stream: int, count: int) -> SwapTest | None:
    """Of the first `count` episodes of a stream; None for a method without kernels to exchange, and for sequences."""
    if not isinstance(method, ExchangesKernels) or method.written_convolutions == 0 or shape.tasks > 1:
        return None
    method.eval()
    found: dict[str, list[Tensor]] = {"own": [], "same_domain": [], "other_domain": []}
    for start in range(0, count, CHUNK):
        indices = torch.arange(start, min(start + CHUNK, count))
        exam = examine(sample(images, shape, stream, start, len(indices)), stream, start)
        domains = draw(images, shape.whole, stream, indices).domains
        same = domains[:, None] == domains
        everyone = torch.ones_like(indices, dtype=torch.bool)
        nobody = torch.arange(len(indices))
        for name, donors, has_one in (
            ("own", nobody, everyone),
            ("same_domain", *_next(same)),
            ("other_domain", *_next(~same)),
        ):
            if has_one.any():
                logits = method.logits_with_kernels_of(exam.episode, donors.to(images.device))
                check_logits(logits, exam.episode)
                correct = (logits.argmax(-1) == exam.labels).float().mean(-1)
                found[name].append(correct.cpu()[has_one])
    mean = {name: float(torch.cat(parts).mean()) if parts else None for name, parts in found.items()}
    assert mean["own"] is not None
    return SwapTest(mean["own"], mean["same_domain"], mean["other_domain"])


def _next(allowed: Tensor) -> tuple[Tensor, Tensor]:
    """For each of T tasks the next one, in a circle, that `allowed` (T, T) names, and whether there is one."""
    tasks = len(allowed)
    ahead = (torch.arange(tasks)[:, None] + torch.arange(1, tasks)) % tasks  # (T, T - 1): those that follow
    usable = allowed.gather(1, ahead)
    first = usable.int().argmax(1)
    return ahead.gather(1, first[:, None])[:, 0], usable.any(1)
