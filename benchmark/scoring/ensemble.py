"""Several checkpoints of one training as one method: the protocol behind MAML++'s published numbers."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmark.scoring.sound import sound_logits
from methods.episode import Episode
from methods.method import Method


class Ensemble(Method):
    """Classifies by the mean of its members' logits (T, Q, N).

    MAML++ (Antoniou, Edwards, Storkey, ICLR 2019) tests so: the five checkpoints with the best validation accuracy.
    Every member adapts to the task by itself, so it costs as many times the work, and as many networks per task.
    """

    def __init__(self, members: Sequence[Method]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, episode: Episode) -> Tensor:
        """Mean logits (T, Q, N)."""
        return torch.stack(
            [sound_logits(member, episode) for member in self.members if isinstance(member, Method)]
        ).mean(0)

    def solver_parameters(self, ways: int) -> int:
        """Numbers in the networks of all members."""
        return sum(member.solver_parameters(ways) for member in self.members if isinstance(member, Method))
