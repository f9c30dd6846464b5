"""What some methods can do besides classifying queries.

Whoever needs one of these asks for it, `isinstance(method, WritesNetworks)`, and never for a method by name or type; a
method has a capability by having its functions. `methods.registry.names_with` lists the methods that have one. Three
more are declared elsewhere: *learns task sequences* is `methods.sequences.ContinualMethod`, and *is a reference* and
*has a width* are `every_image` and `size_axis` of `methods.method.Method`.
"""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from torch import Tensor

from methods.episode import Episode
from methods.networks.conv4 import NetworkWeights


@runtime_checkable
class WritesNetworks(Protocol):
    """Classifies each task with a small network of its own, which can be taken out and used without the method."""

    def solver(self, episode: Episode) -> NetworkWeights:
        """The networks that classify the queries of each task, from its support set alone."""


@runtime_checkable
class GeneratesWeights(Protocol):
    """Another network writes weights for each task, with tokens of weights that attend to its support images.

    Its `diagnostics` log `<its own word>/variation_share.<tensor>`: see `methods.variation`.
    """

    def generated_weights(self, episode: Episode) -> dict[str, Tensor]:
        """What is written for each task (of a task sequence, after its last step), each (T, ...).

        By layer and tensor, as in "conv1.kernel" or "linear.weight".
        """

    def attention_to_support(self, episode: Episode) -> dict[str, dict[str, Tensor]]:
        """How much the weight tokens of each written layer attend to each support image.

        Of a task sequence, in the last step, and to the support images that are read then.

        Returns:
            By layer ("conv1", ..., "linear"), then by attention ("encoder 1"): (T, heads, weight tokens, S).
        """

    def attention_is_a_share(self) -> bool:
        """Whether attention sums to one over everything attended to, so that sums over S mean something."""

    def convolution_tokens(self) -> str:
        """What a convolution's weight tokens become: "filters", "kernel positions"."""


@runtime_checkable
class ExchangesKernels(Protocol):
    """Can classify a task with the convolutions that it wrote for another one: `benchmark.scoring.swap_test`."""

    @property
    def written_convolutions(self) -> int:
        """How many there are; with 0, as when only the last layer is written, there is nothing to exchange."""

    def logits_with_kernels_of(self, episode: Episode, donors: Tensor) -> Tensor:
        """Logits (T, Q, N) of each task with the generated convolutions of task `donors[t]`, (T,) int64.

        Everything else is the task's own, and made anew from its support set as seen through these convolutions.
        """


@runtime_checkable
class HasSharedExtractor(Protocol):
    """Layers read features of one extractor, which may start from what another run has learnt."""

    def restore_shared(self, weights: Mapping[str, Tensor]) -> None:
        """Start from the shared extractor in the `state_dict` of another such method; it goes on learning.

        Raises:
            ValueError: there or here is none, or it has another shape.
        """

    def shared_weights(self) -> Mapping[str, Tensor]:
        """The extractor's parameters and buffers by name; empty if this one is built without."""
