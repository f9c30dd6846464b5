"""The optimiser of a training."""

import copy
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark.cells.config import TrainConfig
from benchmark.machine.process import child_environment
from benchmark.training.optimizer import build_optimizer
from methods import Episode, Method

SETTINGS: dict[str, Any] = {"steps": 10, "learning_rate": 0.05, "weight_decay": 0.1}


class Rows(Method):
    """Nothing but weights."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.ParameterList(torch.linspace(-1, 1, size).sin() for size in (3, 17, 40))

    def forward(self, episode: Episode) -> Tensor:
        raise NotImplementedError

    def solver_parameters(self, ways: int) -> int:
        return 0


def stepped(weights: list[nn.Parameter], optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """The weights after a few steps on a loss that is no quadratic."""
    for step in range(5):
        optimizer.zero_grad()
        torch.stack([(weight - step).cos().sum() for weight in weights]).sum().backward()
        optimizer.step()
    return [weight.detach().clone() for weight in weights]


@pytest.mark.parametrize(
    ("settings", "torchs"),
    [
        ({"optimizer": "adam"}, lambda weights: torch.optim.Adam(weights, lr=0.05, weight_decay=0.1, fused=True)),
        ({"optimizer": "adamw"}, lambda weights: torch.optim.AdamW(weights, lr=0.05, weight_decay=0.1, fused=True)),
        (
            {"optimizer": "sgd", "momentum": 0.9},
            lambda weights: torch.optim.SGD(weights, lr=0.05, momentum=0.9, weight_decay=0.1, fused=True),
        ),
    ],
    ids=["adam", "adamw", "sgd"],
)
def test_it_steps_as_torchs_does(settings: dict[str, Any], torchs: Any) -> None:
    """Bit for bit, and its state is torch's."""
    ours, other = Rows(), Rows()
    one, two = build_optimizer(ours, TrainConfig(**SETTINGS, **settings)), torchs(list(other.rows))
    for a, b in zip(stepped(list(ours.rows), one), stepped(list(other.rows), two), strict=True):
        assert torch.equal(a, b)
    two.load_state_dict(copy.deepcopy(one.state_dict()))  # torch keeps the tensors it is given
    one.load_state_dict(copy.deepcopy(two.state_dict()))
    for a, b in zip(stepped(list(ours.rows), one), stepped(list(other.rows), two), strict=True):
        assert torch.equal(a, b)


def test_training_does_not_wait_for_the_compiler() -> None:
    """In a process of its own, as a cell has: what optimisers do in training imports nothing of `torch.compile`."""
    code = """
import sys
from types import SimpleNamespace
import torch
from benchmark.cells.config import TrainConfig
from benchmark.training.optimizer import build_optimizer
for name in ("adam", "adamw", "sgd"):
    weight = torch.nn.Parameter(torch.ones(3))
    method = SimpleNamespace(learned_parameters=lambda: [weight])
    optimizer = build_optimizer(method, TrainConfig(steps=1, optimizer=name, learning_rate=0.5))
    optimizer.zero_grad()
    weight.sum().backward()
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
    assert not torch.equal(weight, torch.ones(3))
assert "torch._dynamo" not in sys.modules and "sympy" not in sys.modules
"""
    subprocess.run([sys.executable, "-P", "-c", code], env=child_environment(), check=True)
