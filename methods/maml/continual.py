"""MAML++ task after task (Antoniou et al., "Defining benchmarks for continual few-shot learning", 2020)."""

from collections.abc import Collection, Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from methods.finetune.model import grown
from methods.maml.config import ContinualMAMLConfig
from methods.maml.model import MAML, Weights
from methods.method import Setting
from methods.networks.architecture import BLOCKS
from methods.sequences import ContinualMethod, TaskSequence


class ContinualMAML(ContinualMethod, MAML):
    """Learns an initialisation, rates and normalisation with which `inner_steps` gradient steps on each new task solve
    it and spare what came before. Training goes through all steps of whole sequences.

    In the tables of learned rates and of per-step normalisation each inner step of the sequence has its own place.
    Tasks beyond the length of training use the places of the last one.

    The last layer has a row for each class seen so far; new rows are zeros, where MAML++ learns them. (A learned row
    that all classes share, so that sequences may grow, would cancel in the softmax.) So the first inner step moves the
    last layer only, the order of classes does not matter, and sequences may be of any length and number of ways.
    In task-incremental sequences only the rows of the present task take part in the inner loop.

    With `query_statistics: batch` the queries of each task are normalised by themselves, as if they had come alone,
    which tells a class-incremental learner something about the task; with "support", with the latest support set.
    """

    Config = ContinualMAMLConfig
    fixed_ways = False

    def __init__(self, config: ContinualMAMLConfig, setting: Setting) -> None:
        super().__init__(config, setting)
        self.tables = setting.tasks
        self.weight = nn.Parameter(self.weight.new_zeros(0, self.weight.shape[1]))
        self.bias = nn.Parameter(self.bias.new_zeros(0))

    def answers(self, sequence: TaskSequence, asked: Collection[int]) -> Iterator[Tensor]:
        """See `ContinualMethod`."""
        weights = self.beginners(sequence.tasks)
        for step, (images, labels) in enumerate(sequence.arrivals(), start=1):
            seen = sequence.first(step)
            arrived = replace(seen, support_images=images, support_labels=labels)
            before = min(step - 1, self.tables - 1) * self.config.inner_steps
            weights = self.learn(weights, arrived, before)
            if step in asked:
                yield seen.compete(self.answer(weights, arrived, before + self.config.inner_steps))

    @torch.inference_mode(False)
    @torch.enable_grad()
    def beginners(self, tasks: int) -> Weights:
        """The weights of T learners before their first step; they know no classes."""
        return [tensor.expand(tasks, *tensor.shape) for tensor in self.initial]

    def learn(self, weights: Weights, arrived: TaskSequence, before: int) -> Weights:
        """The weights after the inner steps on what has arrived, with so many `before` them in the tables."""
        second_order = self.config.second_order and torch.is_grad_enabled()
        with torch.inference_mode(False), torch.enable_grad():
            *kernels, weight, bias = grown(weights, arrived.ways)
            kept = 0
            if arrived.scenario == "task-incremental":  # the rows of earlier tasks do not compete
                kept = arrived.ways - arrived.task_ways
                arrived = replace(arrived, support_labels=arrived.labels_within_tasks(arrived.support_labels))
            start = [*kernels, weight[:, kept:], bias[:, kept:]]
            for adapted in self.adaptation(arrived, self.config.inner_steps, second_order, start, before):
                learnt = adapted
            rows = [
                torch.cat([old[:, :kept], new], dim=1) for old, new in zip((weight, bias), learnt[BLOCKS:], strict=True)
            ]
            return [*learnt[:BLOCKS], *rows]

    def answer(self, weights: Weights, arrived: TaskSequence, steps: int) -> Tensor:
        """Logits (T, Q, N) of all queries under the weights after so many inner steps in the tables."""
        sets = arrived.tasks_in_sequence if self.config.query_statistics == "batch" else 1
        queries = arrived.query_images.unflatten(1, (sets, -1)).flatten(0, 1)
        repeated = [w.repeat_interleave(sets, dim=0) for w in weights]
        logits = self.classify(repeated, self.streams(replace(arrived, query_images=queries)), steps)
        return logits.reshape(arrived.tasks, -1, arrived.ways)

    def carried(self, seen: TaskSequence) -> int:
        """The network, and the support set's statistics if queries are normalised with them."""
        statistics = 2 * sum(len(kernel) for kernel in self.kernels)
        return self.solver_parameters(seen.ways) + statistics * (self.config.query_statistics == "support")
