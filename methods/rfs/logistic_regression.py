"""Multinomial logistic regression on T small tasks at once, solved to convergence."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.episode import members
from methods.networks.conv4 import LinearWeights

TOLERANCE = 1e-7
"""Of the gradient's norm, and therefore of the weights: the penalty's curvature is 1."""
NEWTON_STEPS = 100
HALVINGS = 40
CONJUGATE_STEPS = 200
CONJUGATE_TOLERANCE = 1e-3
"""Of the linear system's residual: each Newton step then gains about three digits."""


@torch.no_grad()
def fit(features: Tensor, labels: Tensor, ways: int, C: float = 1.0) -> LinearWeights:
    """The classifier of each task that minimises |weight|^2 / 2 + C * (sum of the cross-entropies of its examples).

    The objective of scikit-learn's `LogisticRegression` for three classes or more; for two, scikit-learn has a
    single weight vector, here there is one per class as ever. Biases are not penalised. Newton's method in float64,
    with conjugate gradients for its linear systems (Nocedal and Wright, Numerical Optimization, section 7.1), so that
    20 classes of 800 features need no Hessian. A task that has converged is left alone: it does not matter what other
    tasks are solved in the same call.

    Args:
        features: (T, S, D).
        labels: (T, S) int64; examples with a label outside 0..ways-1 do not count.
        ways: N, each with an example at least.
        C: inverse strength of the penalty.

    Returns:
        Weight (T, N, D) and bias (T, N), constants in the type of the features.
    """
    x = F.pad(features.double(), (0, 1), value=1.0)  # the bias is the weight of a constant feature
    targets = C * members(labels, ways).mT.contiguous().double()
    strength = targets.sum(-1, keepdim=True)  # of each example: C, or 0 if it does not count
    penalty = torch.ones_like(x[0, 0]).unsqueeze(-1)
    penalty[-1] = 0

    def objective(theta: Tensor) -> Tensor:
        logits = x @ theta
        losses = strength * logits.logsumexp(-1, keepdim=True) - (targets * logits).sum(-1, keepdim=True)
        return losses.sum((1, 2), keepdim=True) + (penalty * theta.square()).sum((1, 2), keepdim=True) / 2

    theta = x.new_zeros(len(x), x.shape[-1], ways)
    for _ in range(NEWTON_STEPS):
        probabilities = (x @ theta).softmax(-1)
        gradient = x.transpose(1, 2) @ (strength * probabilities - targets) + penalty * theta
        active = _dot(gradient, gradient) > TOLERANCE**2
        if not active.any():
            break
        direction = _conjugate_gradients(_hessian(x, probabilities, strength, penalty), -gradient)
        theta = theta + _step(objective, theta, direction, _dot(gradient, direction), active) * direction
    weight, bias = theta.transpose(1, 2).to(features.dtype).split([x.shape[-1] - 1, 1], dim=-1)
    return LinearWeights(weight, bias.squeeze(-1))


def _step(
    objective: Callable[[Tensor], Tensor], theta: Tensor, direction: Tensor, slope: Tensor, active: Tensor
) -> Tensor:
    """The first of 1, 1/2, 1/4... that lowers each objective enough (Armijo's rule); 0 for the tasks not active."""
    before = objective(theta)
    step = active.to(theta.dtype)
    for _ in range(HALVINGS):
        allowed = before + 1e-4 * step * slope + 1e-12 * before  # the last term: rounding, close to the minimum
        too_far = objective(theta + step * direction) > allowed
        if not too_far.any():
            break
        step = torch.where(too_far, step / 2, step)
    return step


def _hessian(x: Tensor, probabilities: Tensor, strength: Tensor, penalty: Tensor) -> Callable[[Tensor], Tensor]:
    """The product of the Hessian with (T, D+1, N)."""

    def product(vector: Tensor) -> Tensor:
        moved = x @ vector
        expected = (probabilities * moved).sum(-1, keepdim=True)
        return x.transpose(1, 2) @ (strength * probabilities * (moved - expected)) + penalty * vector

    return product


def _conjugate_gradients(product: Callable[[Tensor], Tensor], target: Tensor) -> Tensor:
    """Solve product(solution) = target (T, D+1, N), for each task to a residual of `CONJUGATE_TOLERANCE`."""
    solution, residual, direction = torch.zeros_like(target), target, target
    square = _dot(target, target)
    goal = CONJUGATE_TOLERANCE**2 * square
    for _ in range(CONJUGATE_STEPS):
        active = square > goal
        if not active.any():
            break
        image = product(direction)
        step = torch.where(active, square / _dot(direction, image), 0.0)
        solution = solution + step * direction
        residual = residual - step * image
        previous, square = square, _dot(residual, residual)
        direction = residual + torch.where(active, square / previous, 0.0) * direction
    return solution


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """(T, 1, 1)."""
    return (a * b).sum((1, 2), keepdim=True)
