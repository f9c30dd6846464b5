"""The figures of `htbench inspect` for cells whose method generates weights."""

import importlib.util
import logging
from pathlib import Path

from benchmark.cells.folder import CellFolder
from benchmark.errors import UserError

_EPISODE = 0

_log = logging.getLogger(__name__)


def inspection_figures(cell: CellFolder, draw: bool) -> Path | None:
    """The folder with the figures in a finished cell's folder; None if there are none and none are or can be drawn.

    Drawing takes seconds, and needs the dataset, matplotlib and a method that generates weights, on single tasks.
    """
    folder = cell.folder / "inspect"
    if folder.is_dir():
        return folder
    config = cell.config()
    if not draw or config.episodes.tasks > 1 or importlib.util.find_spec("matplotlib") is None:
        return None
    from benchmark.inspection import inspect_run
    from benchmark.trained.run import load_run
    from methods.capabilities import GeneratesWeights
    from methods.registry import get

    if not issubclass(get(config.method).learner, GeneratesWeights):
        return None
    try:
        return inspect_run(load_run(cell.folder), _EPISODE, folder).folder
    except UserError as error:
        _log.warning("no figures of %s in MLflow: %s", cell.folder.name, error)
        return None
