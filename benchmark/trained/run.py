"""A trained method, taken out of its run directory."""

from dataclasses import dataclass
from pathlib import Path

from benchmark.cells import checkpoint
from benchmark.cells.config import CellConfig
from benchmark.cells.folder import CellFolder
from benchmark.errors import UserError
from benchmark.scoring.sound import check_weights
from benchmark.training.build import construct
from methods.method import Method, Setting


@dataclass(frozen=True)
class TrainedRun:
    """A cell's method with the weights chosen on validation, in `eval` mode, on the CPU.

    `transductive` is as measured when the cell was tested, None before.
    """

    folder: Path
    config: CellConfig
    setting: Setting
    method: Method
    transductive: bool | None


def load_run(folder: Path) -> TrainedRun:
    """The method of a cell that has been validated at least once. Needs no dataset.

    Raises:
        UserError: not a cell's folder, nothing trained in it yet, or a file in it is damaged.
    """
    store = CellFolder(folder)
    config = config_of(store)
    if not store.best_checkpoint.exists():
        raise UserError(f"{folder} has no {store.best_checkpoint.name}: nothing has been trained there yet")
    store.check_checkpoint(store.best_checkpoint)
    state = checkpoint.load(store.best_checkpoint)
    try:
        setting = Setting(**state["setting"])
        method = construct(config, setting)
        method.load_state_dict(state["method"])
    except FileNotFoundError as error:
        raise UserError(f"{folder} was trained with the plugin {error}, which is no longer there") from error
    except (LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{folder} was trained by another version of {config.method!r} ({reason})") from error
    check_weights(method)
    result = store.result()
    transductive = result.model.transductive if result is not None and result.model is not None else None
    return TrainedRun(folder, config, setting, method.eval(), transductive)


def config_of(store: CellFolder) -> CellConfig:
    """The configuration of a run.

    Raises:
        UserError: the folder is none; it names one that is.
    """
    try:
        return store.config()
    except (FileNotFoundError, NotADirectoryError) as error:
        inside = sorted(path.parent for path in store.folder.glob("**/cell.json"))
        example = f"{inside[0]}" if inside else "runs/<experiment>/<cell>"
        raise UserError(f"{store.folder} is not a cell's run directory; give one such as {example}") from error
