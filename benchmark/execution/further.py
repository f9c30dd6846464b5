"""Scoring further tests of a cell: after its own test, later when a grid asks for more, or beside its training."""

import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cells.config import CellConfig, FurtherTest
from benchmark.cells.folder import CellFolder
from benchmark.cells.further_standing import origin_of_test, standing_of_test
from benchmark.cells.lock import Held
from benchmark.cells.result import Data, Failure, Provenance, TestRecord
from benchmark.errors import MachineError, UserError
from benchmark.machine.faults import blamed, machine_fault

if TYPE_CHECKING:
    import numpy as np

    from benchmark.data.dataset import ClassImages, Dataset
    from benchmark.data.official import OfficialRuns
    from benchmark.trained.weights import Weights
    from methods.method import Method


@dataclass(frozen=True)
class Scored:
    """A further test's record, and its accuracies (E,) if it has a score."""

    record: TestRecord
    accuracy: "np.ndarray | None"


def score_planned_tests(store: CellFolder, device: str, held: Held) -> list[TestRecord]:
    """Score the further tests of a finished cell that have no record yet; each that is scored has one from then on.

    Raises:
        MachineError: the machine is at fault; those that are missing can be scored later.
    """
    from benchmark.trained.weights import read_weights

    config = store.config()
    missing = [test for test in config.tests if standing_of_test(config, store, test).state == "missing"]
    if not missing:
        return []
    try:
        weights = read_weights(store, "best")
    except UserError as error:  # of a cell that was adopted, or whose checkpoint is damaged
        print(f"no further test can be scored: {error}")
        return []
    records = []
    for test in missing:
        found = score_test(config, test, weights, device)
        held.check()
        keep(store, found)
        records.append(found.record)
    return records


def keep(store: CellFolder, found: Scored) -> None:
    """Write a further test's record beside the others of the cell."""
    with store.tests.lock():
        store.tests.write(found.record, found.accuracy)


def score_test(config: CellConfig, test: FurtherTest, weights: "Weights", device: str) -> Scored:
    """Score one test; whatever goes wrong with it becomes its record.

    Raises:
        MachineError: what went wrong is not the test's fault.
    """
    from benchmark.scoring.sound import UnsoundError

    try:
        return score(config, test, weights, device)
    except MachineError:
        raise
    except UnsoundError as error:
        failure = Failure(kind="unsound", reason=str(error))
    except UserError as error:
        failure = Failure(kind="bad input", reason=str(error))
    except (Exception, SystemExit) as error:
        if fault := machine_fault(error):
            raise MachineError(fault) from error
        place, reason = blamed(error, map(Path, config.plugins))
        where = f"{Path(place).name}: " if place else ""  # a record names no folders of this machine
        failure = Failure(kind="crashed", reason=f"{where}{reason}", traceback=traceback.format_exc())
        traceback.print_exc()
    return Scored(_record(config, test, weights).model_copy(update={"failure": failure}), None)


def _record(config: CellConfig, test: FurtherTest, weights: "Weights") -> TestRecord:
    return TestRecord(
        key=test.key,
        cell=config.key,
        test=test,
        weights=weights.sha256,
        step=weights.step,
        origin=origin_of_test(config, test),
    )


def score(config: CellConfig, test: FurtherTest, weights: "Weights", device: str) -> Scored:
    """Score one test.

    Raises:
        UserError: see `load_checked`, `built` and `benchmark.scoring.further.run_further_test`.
    """
    import torch

    from benchmark.machine import provenance
    from benchmark.scoring.further import run_further_test
    from methods.compiled import library

    torch.set_num_threads(1)
    started = datetime.now(UTC)
    commit, changed = provenance.code_version()
    dataset = load_checked(config, test)
    images = images_of(dataset).to(torch.device(device))
    with library.chosen(library.choice()):
        calls = library.calls()
        method = built(config, weights).to(device)
        found, accuracy = run_further_test(method, test, images, dataset.sha256)
        kernel = library.taken(calls)
    record = _record(config, test, weights).model_copy(
        update={
            "score": found,
            "solver_parameters": method.solver_parameters(test.episodes.ways),
            "data": Data(name=dataset.name, sha256=dataset.sha256),
            "provenance": Provenance(
                commit=commit,
                uncommitted_changes=changed,
                versions={**provenance.versions(), "kernel": kernel},
                hardware=provenance.hardware(),
                device=device,
                started=started.isoformat(timespec="seconds"),
                finished=datetime.now(UTC).isoformat(timespec="seconds"),
            ),
        }
    )
    return Scored(record, accuracy)


def load_checked(config: CellConfig, test: FurtherTest) -> "Dataset | OfficialRuns":
    """The test's data, which the cell's method can be tested on and has not been trained on.

    Raises:
        UserError: they are missing or damaged, have other images than the method is built for, or classes that it was
            trained on.
    """
    from benchmark import data
    from benchmark.data.overlap import check_unseen
    from benchmark.scoring.further import check_images

    dataset = data.load_test(test.dataset)
    if test.content is not None and getattr(dataset, "fingerprint", None) != test.content:
        raise UserError("the pictures of test.dataset.path changed since the grid was read; run it again")
    images = images_of(dataset)
    if test.dataset != config.dataset:
        own = data.load(config.dataset)
        check_images(own.splits["train"].image_shape, images, test.name)
        check_unseen(own.splits["train"], images, test.name)
    return dataset


def images_of(dataset: "Dataset | OfficialRuns") -> "ClassImages | OfficialRuns":
    """What a test draws from: the test split, or the published runs."""
    from benchmark.data.official import OfficialRuns

    return dataset if isinstance(dataset, OfficialRuns) else dataset.splits["test"]


def built(config: CellConfig, weights: "Weights") -> "Method":
    """The cell's method with these weights, as large as it was trained.

    Raises:
        UnsoundError: the weights are not finite.
    """
    from benchmark.scoring.sound import check_weights
    from benchmark.training.build import construct
    from methods.method import Setting

    method = construct(config, Setting(**weights.setting))
    method.load_state_dict(weights.values)
    check_weights(method)
    return method.eval()
