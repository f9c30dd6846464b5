"""Measuring one method at one setting: `python -m benchmark.profiling.measure WORKLOAD` prints a `Profile` as JSON.

Images are random pixels in the shape of Omniglot (1,000 characters of 20 images, rotations as classes), since their
content changes no time. Every time is the least of several, as `benchmark.machine.clock` counts: processor time on a
CPU, so that a busy machine matters little, and on a GPU wall time until the work is done.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from benchmark.errors import UserError
from benchmark.machine.process import prepare_process

CHARACTERS, DRAWINGS = 1000, 20
"""Of the images, before rotations."""

SECONDS = 1.0
"""Spent on each time that is measured; at least one repetition, after one to warm up."""


@dataclass(frozen=True)
class Workload:
    """What to measure: a method, its width, if it has one, the shape of its training episodes, T episodes per step."""

    method: str
    ways: int = 20
    shots: int = 1
    queries: int = 3
    channels: int = 8
    batch: int = 16
    device: str = "cpu"


@dataclass(frozen=True)
class Profile:
    """What was measured.

    Attributes:
        workload: at what.
        sampling_ms, forward_ms, backward_ms, optimizer_ms: parts of a training step of T episodes.
        step_ms: a whole training step.
        peak_memory_mib: of the process on a CPU (with Python and PyTorch, about 300), allocated on a GPU.
        gflop_per_episode: operations of forward and backward pass, in billions.
        peak_gflops: what the device does in a matrix product, in billions per second.
        adapt_ms: from a support set to a classifier, one task alone. Methods without a network of their own per task
            (`WritesNetworks`) include the classification of one image.
        classify_ms: one image with that network, the support set not being looked at again. None where there is no such
            network, or it normalises an image with the other queries.
    """

    workload: Workload
    sampling_ms: float
    forward_ms: float
    backward_ms: float
    optimizer_ms: float
    step_ms: float
    peak_memory_mib: float
    gflop_per_episode: float
    peak_gflops: float
    adapt_ms: float
    classify_ms: float | None

    @property
    def sampling_per_s(self) -> float:
        """Episodes drawn per second."""
        return 1000 * self.workload.batch / self.sampling_ms

    @property
    def forward_per_s(self) -> float:
        """Episodes per second through the loss alone."""
        return 1000 * self.workload.batch / self.forward_ms

    @property
    def episodes_per_s(self) -> float:
        """Training episodes per second."""
        return 1000 * self.workload.batch / self.step_ms

    @property
    def share_of_peak(self) -> float:
        """Operations of a training step per second, relative to the peak."""
        return self.gflop_per_episode * self.episodes_per_s / self.peak_gflops

    def facts(self) -> dict[str, Any]:
        """Everything in one flat record."""
        derived = {n: getattr(self, n) for n in ("sampling_per_s", "forward_per_s", "episodes_per_s", "share_of_peak")}
        record = asdict(self)
        return {**record.pop("workload"), **derived, **record}


def check(workload: Workload) -> None:
    """Refuse episodes that the characters measured with cannot provide, as a grid's are refused.

    Raises:
        UserError: more ways than characters, or more images of each than there are.
    """
    import torch

    from benchmark.data.dataset import ClassImages
    from benchmark.episodes.sampling import check_possible

    first, names = torch.arange(CHARACTERS + 1) * DRAWINGS, tuple(map(str, range(CHARACTERS)))
    check_possible(ClassImages(torch.empty(0), first, names, "classes"), _cell(workload).train_episodes, "train")


def measure(workload: Workload, seconds: float = SECONDS) -> Profile:
    """Measure in this process, each time for so many seconds.

    Raises:
        ValueError: the method is not trained, as a reference is not.
        UserError: episodes that the characters measured with cannot provide.
    """
    import torch

    from benchmark.data.dataset import ClassImages
    from benchmark.episodes.sampling import sample, sample_all
    from benchmark.machine.clock import clock
    from benchmark.machine.memory import peak_memory
    from benchmark.profiling import flops
    from benchmark.scoring.scoring import CHUNK
    from benchmark.training.build import construct
    from benchmark.training.trainer import Trainer
    from methods.capabilities import WritesNetworks
    from methods.method import Setting
    from methods.networks.conv4 import classify

    check(workload)
    device = torch.device(workload.device)
    config = _cell(workload)
    shape = config.train_episodes
    images = ClassImages(
        torch.randint(256, (CHARACTERS * DRAWINGS, 1, 28, 28), dtype=torch.uint8),
        torch.arange(CHARACTERS + 1) * DRAWINGS,
        tuple(map(str, range(CHARACTERS))),
        "classes",
    ).to(device)
    method = construct(config, Setting(workload.ways, workload.shots, images.image_shape, images.classes)).to(device)
    if not method.learned_parameters():
        raise ValueError("the method is not trained, so there is no training speed")
    trainer = Trainer(config, method, images, images)

    def least(work: Callable[[], object]) -> float:
        """Milliseconds."""
        work()
        times: list[float] = []
        while not times or (sum(times) < seconds and len(times) < 1000):
            before = clock(device)
            work()
            times.append(clock(device) - before)
        return 1000 * min(times)

    def draw() -> Any:
        return sample(images, shape, 0, 0, workload.batch, train=True)

    method.train()
    episode = draw()

    def forward_and_backward() -> None:
        trainer.optimizer.zero_grad(set_to_none=True)
        method.loss(episode, 0.0).total.backward()

    sampling, forward, both = least(draw), least(lambda: method.loss(episode, 0.0)), least(forward_and_backward)
    step = least(trainer.train_step)
    for group in trainer.optimizer.param_groups:
        group["lr"] = 0.0  # or one gradient, followed a thousand times, would lead to weights that no training meets
    optimizer = least(trainer.optimizer.step)
    memory = peak_memory(device)
    operations = flops.count(forward_and_backward)

    method.eval()
    drawn = sample_all if method.every_image else sample
    task = drawn(images, shape.model_copy(update={"queries": 1}), 0, CHUNK, 1)
    classifying = None
    with torch.inference_mode():
        if isinstance(method, WritesNetworks):
            solver = method.solver
            network, image = solver(task), task.query_images[:, :1]
            if all(block.statistics is not None for block in network.blocks):
                classifying = least(lambda: classify(image, network))
            adapting = least(lambda: solver(task))
        else:
            adapting = least(lambda: method(task))
    return Profile(
        workload=workload,
        sampling_ms=sampling,
        forward_ms=forward,
        backward_ms=max(0.0, both - forward),
        optimizer_ms=optimizer,
        step_ms=step,
        peak_memory_mib=memory / 2**20,
        gflop_per_episode=operations / workload.batch / 1e9,
        peak_gflops=flops.peak(device) / 1e9,
        adapt_ms=adapting,
        classify_ms=classifying,
    )


def _cell(workload: Workload) -> Any:
    """The cell such a training would be.

    Raises:
        UserError: a number is out of the range that a grid may have.
    """
    from pydantic import ValidationError

    from benchmark.cells.config import CellConfig
    from benchmark.cells.options import option_names
    from benchmark.grid.messages import explain
    from methods import registry

    method = registry.get(workload.method)
    width = method.size_axis
    cell = {
        "dataset": {"name": "omniglot"},
        "episodes": {"ways": workload.ways, "shots": workload.shots, "queries": workload.queries},
        "method": workload.method,
        "model": {width: workload.channels} if width in option_names(method) else {},
        "train": {"batch": workload.batch, "steps": 1_000_000},
    }
    try:
        return CellConfig.model_validate(cell)
    except ValidationError as error:
        raise UserError("; ".join(explain([one], f"--{one['loc'][-1]}") for one in error.errors())) from error


def main() -> None:
    """Entry point of the measuring process."""
    prepare_process()
    import torch

    torch.set_num_threads(1)
    profile = measure(Workload(**json.loads(sys.argv[1])))
    print(json.dumps(asdict(profile)))


if __name__ == "__main__":
    main()
