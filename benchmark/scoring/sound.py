"""What may become a number: finite outputs of the right shape, from finite weights. Anything else fails the cell."""

import torch
from torch import Tensor

from benchmark.errors import UserError
from methods.episode import Episode
from methods.method import Method
from methods.sequences import TaskSequence


class UnsoundError(UserError):
    """What a method gave is no answer: nothing may be scored, chosen, averaged, exported or shown from it."""


def sound_logits(method: Method, episode: Episode) -> Tensor:
    """The method's logits (T, Q, N) of an episode, checked.

    Raises:
        UnsoundError: see `check_logits`.
    """
    logits = method(episode)
    check_logits(logits, episode)
    return logits


def check_logits(logits: Tensor, episode: Episode) -> None:
    """Refuse what is not (T, Q, N) finite floating-point numbers.

    In task-incremental sequences those of classes that do not compete are minus infinity, see `TaskSequence.compete`.

    Raises:
        UnsoundError: saying what came instead.
    """
    expected = (*episode.query_labels.shape, episode.ways)
    if not isinstance(logits, Tensor):
        raise UnsoundError(f"the logits should be a tensor (T, Q, N), found {type(logits).__name__}")
    if tuple(logits.shape) != expected:
        raise UnsoundError(f"the logits should be (T, Q, N) = {expected}, found {tuple(logits.shape)}")
    if not logits.is_floating_point():
        raise UnsoundError(f"the logits should be floating-point numbers, found {logits.dtype}")
    fine = logits.isfinite()
    if isinstance(episode, TaskSequence):
        fine |= episode.compete(torch.zeros_like(logits)).isneginf() & logits.isneginf()
    if not bool(fine.all()):
        count = int((~fine).sum())
        raise UnsoundError(f"{count} of {logits.numel()} logits are not finite numbers; no score is made from them")


def check_weights(method: Method) -> None:
    """Refuse parameters that are not finite and buffers that are NaN (a mask may be infinite).

    Raises:
        UnsoundError: naming the first such tensor.
    """
    parameters = ((name, p, ~p.isfinite()) for name, p in method.named_parameters() if p.is_floating_point())
    buffers = ((name, b, b.isnan()) for name, b in method.named_buffers() if b.is_floating_point())
    for name, tensor, bad in (*parameters, *buffers):
        if bool(bad.any()):
            raise UnsoundError(
                f"{int(bad.sum())} of {tensor.numel()} numbers in the weights {name!r} are not finite;"
                " nothing was kept of them"
            )
