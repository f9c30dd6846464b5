"""Tokens: what the transformers read, and which of their outputs are weights.

A sample token is [label embedding | features]; a weight token is [weight embedding | a slice of previous weights, or
zeros], one per block of the layer's weights. Both are padded with zeros to the same width where they share a sequence.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.episode import UNLABELLED


class Tokens(nn.Module):
    """The learned parts of one layer's tokens: a table of N + 1 label embeddings, the last one for "no label", and one
    embedding per weight token, all drawn from N(0, 1). No table without `ways`, where sample tokens are not of images.
    """

    def __init__(self, ways: int | None, weight_tokens: int, embedding: int) -> None:
        super().__init__()
        self.embedding = embedding
        self.labels: nn.Parameter | None = None
        if ways is not None:
            self.labels = nn.Parameter(torch.randn(ways + 1, embedding))
        self.weights = nn.Parameter(torch.randn(weight_tokens, embedding))

    def sample_tokens(self, features: Tensor, labels: Tensor, width: int) -> Tensor:
        """(T, S, width) from features (T, S, d) and labels (T, S)."""
        assert self.labels is not None
        rows = torch.where(labels == UNLABELLED, len(self.labels) - 1, labels)
        tokens = torch.cat([F.embedding(rows, self.labels), features], dim=-1)
        return F.pad(tokens, (0, width - tokens.shape[-1]))

    def weight_tokens(self, tasks: int, width: int, previous: Tensor | None = None) -> Tensor:
        """(T, tokens, width); `previous` (T, tokens, block) goes where a task's first network has zeros."""
        tokens = self.weights.expand(tasks, -1, -1)
        if previous is not None:
            tokens = torch.cat([tokens, previous], dim=-1)
        return F.pad(tokens, (0, width - tokens.shape[-1]))

    def read_weights(self, outputs: Tensor, block: int) -> Tensor:
        """The weights (T, tokens, block) in the transformer's outputs for the weight tokens (T, tokens, width)."""
        return outputs[..., self.embedding : self.embedding + block]
