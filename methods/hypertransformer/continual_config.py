"""Options of the Continual HyperTransformer."""

from dataclasses import dataclass, fields
from typing import Literal

from methods.hypertransformer.config import HyperTransformerConfig

_LOGITS_OPTIONS = ("logits_features", "nonlinear_logits_features", "logits_dropout")
_LOSS_OPTIONS = ("label_smoothing", "weight_penalty", "variation_penalty", "class_loss", "pretrain", "warmup")


@dataclass(frozen=True)
class ContinualConfig(HyperTransformerConfig):
    """Options of the HyperTransformer, less those about its last layer and its losses.

    `query_statistics` is "image" unless told otherwise. Statistics of a support set take away where its classes lie
    among those of the other tasks, and a query set of one task has its task written into its statistics; each costs a
    class-incremental learner dearly or flatters it, see results/README.md.

    Raises:
        ValueError: also for those.
    """

    query_statistics: Literal["batch", "support", "image"] = "image"

    def _contradictions(self) -> list[tuple[bool, str]]:
        changed = [
            f.name
            for f in fields(self)
            if f.name in (*_LOGITS_OPTIONS, *_LOSS_OPTIONS) and getattr(self, f.name) != f.default
        ]
        return [
            (
                self.generated_layers == "logits",
                "generated_layers 'logits' writes nothing here: there is no such layer",
            ),
            *(
                (True, f"{name} is not for task sequences: it concerns the last layer or the losses of 'ht'")
                for name in changed
            ),
            *super()._contradictions(),
        ]
