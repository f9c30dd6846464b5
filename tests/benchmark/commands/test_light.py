"""What only reads starts without torch, which takes longer to import than all of its work."""

import json
import subprocess
import sys
from pathlib import Path

import yaml

from benchmark.machine.process import child_environment
from methods import registry

ROOT = Path(__file__).parents[3]
RUN = ROOT / "results" / "protonet-60way", ROOT / "experiments" / "cpu" / "protonet-60way.yaml"
HEAVY = {"torch", "torchvision", "learn2learn", "mlflow", "optuna", "pandas"}
PROBE = """
import json, sys
sys.dont_write_bytecode = True
from benchmark.cli import main
for command in json.loads(sys.argv[1]):
    sys.argv = ["htbench", *command]
    try:
        main()
    except SystemExit as left:
        assert left.code in (None, 0, 1), (command, left.code)
    print(command[0], *{name.split(".")[0] for name in sys.modules}, file=sys.stderr)
"""


def loaded_by(folder: Path, *commands: list[str]) -> dict[str, set[str]]:
    """The packages that commands have imported, one after the other in a process of their own."""
    probe = [sys.executable, "-P", "-c", PROBE, json.dumps(commands)]
    ended = subprocess.run(probe, cwd=folder, env=child_environment(), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    lines = [line.split() for line in ended.stderr.splitlines()]
    return {command: set(packages) for command, *packages in lines[-len(commands) :]}


def test_every_method_is_read_without_torch(tmp_path: Path) -> None:
    grid = {
        "name": "every-method",
        "dataset": {"name": "glyphs"},
        "train": {"steps": 1},
        "grid": {"method": registry.built_in_names(), "channels": [8, 16]},
    }
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(grid))
    loaded = loaded_by(
        tmp_path,
        ["status", "grid.yaml"],
        ["plan", "--no-timing", "grid.yaml"],
        ["methods"],
        ["report", "grid.yaml"],
    )
    assert "benchmark" in loaded["status"]
    assert not {"matplotlib", *HEAVY} & loaded["methods"]  # and what was loaded before
    assert not HEAVY & loaded["report"]
    assert (tmp_path / "results" / "every-method" / "report.html").is_file()


def test_finished_cells_are_read_without_torch(tmp_path: Path) -> None:
    results, grid = map(str, RUN)
    loaded = loaded_by(tmp_path, ["adopt", results], ["status", grid], ["plan", "--no-timing", grid], ["report", grid])
    assert not {"matplotlib", *HEAVY} & loaded["plan"]
    assert not HEAVY & loaded["report"]
    assert "protonet" in (tmp_path / "results" / "protonet-60way" / "table.md").read_text()
