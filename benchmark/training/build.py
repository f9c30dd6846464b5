"""A cell's method, built with its initial weights."""

from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cells.config import CellConfig
from benchmark.errors import UserError

if TYPE_CHECKING:
    from benchmark.data.dataset import Dataset
    from methods.method import Method, Setting


def build(config: CellConfig, dataset: "Dataset") -> "Method":
    """The cell's method with its initial weights, which depend on the seed alone."""
    return construct(config, setting_of(config, dataset))


def setting_of(config: CellConfig, dataset: "Dataset") -> "Setting":
    """What the cell's method is built for."""
    from methods.method import Setting

    images, shape = dataset.splits["train"], config.train_episodes
    return Setting(shape.ways, shape.shots, images.image_shape, images.classes, shape.tasks)


def construct(config: CellConfig, setting: "Setting") -> "Method":
    """`build` where the setting is known and the dataset may not be at hand."""
    import torch

    from benchmark.episodes.draw import stream
    from methods import registry
    from methods.sequences import ContinualMethod

    for plugin in config.plugins:
        registry.load_plugin(Path(plugin))
    registered = registry.get(config.method)
    if registered.learner.fixed_ways and setting.ways != config.episodes.ways:
        raise UserError(
            f"{config.method} is built for one number of ways: train.ways ({setting.ways}) must equal"
            f" episodes.ways ({config.episodes.ways}). Leave it out with 'exclude: [{{method: {config.method}}}]', or"
            f" give it its own with 'overrides: [{{when: {{method: {config.method}}}, train: {{ways:"
            f" {config.episodes.ways}}}}}]'"
        )
    if config.followed_episodes.tasks > 1 and not issubclass(registered.learner, ContinualMethod):
        raise UserError(
            f"{config.method} does not learn task sequences (episodes.tasks or test.tasks above 1);"
            f" use a continual method: {', '.join(registry.names_with(ContinualMethod))}"
        )
    torch.manual_seed(stream("initial weights", config.seed) & 0xFFFFFFFF)
    return registered.build(config.model, setting)
