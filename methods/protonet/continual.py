"""The constant embedding: prototypical networks (Snell, Swersky, Zemel, NeurIPS 2017) on task sequences."""

from collections.abc import Collection, Iterator

import torch
from torch import Tensor

from methods.protonet.model import ProtoNet, squared_distances
from methods.sequences import ContinualMethod, Prototypes, TaskSequence


class ContinualProtoNet(ContinualMethod, ProtoNet):
    """`ProtoNet` with running class means: what is trained is trained once, and a sequence only adds prototypes.

    An embedding that does not change cannot forget: in task-incremental sequences the accuracy on a task stays what
    it was. Training normalises with the statistics of all images of a sequence together, later ones included; once
    trained (`eval` mode) the running statistics are used.
    """

    def answers(self, sequence: TaskSequence, asked: Collection[int]) -> Iterator[Tensor]:
        """See `ContinualMethod`. Every image is embedded once."""
        embedded = self.embed(torch.cat([sequence.support_images, sequence.query_images], dim=1))
        support, query = embedded.tensor_split([sequence.support_images.shape[1]], dim=1)
        known = Prototypes.none(support)
        arrivals = zip(support.chunk(sequence.steps, 1), sequence.arrivals(), strict=True)
        for step, (arriving, (_, labels)) in enumerate(arrivals, start=1):
            seen = sequence.first(step)
            known = known.updated(arriving, labels, seen.ways)
            if step in asked:
                distances = squared_distances(query[:, : seen.query_labels.shape[1]], known.means)
                yield seen.compete(-distances)

    def carried(self, seen: TaskSequence) -> int:
        """The prototypes."""
        return seen.ways * self.features
