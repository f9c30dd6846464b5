"""One cell, in this process: train, choose on validation, score on the frozen test episodes, leave a record.

`python -m benchmark.execution.cell FOLDER --device cpu` is what the scheduler starts.
"""

import argparse
import copy
import os
import signal
import sys
import time
import traceback
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.cells.config import CellConfig
from benchmark.cells.folder import CellFolder
from benchmark.cells.identity import origin_today
from benchmark.cells.lock import Held
from benchmark.cells.metrics import MEMORY, PROCESSOR, MetricsLine, lines
from benchmark.cells.now import Now, Teller
from benchmark.cells.result import Data, Failure, Model, Provenance, Result, Training
from benchmark.errors import MachineError, UserError
from benchmark.execution.engine import MACHINE_STATUS, REFUSED_STATUS
from benchmark.execution.further import score_planned_tests
from benchmark.machine.faults import blamed, machine_fault
from benchmark.machine.process import die_with_parent, prepare_process
from benchmark.training.build import build, setting_of

if TYPE_CHECKING:
    import torch

    from benchmark.data.dataset import ClassImages
    from benchmark.training.trainer import Progress
    from methods.method import Method, Setting


def main() -> int:
    """Entry point of a cell's process.

    Exit status 0 if the cell has its numbers, 1 if it failed, 2 if refused, 75 if the machine was at fault.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmark.execution.cell")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--die-with-parent", action="store_true")
    arguments = parser.parse_args()
    if arguments.die_with_parent:
        die_with_parent(signal.SIGKILL)
    prepare_process()
    store = CellFolder(arguments.folder)
    try:
        result = run(store, arguments.device)
    except MachineError as error:
        print(error, file=sys.stderr)
        return MACHINE_STATUS
    except UserError as error:
        print(error, file=sys.stderr)
        return REFUSED_STATUS
    return 0 if result.state == "done" else 1


def run(store: CellFolder, device: str) -> Result:
    """Run a cell to its end from wherever it stands, its further tests included; what goes wrong becomes its record.

    Raises:
        MachineError: what went wrong is not the cell's fault; it has no record and can be continued.
        UserError: another process is writing this cell.
    """
    with store.lock() as held:
        result = store.result() or _run(store, device, held)
        if result.state == "done":
            score_planned_tests(store, device, held)
        return result


def _run(store: CellFolder, device: str, held: Held) -> Result:
    import torch

    from benchmark.scoring.sound import UnsoundError
    from benchmark.training.trainer import DivergedError
    from methods.compiled import library

    torch.set_num_threads(1)
    config = store.config()
    try:
        with library.chosen(library.choice()):  # `_train` may choose what training began with
            return _train_and_score(store, config, torch.device(device), held)
    except DivergedError as error:
        failure = Failure(kind="diverged", reason=str(error))
    except MachineError:
        raise
    except UnsoundError as error:
        failure = Failure(kind="unsound", reason=str(error))
    except UserError as error:
        failure = Failure(kind="bad input", reason=str(error))
    except (Exception, SystemExit) as error:  # a method may call sys.exit
        held.check()
        if fault := machine_fault(error):
            traceback.print_exc()
            raise MachineError(fault) from error
        place, reason = blamed(error, map(Path, config.plugins))
        where = f"{Path(place).name}: " if place else ""  # a record names no folders of this machine
        failure = Failure(kind="crashed", reason=f"{where}{reason}", traceback=traceback.format_exc())
        traceback.print_exc()
    held.check()
    result = Result(key=config.key, config=config.model_dump(mode="json"), failure=failure, origin=store.origin())
    store.write_result(result)
    return result


def _train_and_score(store: CellFolder, config: CellConfig, device: Any, held: Held) -> Result:
    from benchmark import data
    from benchmark.episodes.draw import stream
    from benchmark.episodes.sampling import sample
    from benchmark.execution import watched
    from benchmark.machine import provenance
    from benchmark.scoring import scoring
    from benchmark.scoring.frozen import run_frozen_test
    from benchmark.training import kernel
    from benchmark.training.warm_start import restore_shared

    started = datetime.now(UTC)
    teller = Teller(store.folder)
    if not store.last_checkpoint.exists():
        store.write_origin(origin_today(config))
    commit, changed = provenance.code_version()  # before training: the checkout may move on meanwhile
    dataset = data.load(config.dataset)
    if config.content not in (None, dataset.fingerprint):
        raise UserError("the pictures of dataset.path changed since the grid was read; run it again")
    method = build(config, dataset)
    restored = restore_shared(method, config, store)
    method.to(device)
    train, validation = (dataset.splits[name].to(device) for name in ("train", "validation"))
    keeper = FolderKeeper(store, setting_of(config, dataset), held, device)
    progress = _train(store, config, method, train, validation, keeper, teller)

    _load(method, store.best_checkpoint)
    tested = None
    if not config.tuning:
        # Only now do test images exist in this process's hands: nothing before could have looked at them.
        members = {step: _load(copy.deepcopy(method), store.member_checkpoint(step)) for _, step in progress.members}
        chosen = progress.best_accuracy if progress.step else None
        trained = Now(step=progress.step, steps=progress.steps, accuracy=chosen)
        with watched.told_test([method, *members.values()], trained, config.test.episodes, teller):
            tested = run_frozen_test(config, method, members, dataset.splits["test"].to(device), dataset.sha256)
    single = config.test_episodes.model_copy(update={"tasks": 1})
    some = sample(validation, single, stream("validation", 0), 0, 4)
    result = Result(
        key=config.key,
        config=config.model_dump(mode="json"),
        test=tested and tested.test,
        ensemble=tested and tested.ensemble,
        continual=tested and tested.continual,
        training=Training(
            steps=progress.step,
            episodes=progress.step * progress.batch,
            seconds=progress.seconds,
            wall_seconds=progress.wall_seconds,
            episodes_per_second=progress.step * progress.batch / max(progress.seconds, 1e-9),
            best_step=progress.best_step,
            best_validation_accuracy=progress.best_accuracy,
            shared_from=restored,
        ),
        model=Model(
            parameters=sum(p.numel() for p in method.learned_parameters()),
            solver_parameters=method.solver_parameters(single.ways),
            transductive=scoring.measure_transductive(method, some),
            order_dependent=scoring.measure_order_dependence(method, some),
        ),
        data=Data(name=dataset.name, sha256=dataset.sha256, shared_pictures=dataset.shared_pictures),
        provenance=Provenance(
            commit=commit,
            uncommitted_changes=changed,
            versions={**provenance.versions(), "kernel": kernel.name(progress.kernels)},
            hardware=provenance.hardware(),
            device=str(device),
            started=started.isoformat(timespec="seconds"),
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
        ),
        origin=store.origin(),
    )
    held.check()
    if tested is None:
        store.write_result(result)
    else:
        store.write_result(result, tested.accuracy, tested.matrices, tested.ensemble_accuracy, tested.domains)
    return result


def _load(method: "Method", path: Path) -> "Method":
    """Give the method the weights of a checkpoint."""
    from benchmark.cells import checkpoint
    from benchmark.scoring.sound import check_weights

    method.load_state_dict(checkpoint.load(path)["method"])
    check_weights(method)
    return method


def _train(
    store: CellFolder,
    config: CellConfig,
    method: "Method",
    train: "ClassImages",
    validation: "ClassImages",
    keeper: "FolderKeeper",
    teller: Teller,
) -> "Progress":
    """Train from wherever the cell stands; a method without anything to train is left as it is."""
    from benchmark.cells import checkpoint
    from benchmark.execution.watched import WatchedTrainer
    from benchmark.scoring.sound import check_weights
    from benchmark.training import kernel
    from benchmark.training.trainer import Progress
    from methods.compiled import library

    if not method.learned_parameters():
        check_weights(method)
        keeper.keep_best(0, method.state_dict())
        return Progress(steps=0, batch=0)
    trainer = WatchedTrainer(config, method, train, validation, teller)
    if store.last_checkpoint.exists():
        trainer.restore(checkpoint.load(store.last_checkpoint, train.device))
        if trainer.progress.step > 0:
            library.choose(kernel.continue_with(trainer.progress.kernels))
        store.drop_metrics_after(trainer.progress.step)
        _check_complete(store, config, trainer.progress.step)
        trainer.remember(next(reversed(store.metrics()), None))
    else:
        store.write_metrics([])  # of an attempt that ended before its first checkpoint
        if not trainer.decided:
            trainer.decide()
            keeper.keep_last(trainer.state())
    trainer.run(keeper)
    return trainer.progress


def _check_complete(store: CellFolder, config: CellConfig, step: int) -> None:
    """Make sure that every validation up to a step has its line: the curve of a resumed cell has no hole.

    Raises:
        UserError: naming the file.
    """
    every = config.train.validate_every
    missing = set(range(every, step + 1, every)) - {line.step for line in store.metrics()}
    if missing:
        raise UserError(
            f"{store.metrics_file} lacks {len(missing)} of the validations before step {step};"
            f" delete {store.folder} to run the cell from the start"
        )


class FolderKeeper:
    """Keeps training's traces in the cell's folder, as long as it is the one held."""

    def __init__(self, store: CellFolder, setting: "Setting", held: Held, device: "torch.device") -> None:
        from benchmark.machine.usage import Usage

        self.store, self.setting, self.held = store, setting, held
        self._usage = Usage(device)

    def log(self, line: MetricsLine) -> None:
        """Append a line to the metrics, with what the process takes of the machine."""
        self.held.check()
        percent, megabytes = self._usage.percent_and_megabytes()
        line = replace(line, values={**line.values, PROCESSOR: percent, MEMORY: megabytes})
        with self.store.metrics_file.open("a") as file:
            file.write(lines([line.at(time.time())]))
            file.flush()
            os.fsync(file.fileno())  # before the checkpoint that comes after it

    def keep_best(self, step: int, weights: dict[str, Any]) -> None:
        """Write the weights chosen on validation, and what it takes to build the method without the dataset."""
        from benchmark.cells import checkpoint

        self.held.check()
        checkpoint.save(self.store.best_checkpoint, {"method": weights, "setting": asdict(self.setting), "step": step})

    def keep_member(self, step: int, weights: dict[str, Any]) -> None:
        """Write weights for the ensemble."""
        from benchmark.cells import checkpoint

        self.held.check()
        checkpoint.save(self.store.member_checkpoint(step), {"method": weights})

    def keep_last(self, state: dict[str, Any]) -> None:
        """Write the state to continue from, then drop members that it no longer names."""
        from benchmark.cells import checkpoint

        self.held.check()
        checkpoint.save(self.store.last_checkpoint, state)
        self.store.drop_members_but(step for _, step in state["progress"]["members"])


if __name__ == "__main__":
    sys.exit(main())
