"""Small real grids for the tests."""

import contextlib
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from benchmark.cells.metrics import MetricsLine
from benchmark.cli import app, main

SCRATCH_METHODS = Path(__file__).with_name("scratch_methods.py")
ROOT = Path(__file__).resolve().parents[2]


def write_grid(folder: Path, **changes: object) -> Path:
    """A grid of seconds on small glyphs; `changes` replace its sections."""
    shutil.copy(SCRATCH_METHODS, folder / "my_methods.py")
    grid = {
        "name": "small",
        "dataset": {
            "name": "glyphs",
            "train_classes": 20,
            "validation_classes": 10,
            "test_classes": 10,
            "images_per_class": 10,
        },
        "episodes": {"ways": 3, "shots": 1, "queries": 4},
        "train": {"batch": 4, "steps": 10, "validate_every": 5, "validation_episodes": 10},
        "test": {"episodes": 30},
        "plugins": ["my_methods.py"],
        "grid": {"method": ["linear-mean"], "seed": [0]},
        **changes,
    }
    path = folder / "grid.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in grid.items() if v is not None}))
    return path


def invoke(*arguments: object) -> Result:
    """Run the command line in this process, which is quicker; a UserError is raised as it is."""
    return CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)


def main_here(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command line from its entry point to its exit status in this process, which need not import torch again.

    Cells still run in processes of their own. A plugin that was edited since this process read it is not read again:
    there, and where the process itself matters, `htbench` is right.
    """
    out, err = io.StringIO(), io.StringIO()
    command = ["htbench", *map(str, arguments)]
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.chdir(cwd)
        patch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as left:
            main()
    return subprocess.CompletedProcess(command, int(left.value.code or 0), out.getvalue(), err.getvalue())


def htbench(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user would, in a folder of the test's own."""
    command = [sys.executable, "-P", "-m", "benchmark", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=240, check=False)


def untimed(line: MetricsLine) -> tuple[int, dict[str, float]]:
    """What a line of metrics says but for the time and memory it took, which differ from run to run."""
    return line.step, {
        name: value for name, value in line.values.items() if name.split("/")[0] not in ("time", "system")
    }
