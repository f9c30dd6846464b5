"""What a trained HyperTransformer does with a test episode, in numbers and pictures."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmark import data
from benchmark.errors import UserError
from benchmark.inspection.figures import draw_attention, draw_variation, draw_weights
from benchmark.sampling import draw, gather, sample, stream
from benchmark.trained import TrainedRun
from methods.hypertransformer.inspection import attention_to_support, variation_share
from methods.hypertransformer.model import HyperTransformer

SIDE_BY_SIDE = 4
"""Episodes whose weights are drawn next to each other: the one asked for and those after it."""
VARIATION_EPISODES = 64
"""Test episodes over which variation is measured."""


@dataclass(frozen=True)
class Inspection:
    """What was seen.

    Attributes:
        episode: its number among the frozen test episodes.
        class_names: of its classes, by label.
        accuracy: on its queries.
        variation_share: by generated tensor, over the first `VARIATION_EPISODES` test episodes; see `variation_share`.
        support_attention: by generated layer, the part of the weight tokens' attention that goes to support images,
            mean over tokens, heads and transformer layers; empty if the run's attention is sigmoid and sums to nothing
            in particular.
        folder: where the figures are.
        figures: their names, each a .png and a .svg.
    """

    episode: int
    class_names: tuple[str, ...]
    accuracy: float
    variation_share: dict[str, float]
    support_attention: dict[str, float]
    folder: Path
    figures: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For `json.dumps`."""
        return {**asdict(self), "folder": str(self.folder)}


@torch.inference_mode()
def inspect_run(run: TrainedRun, index: int, out: Path) -> Inspection:
    """Look at test episode number `index` and draw figures into `out`.

    Raises:
        UserError: the run is of another method, has no such test episode, or its dataset is not here.
    """
    method, config = run.method, run.config
    if not isinstance(method, HyperTransformer):
        raise UserError(
            f"{run.folder} is a run of {config.method}, which generates no weights;"
            " inspect runs of ht, ht-logits or ht-all"
        )
    if index >= config.test.episodes:
        raise UserError(f"--episode {index}: the run has the test episodes 0 to {config.test.episodes - 1}")
    images, shape = data.load(config.dataset).splits["test"], config.test_episodes
    test = stream("test", config.test.seed)
    drawn = draw(images, shape, test, torch.tensor([index]))
    episode = gather(images, shape, drawn)
    several = sample(images, shape, test, index, SIDE_BY_SIDE)
    shares = [method.generated_weights(sample(images, shape, test, i, 16)) for i in range(0, VARIATION_EPISODES, 16)]
    variation = {name: float(variation_share(torch.cat([one[name] for one in shares]))) for name in shares[0]}
    attention = attention_to_support(method, episode)
    to_support = {} if method.config.attention == "sigmoid" else {
        layer: sum(float(weights.sum(-1).mean()) for weights in found.values()) / len(found)
        for layer, found in attention.items()
    }  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    spatial = method.config.allocation == "spatial"
    draw_attention(attention, episode, index, "kernel positions" if spatial else "filters", out)
    draw_weights(method.generated_weights(several), several, index, out)
    draw_variation(variation, VARIATION_EPISODES, out)
    return Inspection(
        episode=index,
        class_names=tuple(images.names[int(c) % len(images.names)] for c in drawn.classes[0, : shape.ways]),
        accuracy=float((method(episode).argmax(-1) == episode.query_labels).float().mean()),
        variation_share=variation,
        support_attention=to_support,
        folder=out,
        figures=("attention", "weights", "variation"),
    )
