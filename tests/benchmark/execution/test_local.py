"""Cells in processes of their own: finished, failed, killed and continued."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmark.cells.folder import CellFolder, ExperimentFolder
from tests.benchmark.helpers import htbench, main_here, untimed, write_grid


def cells(runs: Path) -> dict[str, CellFolder]:
    """The cells of the small grid by method name."""
    return {cell.config().method: cell for cell in ExperimentFolder(runs / "small").cells()}


def test_what_goes_wrong_becomes_a_row_and_the_rest_goes_on(tmp_path: Path) -> None:
    grid = write_grid(
        tmp_path,
        grid={"method": ["crashes", "diverges", "dies", "sleeps", "linear-mean"]},
        overrides=[{"when": {"method": "sleeps"}, "timeout_minutes": 0.2}],
    )
    done = main_here("run", grid, "--workers", 2, "--no-track", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    records = {name: cell.result() for name, cell in cells(tmp_path / "runs").items()}
    failures = {name: record.failure for name, record in records.items() if record and record.failure}
    assert {name: failure.kind for name, failure in failures.items()} == {
        "crashes": "crashed",
        "diverges": "diverged",
        "dies": "crashed",
        "sleeps": "timed out",
    }
    assert re.fullmatch(r"my_methods\.py:\d+: RuntimeError: the third step is too much", failures["crashes"].reason)
    assert "RuntimeError" in failures["crashes"].traceback
    assert "not finite at step 5" in failures["diverges"].reason
    assert "status 9" in failures["dies"].reason
    survivor = records["linear-mean"]
    assert survivor is not None and survivor.test is not None and survivor.test.episodes == 30
    for reason in ("the third step is too much", "not finite", "status 9", "timeout_minutes"):
        assert reason in done.stdout

    # A finished cell is never run again, a failed one only on request.
    before = cells(tmp_path / "runs")["linear-mean"].folder.joinpath("result.json").stat().st_mtime_ns
    again = main_here("run", grid, "--no-track", "--retry-failed", "--only", "method=crashes,linear-mean", cwd=tmp_path)
    assert again.returncode == 1
    assert "2 cells, 1 to run" in again.stdout
    assert cells(tmp_path / "runs")["linear-mean"].folder.joinpath("result.json").stat().st_mtime_ns == before


def test_killed_anywhere_and_continued_gives_the_same_numbers(tmp_path: Path) -> None:
    """kill -9 of the whole launch in the middle of training, twice, with dropout drawing random numbers."""
    grid = write_grid(
        tmp_path,
        train={"batch": 4, "steps": 120, "validate_every": 20, "validation_episodes": 10},
        model={"dropout": 0.3},
        grid={"method": ["slow", "linear-mean"]},
    )
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert main_here("run", grid, "--no-track", "--runs", whole, cwd=tmp_path).returncode == 0
    launch = [
        sys.executable,
        "-c",
        "from benchmark.cli import main; main()",
        "run",
        str(grid),
        "--no-track",
        "--runs",
        str(broken),
    ]
    for seen in (1, 3):
        process = subprocess.Popen(launch, cwd=tmp_path, stdout=subprocess.DEVNULL, start_new_session=True)
        wait_for(lambda seen=seen: len(cells(broken)["slow"].metrics()) >= seen if "slow" in cells(broken) else False)
        process.send_signal(signal.SIGKILL)
        process.wait()
        wait_for(lambda: not any(cell.is_locked() for cell in cells(broken).values()))
    assert cells(broken)["slow"].state() == "interrupted"
    finished = subprocess.run(launch, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    for name, cell in cells(whole).items():
        other = cells(broken)[name]
        assert np.array_equal(cell.test_accuracy(), other.test_accuracy())
        timeless = [[untimed(line) for line in c.metrics()] for c in (cell, other)]
        assert timeless[0] == timeless[1]
        first, second = cell.result(), other.result()
        assert first is not None and second is not None
        assert first.test is not None and second.test is not None
        assert first.test.accuracy == second.test.accuracy and first.test.sha256 == second.test.sha256
        assert first.training is not None and second.training is not None
        assert first.training.best_step == second.training.best_step


def test_a_cell_killed_by_the_system_stays_to_be_continued(tmp_path: Path) -> None:
    grid = write_grid(
        tmp_path,
        train={"batch": 4, "steps": 100, "validate_every": 5, "validation_episodes": 10},
        grid={"method": ["slow"]},
    )
    code = "from benchmark.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "run", grid, "--no-track"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    wait_for(lambda: any(cell.metrics() for cell in cells(tmp_path / "runs").values()))
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True).stdout
    for child in children.split():
        os.kill(int(child), signal.SIGKILL)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "killed by SIGKILL" in output
    assert cells(tmp_path / "runs")["slow"].state() == "interrupted"


def test_two_launches_cannot_write_one_cell(tmp_path: Path) -> None:
    grid = write_grid(tmp_path)
    assert main_here("run", grid, "--no-track", cwd=tmp_path).returncode == 0
    cell = cells(tmp_path / "runs")["linear-mean"]
    cell.forget_result()
    with cell.lock():
        refused = main_here("run", grid, "--no-track", cwd=tmp_path)
        assert refused.returncode == 2
        assert "being written by another run" in refused.stderr
        status = main_here("status", grid, "--json", cwd=tmp_path)
        assert json.loads(status.stdout)["cells"][0]["state"] == "running"


def test_damaged_and_newer_checkpoints_are_refused_and_kept(tmp_path: Path) -> None:
    import torch

    grid = write_grid(tmp_path, grid={"method": ["linear-mean"], "seed": [0, 1]})
    assert main_here("run", grid, "--no-track", cwd=tmp_path).returncode == 0
    damaged, newer = ExperimentFolder(tmp_path / "runs" / "small").cells()
    for cell in (damaged, newer):
        cell.forget_result()
    damaged.last_checkpoint.write_bytes(damaged.last_checkpoint.read_bytes()[:1000])
    torch.save({**torch.load(newer.last_checkpoint), "format": 99}, newer.last_checkpoint)
    done = main_here("run", grid, "--no-track", cwd=tmp_path)
    assert done.returncode == 1
    first, second = damaged.result(), newer.result()
    assert first is not None and first.failure is not None and second is not None and second.failure is not None
    assert "not a readable checkpoint" in first.failure.reason and "delete" in first.failure.reason
    assert "newer htbench (format 99" in second.failure.reason
    assert damaged.last_checkpoint.stat().st_size == 1000


def wait_for(condition: object, seconds: float = 60) -> None:
    """Wait until something has happened."""
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            pytest.fail("waited in vain")
        time.sleep(0.05)


def test_a_users_own_modules_are_not_taken_for_htbench(tmp_path: Path) -> None:
    """Files of its packages' names in the folder it is started from are neither imported nor run."""
    for name in ("benchmark", "methods"):
        (tmp_path / f"{name}.py").write_text("import pathlib; pathlib.Path('imported').touch(); raise SystemExit(3)")
    done = htbench("run", write_grid(tmp_path), "--no-track", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (tmp_path / "imported").exists()
