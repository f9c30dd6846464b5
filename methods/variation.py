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


def domain_share(weights: Tensor, domains: Tensor) -> Tensor:
    """The part of `variation_share` that is between domains, for weights (T, ...) of tasks with domains (T,) int64.

    As there, with every task's weights replaced by the mean over its domain; `variation_share` less this is the share
    that varies within domains (law of total variance). A few tasks per domain make it too large: means of T/D tasks
    differ by chance, by about D/T of what varies within.
    """
    rows = weights.flatten(1)
    member = torch.nn.functional.one_hot(domains).to(rows)
    means = (member.mT @ rows) / member.sum(0).clamp_min(1)[:, None]
    between_domains = means[domains].var(0, correction=0).mean()
    total = rows.var(correction=0)
    return torch.where(total > 0, between_domains / total, torch.zeros_like(total))
