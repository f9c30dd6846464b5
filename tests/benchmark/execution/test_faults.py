"""Faults of the machine and of neighbours: nothing finished is lost, and a plain `run` goes on where it can."""

import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.cells.folder import CellFolder, ExperimentFolder
from benchmark.cells.metrics import MetricsLine
from benchmark.cells.result import Failure, Result
from benchmark.errors import MachineError
from benchmark.execution import local, plan
from benchmark.machine.faults import machine_fault
from tests.benchmark.helpers import htbench, invoke, main_here, untimed, write_grid

TRAIN = {"batch": 4, "steps": 30, "validate_every": 5, "validation_episodes": 10}


def cells(runs: Path) -> dict[str, CellFolder]:
    """The cells of the small grid by method name."""
    return {cell.config().method: cell for cell in ExperimentFolder(runs / "small").cells()}


def limited(grid: Path, cwd: Path, largest_file: int) -> subprocess.CompletedProcess[str]:
    """`htbench run` where no file can grow beyond so many bytes, as on a disk that is full."""
    code = (
        f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({largest_file},) * 2);"
        "from benchmark.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "run", str(grid), "--no-track"]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=240, check=False)


def test_what_another_run_finished_meanwhile_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second of two launches plans first, and gets past its preflight last."""
    grid = write_grid(tmp_path)
    monkeypatch.chdir(tmp_path)
    preflight = plan.preflight

    def slow(configs: Any) -> None:
        preflight(configs)
        assert htbench("run", grid, "--no-track", cwd=tmp_path).returncode == 0
        files.update({path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.*") if path.is_file()})

    files: dict[Path, int] = {}
    monkeypatch.setattr("benchmark.execution.launch.preflight", slow)
    done = invoke("run", grid, "--no-track")
    assert done.exit_code == 0 and "1 cells, 0 to run" in done.stdout and "1 of 1 cells done" in done.stdout
    assert len(files) > 5 and files == {path: path.stat().st_mtime_ns for path in files}


def test_only_what_was_planned_is_claimed(tmp_path: Path) -> None:
    write_grid(tmp_path)
    from benchmark.grid import read_grid

    [config] = read_grid(tmp_path / "grid.yaml").cells
    cell = ExperimentFolder(tmp_path / "runs" / "small").cell(config)
    assert cell.record() is None
    assert cell.claim(config, planned=None)
    assert cell.config() == config
    cell.write_result(Result(key=config.key, config={}, failure=Failure(kind="crashed", reason="why")))
    assert not cell.claim(config, planned=None)
    assert cell.state() == "failed"
    planned = cell.record()
    assert cell.claim(config, planned=planned)
    assert cell.state() == "missing"
    cell.write_result(Result(key=config.key, config={}, failure=Failure(kind="crashed", reason="another")))
    assert not cell.claim(config, planned=planned) and cell.set_aside(planned=planned) is None
    assert cell.state() == "failed"


def test_a_full_disk_is_not_the_cells_fault(tmp_path: Path) -> None:
    grid = write_grid(tmp_path, train=TRAIN, grid={"method": ["linear-mean"]})
    assert main_here("run", grid, "--no-track", "--runs", tmp_path / "whole", cwd=tmp_path).returncode == 0
    full = limited(grid, tmp_path, 20_000)
    assert full.returncode == 1, full.stderr
    assert "Traceback" not in full.stdout + full.stderr
    assert "not finished: cannot write" in full.stdout and "run again to continue it" in full.stdout
    cell, other = cells(tmp_path / "runs")["linear-mean"], cells(tmp_path / "whole")["linear-mean"]
    assert cell.result() is None
    again = main_here("run", grid, "--no-track", cwd=tmp_path)
    assert again.returncode == 0, again.stdout
    assert np.array_equal(cell.test_accuracy(), other.test_accuracy())
    assert [untimed(line) for line in cell.metrics()] == [untimed(line) for line in other.metrics()]
    assert not list(cell.folder.glob(".*"))


def test_metrics_are_exact_after_an_attempt_without_a_checkpoint(tmp_path: Path) -> None:
    """Lines of an attempt that was killed before its first checkpoint, and a temporary file it left."""
    grid = write_grid(tmp_path, train=TRAIN)
    assert main_here("run", grid, "--no-track", cwd=tmp_path).returncode == 0
    cell = cells(tmp_path / "runs")["linear-mean"]
    whole = [untimed(line) for line in cell.metrics()]
    assert len(whole) == 6
    text = cell.metrics_file.read_text()
    for name in ("result.json", "last.pt"):
        (cell.folder / name).unlink()
    cell.metrics_file.write_text(text.splitlines(keepends=True)[0] + '{"step": 10, "val/ac')
    (cell.folder / ".last.pt.123.tmp").write_bytes(b"half a check")
    assert main_here("run", grid, "--no-track", cwd=tmp_path).returncode == 0
    assert [untimed(line) for line in cell.metrics()] == whole
    assert cell.metrics_file.read_text().count("\n") == 6
    assert not list(cell.folder.glob(".*"))


def test_a_curve_with_a_hole_is_not_continued(tmp_path: Path) -> None:
    """The lines before the checkpoint were deleted; nobody can log them again."""
    grid = write_grid(tmp_path)
    assert main_here("run", grid, "--no-track", cwd=tmp_path).returncode == 0
    cell = cells(tmp_path / "runs")["linear-mean"]
    cell.forget_result()
    cell.metrics_file.unlink()
    assert main_here("run", grid, "--no-track", cwd=tmp_path).returncode == 1
    result = cell.result()
    assert result is not None and result.failure is not None and result.failure.kind == "bad input"
    assert "metrics.jsonl lacks 2 of the validations before step 10; delete" in result.failure.reason


def test_repeated_lines_are_mended_by_the_next_resume(tmp_path: Path) -> None:
    cell = CellFolder(tmp_path)
    lines = [MetricsLine(step, {"val/accuracy": value}) for step, value in ((5, 0.1), (10, 0.2), (5, 0.3), (15, 0.4))]
    cell.write_metrics(lines)
    cell.drop_metrics_after(10)
    assert [(line.step, line.accuracy) for line in cell.metrics()] == [(5, 0.3), (10, 0.2)]


@pytest.mark.parametrize("replaced", [False, True])
def test_a_cell_whose_folder_goes_away_is_a_row(tmp_path: Path, replaced: bool) -> None:
    grid = write_grid(tmp_path, train={**TRAIN, "steps": 60}, grid={"method": ["slow", "linear-mean"]}, name="small")
    from benchmark.grid import read_grid

    experiment = ExperimentFolder(tmp_path / "runs" / "small")
    stores = [experiment.cell(config) for config in read_grid(grid).cells]
    for store in stores:
        store.claim(store_config(grid, store), planned=None)
    notes: dict[str, str] = {}
    for event in local.execute(stores, workers=1, device="cpu"):
        if event.kind == "tick" and stores[0].folder.exists() and stores[0].metrics() and not notes:
            shutil.rmtree(stores[0].folder, ignore_errors=True)
            if replaced:
                stores[0].claim(store_config(grid, stores[1]), planned=None)
        if event.kind == "ended" and event.cell is not None:
            notes[event.cell.folder.name.split("-")[0]] = event.note
    assert "deleted" in notes["slow"] and "run again" in notes["slow"]
    assert notes["linear"] == "" and stores[1].state() == "done"
    assert not stores[0].metrics() and stores[0].result() is None


def store_config(grid: Path, store: CellFolder) -> Any:
    from benchmark.grid import read_grid

    experiment = ExperimentFolder(store.folder.parent)
    return next(config for config in read_grid(grid).cells if experiment.cell(config) == store)


def test_a_held_folder_knows_when_it_is_no_more(tmp_path: Path) -> None:
    cell = CellFolder(tmp_path / "cell")
    with pytest.raises(MachineError, match="cannot open"), cell.lock():
        pass
    cell.folder.mkdir()
    with cell.lock() as held:
        held.check()
        cell.folder.rename(tmp_path / "away")
        with pytest.raises(MachineError, match="was deleted or replaced"):
            held.check()
        cell.folder.mkdir()
        with cell.lock(), pytest.raises(MachineError, match="was deleted or replaced"):
            held.check()
        (tmp_path / "away" / "lock").replace(cell.folder / "lock")
        held.check()


def allocate() -> None:
    import torch

    torch.empty(2**60)


def too_large_a_file() -> None:
    raise OSError(27, "File too large", "last.pt")


@pytest.mark.parametrize(
    ("act", "fault"),
    [
        (allocate, True),
        (too_large_a_file, True),
        (lambda: bytearray(2**62), True),
        (lambda: Path("/nowhere/at/all").read_text(), False),
        (lambda: {"a": 1}["key"], False),
    ],
)
def test_what_is_the_machines_fault(act: Callable[[], object], fault: bool) -> None:
    try:
        act()
    except Exception as error:
        assert (machine_fault(error) is not None) == fault
    else:
        pytest.fail("nothing went wrong")


def test_sys_exit_in_a_method_is_its_failure(tmp_path: Path) -> None:
    grid = write_grid(tmp_path, grid={"method": ["leaves", "linear-mean"]}, plugins=["my_methods.py", "leaves.py"])
    (tmp_path / "leaves.py").write_text(
        "import sys\nfrom dataclasses import dataclass\nfrom methods import register, Method\nimport torch\n"
        "@register('leaves', 'calls sys.exit')\nclass Leaves(Method):\n"
        "    @dataclass(frozen=True)\n    class Config:\n        channels: int = 2\n"
        "    def __init__(self, config, setting):\n"
        "        super().__init__()\n        self.w = torch.nn.Parameter(torch.ones(1))\n"
        "    def loss(self, episode, progress):\n        sys.exit(75)\n"
        "    def forward(self, episode):\n        raise NotImplementedError\n"
        "    def solver_parameters(self, ways):\n        return 0\n"
    )
    assert main_here("run", grid, "--no-track", cwd=tmp_path).returncode == 1
    result = cells(tmp_path / "runs")["leaves"].result()
    assert result is not None and result.failure is not None and result.failure.reason == "leaves.py:14: SystemExit: 75"
    assert cells(tmp_path / "runs")["linear-mean"].state() == "done"


def test_the_limit_is_what_the_tests_think_it_is() -> None:
    """Python ignores the signal that would end the process, so a file that is too large is an OSError."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
