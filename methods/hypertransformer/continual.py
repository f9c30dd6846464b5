"""Continual HyperTransformer (Vladymyrov, Zhmoginov, Sandler, TMLR 2024, arXiv 2301.04584), and its upper reference.

The paper's idea: the weights written for one task are fed back when the next task's are written, so the network itself
is the memory. The details here are this project's reading of the abstract and of summaries, not of the authors' code,
and no published number could be checked against: where the previous weights enter the tokens, that the
network ends in its flattened convolutions, and that prototypes are frozen.
"""

from abc import abstractmethod
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from torch import Tensor

from methods.episode import Episode
from methods.hypertransformer.continual_config import ContinualConfig
from methods.hypertransformer.convolutions import Convolutions, ConvolutionWriter
from methods.hypertransformer.layers import ConvLayer
from methods.networks.conv4 import ConvWeights, features, trunk
from methods.protonet.model import squared_distances
from methods.sequences import ContinualMethod, Prototypes, TaskSequence


class _EmbeddingWriter(ContinualMethod, ConvolutionWriter):
    """Transformers write the convolutions of an embedding; classes are prototypes in it."""

    Config = ContinualConfig

    def solver_parameters(self, ways: int) -> int:
        """Kernels, biases (if any) and one prototype per class."""
        return self.convolution_parameters() + ways * self.flat

    @abstractmethod
    def networks(self, sequence: TaskSequence) -> Iterator[Convolutions]:
        """What is written after each step."""

    def generated_weights(self, episode: Episode) -> dict[str, Tensor]:
        """What the transformers write after the last step, each (T, ...), as in "conv1.kernel"."""
        *_, last = self.networks(TaskSequence.of(episode))
        return {f"{layer}.{name}": tensor for layer, parts in last.parts.items() for name, tensor in parts.items()}

    def embed(self, images: Tensor, blocks: Sequence[ConvWeights], sets: int) -> Tensor:
        """Embeddings (T, B, D) of images (T, B, C, H, W), which consist of so many sets of queries.

        With batch statistics each set is normalised by itself, as if it had come alone: a learner asked about task i
        sees queries of task i. In class-incremental sequences this tells it something about the task; statistics of
        the support set do not.
        """
        tasks = len(images)
        if self.config.query_statistics == "batch" and sets > 1:  # one network for each set
            images = images.unflatten(1, (sets, -1)).flatten(0, 1)
            blocks = [_repeated(block, sets) for block in blocks]
        behind = trunk(images, blocks, self.config.architecture)[-1]
        return features(behind, len(images), self.config.architecture).reshape(tasks, -1, self.flat)


class ContinualHyperTransformer(_EmbeddingWriter):
    """theta_t = HT(support set t, theta_{t-1}): a weight token is [embedding | slice of the previous weights].

    The network embeds images. A task's prototypes are its class means under the weights of its own step and are then
    frozen ("mini-batch": running means over the steps); queries are embedded with the latest weights, and a logit is
    minus the squared distance to a prototype. Only the weights and the prototypes go from one task to the next. In
    training, gradients flow through all steps.

    Slices are of what the transformers wrote, without trained residual weights, and zeros for the first task, which
    is therefore learnt as by an ordinary HyperTransformer with prototypes in place of its last layer.
    """

    def answers(self, sequence: TaskSequence, asked: Collection[int]) -> Iterator[Tensor]:
        """See `ContinualMethod`. The queries of all tasks seen are embedded in one pass."""
        known = None
        steps = zip(sequence.arrivals(), self.networks(sequence), strict=True)
        for step, ((_, labels), written) in enumerate(steps, start=1):
            seen = sequence.first(step)
            support = features(written.support, sequence.tasks, self.config.architecture)
            known = (known or Prototypes.none(support)).updated(support, labels, seen.ways)
            if step in asked:
                query = self.embed(seen.query_images, written.blocks, seen.tasks_in_sequence)
                yield seen.compete(-squared_distances(query, known.means))

    def networks(self, sequence: TaskSequence) -> Iterator[Convolutions]:
        """Each from its own task's support set and what was written before."""
        previous = None
        for images, labels in sequence.arrivals():
            written = self.write(images, sequence.labels_within_tasks(labels), previous)
            previous = written.parts
            yield written

    def carried(self, seen: TaskSequence) -> int:
        """The written weights, the support set's statistics if queries are normalised with them, and prototypes."""
        written = sum(layer.written for layer in self.convolutions if isinstance(layer, ConvLayer))
        statistics = 2 * len(self.inputs) * self.config.channels * (self.config.query_statistics == "support")
        return written + statistics + seen.ways * self.flat


class MergedHyperTransformer(_EmbeddingWriter):
    """The upper reference: after each step one network is written from all support sets so far, and all prototypes are
    class means under it. Nothing is forgotten because nothing is thrown away.

    Support images carry their labels within their tasks, as in `ContinualHyperTransformer`, so a sequence may be longer
    than those trained on.
    """

    def answers(self, sequence: TaskSequence, asked: Collection[int]) -> Iterator[Tensor]:
        """See `ContinualMethod`."""
        for step in asked:
            seen = sequence.first(step)
            written = self._network(seen)
            support = features(written.support, sequence.tasks, self.config.architecture)
            known = Prototypes.none(support).updated(support, seen.support_labels, seen.ways)
            query = self.embed(seen.query_images, written.blocks, seen.tasks_in_sequence)
            yield seen.compete(-squared_distances(query, known.means))

    def networks(self, sequence: TaskSequence) -> Iterator[Convolutions]:
        """Each from all support sets so far."""
        return (self._network(sequence.first(step)) for step in range(1, sequence.steps + 1))

    def _network(self, seen: TaskSequence) -> Convolutions:
        return self.write(seen.support_images, seen.labels_within_tasks(seen.support_labels))

    def carried(self, seen: TaskSequence) -> int:
        """All support images; the rest follows from them."""
        return seen.support_images[0].numel()


def _repeated(block: ConvWeights, times: int) -> ConvWeights:
    """The block of each task `times` times, side by side."""
    kernel, scale, offset = (x.repeat_interleave(times, dim=0) for x in (block.kernel, block.scale, block.offset))
    bias = None if block.bias is None else block.bias.repeat_interleave(times, dim=0)
    return replace(block, kernel=kernel, scale=scale, offset=offset, bias=bias)
