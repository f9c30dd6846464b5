"""Whether generated weights depend on the support set."""

import torch
from torch import Tensor


def variation_share(weights: Tensor) -> Tensor:
    """How much of the variance of generated weights is between tasks: a number in [0, 1] for weights (T, ...).

    With w[t, i] the number i of task t's weights, the mean over i of the variance of w[t, i] over t, divided by the
    variance of w over all t and i. The rest is the variance over i of the mean over t: what all tasks have in common.
    0: every task gets the same weights, so the transformer ignores the support set. 1: tasks have nothing in common.
    Weights that do not vary at all have share 0.
    """
    rows = weights.flatten(1)
    between_tasks = rows.var(0, correction=0).mean()
    total = rows.var(correction=0)
    return torch.where(total > 0, between_tasks / total, torch.zeros_like(total))
