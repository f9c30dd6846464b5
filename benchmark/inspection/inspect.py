"""What a trained method that generates weights does with a test episode, in numbers and pictures."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmark import data
from benchmark.data.dataset import ClassImages
from benchmark.episodes.draw import draw, stream
from benchmark.episodes.exam import examine
from benchmark.episodes.sampling import sample
from benchmark.errors import UserError
from benchmark.inspection.figures import draw_attention, draw_variation, draw_weights
from benchmark.machine.files import make_folder
from benchmark.scoring.sound import sound_logits
from benchmark.scoring.swap_test import SwapTest, swap_test
from benchmark.trained.run import TrainedRun
from methods import registry
from methods.capabilities import GeneratesWeights
from methods.episode import Episode
from methods.sequences import ContinualMethod, TaskSequence
from methods.variation import domain_share, variation_share

SIDE_BY_SIDE = 4
"""Episodes whose weights are drawn next to each other: the one asked for and those after it."""
VARIATION_EPISODES = 64
"""Test episodes over which variation and the swap test are measured."""


@dataclass(frozen=True)
class Inspection:
    """What was seen.

    Attributes:
        episode: its number among the frozen test episodes.
        class_names: of its classes, by label.
        accuracy: on its queries.
        variation_share: by generated tensor, over the first `VARIATION_EPISODES` test episodes; see `variation_share`.
        domain_share: the part of each that is between domains; empty without domains.
        swap: what the same episodes lose with other tasks' convolutions; None without generated convolutions.
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
    domain_share: dict[str, float]
    swap: SwapTest | None
    support_attention: dict[str, float]
    folder: Path
    figures: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For `json.dumps`."""
        return {**asdict(self), "folder": str(self.folder)}


@torch.inference_mode()
def inspect_run(run: TrainedRun, index: int, out: Path) -> Inspection:
    """Look at test episode number `index` and draw figures into `out`.

    Of a task sequence, the weights are drawn as written after each of its steps.

    Raises:
        UserError: the run is of another method, has no such test episode, or its dataset is not here.
    """
    method, config = run.method, run.config
    if not isinstance(method, GeneratesWeights):
        raise UserError(
            f"{run.folder} is a run of {config.method}, which generates no weights;"
            f" inspect runs of {', '.join(registry.names_with(GeneratesWeights))}"
        )
    if index >= config.test.episodes:
        raise UserError(f"--episode {index}: the run has the test episodes 0 to {config.test.episodes - 1}")
    images, shape = data.load(config.dataset).splits["test"], config.test_episodes
    test = stream("test", config.test.seed)
    drawn = draw(images, shape.whole, test, torch.tensor([index]))
    exam = examine(sample(images, shape, test, index, 1), test, index)
    episode = exam.episode
    parts = [method.generated_weights(sample(images, shape, test, i, 16)) for i in range(0, VARIATION_EPISODES, 16)]
    written_for_each = {name: torch.cat([one[name] for one in parts]) for name in parts[0]}
    variation = {name: float(variation_share(weights)) for name, weights in written_for_each.items()}
    between_domains: dict[str, float] = {}
    if images.domains:
        domains = draw(images, shape.whole, test, torch.arange(VARIATION_EPISODES)).domains
        between_domains = {name: float(domain_share(weights, domains)) for name, weights in written_for_each.items()}
    attention = method.attention_to_support(episode)
    to_support = {} if not method.attention_is_a_share() else {
        layer: sum(float(weights.sum(-1).mean()) for weights in found.values()) / len(found)
        for layer, found in attention.items()
    }  # fmt: skip
    make_folder(out)
    read = next(weights.shape[-1] for found in attention.values() for weights in found.values())
    sequence = TaskSequence.of(episode)
    labels = sequence.labels_within_tasks(episode.support_labels)
    last = replace(episode, support_images=episode.support_images[:, -read:], support_labels=labels[:, -read:])
    called = f"test episode {index}"
    if sequence.steps > 1:
        called += f", step {sequence.steps} of {sequence.steps}"
    draw_attention(attention, _visible(last, images), called, method.convolution_tokens(), out)
    if sequence.steps == 1 or not isinstance(method, ContinualMethod):
        shown = sample(images, shape, test, index, SIDE_BY_SIDE)
        written, titles = method.generated_weights(shown), [f"test episode {index + i}" for i in range(SIDE_BY_SIDE)]
    else:
        shown, written = _steps(method, sequence)
        titles = [f"test episode {index}, step {step}" for step in range(1, sequence.steps + 1)]
    draw_weights(written, _visible(shown, images), titles, out)
    draw_variation(variation, VARIATION_EPISODES, out)
    return Inspection(
        episode=index,
        class_names=tuple(images.names[int(c) % len(images.names)] for c in drawn.classes[0, : episode.ways]),
        accuracy=float((sound_logits(method, episode).argmax(-1) == exam.labels).float().mean()),
        variation_share=variation,
        domain_share=between_domains,
        swap=swap_test(method, images, shape, test, VARIATION_EPISODES),
        support_attention=to_support,
        folder=out,
        figures=("attention", "weights", "variation"),
    )


def _steps(method: GeneratesWeights, sequence: TaskSequence) -> tuple[Episode, dict[str, Tensor]]:
    """The steps of one sequence as so many tasks, and what is written after each."""
    seen = [sequence.first(step) for step in range(1, sequence.steps + 1)]
    weights = [method.generated_weights(part) for part in seen]
    images, labels = (torch.cat(parts) for parts in zip(*sequence.arrivals(), strict=True))
    queries, unasked = sequence.query_images[:, :0], sequence.query_labels[:, :0]
    several = (len(seen), *[-1] * 4)
    steps = Episode(
        images,
        sequence.labels_within_tasks(labels),
        queries.expand(several),
        unasked.expand(len(seen), -1),
        sequence.task_ways,
    )
    return steps, {name: torch.cat([one[name] for one in weights]) for name in weights[0]}


def _visible(episode: Episode, images: ClassImages) -> Episode:
    """The episode with support images in [0, 1] as they look."""
    if images.normalization is None:
        return episode
    shown = images.normalization.inverse(episode.support_images).clamp(0, 1)
    return replace(episode, support_images=shown)
