"""The optimiser and its learning rate."""

import functools
import inspect
import math
from typing import Any

import torch

from benchmark.cells.config import TrainConfig
from methods.method import Method


def learning_rate(settings: TrainConfig, step: int, steps: int) -> float:
    """The rate at a step: constant, half a cosine to zero, or decay_rate ** (step / decay_steps).

    The last is the schedule of the HyperTransformer's scripts. Any of them times a rise from 1 / warmup_steps to 1.
    """
    rate = settings.learning_rate
    if step < settings.warmup_steps:
        rate *= (step + 1) / settings.warmup_steps
    if settings.schedule == "cosine":
        return rate * 0.5 * (1 + math.cos(math.pi * step / steps))
    if settings.schedule == "exponential":
        return rate * math.pow(settings.decay_rate, step / settings.decay_steps)
    return rate


def build_optimizer(method: Method, settings: TrainConfig) -> torch.optim.Optimizer:
    """The optimiser named in the configuration; fused, which is several times faster over many small tensors."""
    parameters = method.learned_parameters()
    lr, decay = settings.learning_rate, settings.weight_decay
    optimizer: torch.optim.Optimizer
    if settings.optimizer == "sgd":
        sgd = _untraced(torch.optim.SGD)
        optimizer = sgd(parameters, lr=lr, momentum=settings.momentum, weight_decay=decay, fused=True)
    else:
        adam = _untraced(torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam)
        optimizer = adam(parameters, lr=lr, weight_decay=decay, fused=True)
    return optimizer


@functools.cache
def _untraced(kind: type[torch.optim.Optimizer]) -> Any:
    """The same optimiser, which cannot be traced by `torch.compile`, and so does not import it.

    torch wraps these functions to break a trace at them. The wrappers import the tracer when they are first called,
    traced or not, which takes as long as `import torch` itself.
    """
    names = ("step", "add_param_group", "zero_grad", "state_dict", "load_state_dict")
    plain = {name: inspect.unwrap(getattr(kind, name)) for name in names}
    return type(kind.__name__, (kind,), plain | {"step": torch.no_grad()(plain["step"])})
