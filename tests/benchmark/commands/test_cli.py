"""The command line as a user meets it; cells in processes of their own are in execution/test_local.py."""

import importlib.metadata
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.cells.folder import ExperimentFolder
from benchmark.cli import expand_only
from tests.benchmark.helpers import ROOT, SCRATCH_METHODS, main_here, write_grid


def test_only_takes_several_filters() -> None:
    arguments = ["run", "grid.yaml", "--only", "method=ht-all", "channels=8,16", "--workers", "2", "a=b"]
    expected = ["run", "grid.yaml", "--only", "method=ht-all", "--only", "channels=8,16", "--workers", "2", "a=b"]
    assert expand_only(arguments) == expected


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tran": {"steps": 1}}, r"grid.yaml:\d+: .*'tran'.*did you mean 'train'"),
        ({"train": {"batch": "many", "steps": 5}}, r"grid.yaml:\d+: .*batch"),
        ({"grid": {"seed": []}}, r"grid.yaml:\d+: .*seed"),
        ({"episodes": {"ways": 11}}, "11 ways are impossible: the validation split has 10 classes"),
        ({"episodes": {"shots": 4, "queries": 7}}, r"need 11 images of each class .* has 10"),
        ({"dataset": {"name": "folder", "path": "nowhere"}}, "nowhere"),
        ({"grid": {"method": ["ht"]}, "train": {"steps": 5, "ways": 7}}, "train.ways .7. must equal episodes.ways .3."),
        (
            {"grid": {"method": ["protonet"]}, "dataset": {"name": "folder", "path": "tiny", "image_size": 12}},
            "too small",
        ),
    ],
)
def test_bad_input_is_one_message_and_status_2(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    draw_folder(tmp_path / "tiny")
    refused = main_here("run", write_grid(tmp_path, **changes), "--no-track", cwd=tmp_path)
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert "Traceback" not in refused.stderr
    assert refused.stderr.startswith("error: ")
    assert re.search(said, refused.stderr), refused.stderr
    assert not (tmp_path / "runs").exists()


def test_plan_run_status_report_and_methods(tmp_path: Path) -> None:
    grid = write_grid(tmp_path, grid={"method": ["linear-mean"], "channels": [4, 8], "seed": [0, 1]})
    plan = json.loads(main_here("plan", grid, "--json", cwd=tmp_path).stdout)
    assert [cell["state"] for cell in plan["cells"]] == ["missing"] * 4
    assert all(cell["remaining_seconds"] > 0 for cell in plan["cells"])
    # Nothing was trained here yet, so how much trainings differ is not known, and nothing is promised.
    assert plan["detectable"]["difference"] is None and plan["detectable"]["seeds"] == 2
    part = main_here("run", grid, "--no-track", "--only", "channels=4", "seed=1", cwd=tmp_path)
    assert part.returncode == 0 and "1 of 1 cells done" in part.stdout
    status = main_here("status", grid, cwd=tmp_path)
    assert status.returncode == 1 and "1 of 4 cells done" in status.stdout
    unfinished = main_here("report", grid, cwd=tmp_path)
    assert unfinished.returncode == 0, unfinished.stderr
    assert "1/2" in unfinished.stdout  # a row from one of two seeds says so
    assert main_here("run", grid, "--no-track", cwd=tmp_path).returncode == 0
    assert main_here("status", grid, cwd=tmp_path).returncode == 0
    assert main_here("report", grid, cwd=tmp_path).returncode == 0
    results = tmp_path / "results" / "small"
    for name in ("table.md", "table.csv", "accuracy-vs-channels.png", "accuracy-vs-channels.svg", "report.html"):
        assert (results / name).stat().st_size > 100
    listing = json.loads(main_here("methods", "--json", "--plugin", tmp_path / "my_methods.py", cwd=tmp_path).stdout)
    options = {method["name"]: method["options"] for method in listing}
    assert options["linear-mean"] == {"channels": 8, "dropout": 0.0}
    assert "generated_layers" in options["ht"] and "generated_layers" not in options["ht-all"]


def test_a_grid_goes_on_where_only_its_report_is(tmp_path: Path) -> None:
    grid = write_grid(tmp_path, grid={"method": ["linear-mean"], "seed": [0, 1]})
    assert main_here("run", grid, "--no-track", "--only", "seed=1", cwd=tmp_path).returncode == 0
    assert main_here("report", grid, cwd=tmp_path).returncode == 0
    elsewhere = ("--runs", "elsewhere")
    assert "adopted 1 of 2 cells" in main_here("adopt", "results/small", *elsewhere, cwd=tmp_path).stdout
    assert "adopted 0 of 2 cells" in main_here("adopt", "results/small", *elsewhere, cwd=tmp_path).stdout
    assert "1 of 2 cells done" in main_here("status", grid, *elsewhere, cwd=tmp_path).stdout
    assert main_here("report", grid, *elsewhere, "--out", "again", cwd=tmp_path).returncode == 0
    for name in ("cells.json", "accuracies.npz", "table.csv", "learning-curves.svg"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "results" / "small" / name).read_bytes()
    assert "1 to run" in main_here("run", grid, "--no-track", *elsewhere, cwd=tmp_path).stdout
    assert main_here("adopt", "elsewhere", cwd=tmp_path).returncode == 2


def test_a_plugin_that_cannot_be_imported_and_an_option_without_a_default(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("import nowhere_to_be_found")
    refused = main_here("methods", "--plugin", broken, cwd=tmp_path)
    assert refused.returncode == 2
    assert "cannot be imported: ModuleNotFoundError" in refused.stderr
    source = SCRATCH_METHODS.read_text().replace("channels: int = 8", "channels: int")
    (tmp_path / "needy.py").write_text(source.replace('@register("linear-mean"', '@register("needy"'))
    listing = json.loads(main_here("methods", "--json", "--plugin", tmp_path / "needy.py", cwd=tmp_path).stdout)
    assert {method["name"]: method["options"] for method in listing}["needy"]["channels"] == "required"


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    refused = main_here("run", write_grid(tmp_path), "--no-track", "--runs", tmp_path / "file", cwd=tmp_path)
    assert refused.returncode == 2
    assert "cannot create" in refused.stderr and "choose another place" in refused.stderr


def test_a_full_disk_is_a_reason_and_loses_nothing(tmp_path: Path) -> None:
    """No file may grow past 20 kB, as on a disk with no more room: the checkpoint does not fit, the record does."""
    grid = write_grid(tmp_path)
    assert main_here("plan", grid, "--no-timing", cwd=tmp_path).returncode == 0
    code = "from benchmark.cli import main; main()"
    limited = subprocess.run(
        [sys.executable, "-c", code, "run", str(grid), "--no-track"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )
    assert limited.returncode == 1, limited.stderr
    assert "cannot write" in limited.stdout and "free some space" in limited.stdout
    [cell] = ExperimentFolder(tmp_path / "runs" / "small").cells()
    assert not [path for path in cell.folder.iterdir() if path.suffix == ".tmp"]
    finished = main_here("run", grid, "--no-track", "--retry-failed", cwd=tmp_path)
    assert finished.returncode == 0, finished.stdout


def draw_folder(folder: Path) -> None:
    """Twenty classes of ten grey images."""
    from PIL import Image

    for label in range(20):
        (folder / f"class {label}").mkdir(parents=True)
        for number in range(10):
            Image.new("L", (20, 20), 10 * label + number).save(folder / f"class {label}" / f"{number}.png")


@pytest.mark.parametrize("module", ["benchmark", "benchmark.cli"])
def test_it_runs_as_a_module_too(module: str, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", module, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    version = run("--version")
    assert version.returncode == 0
    assert version.stdout == f"htbench {importlib.metadata.version('htbench')}\n"
    refused = run("nonsense")
    assert refused.returncode == 2
    assert "nonsense" in refused.stderr


def test_the_packages_say_that_they_are_typed() -> None:
    for package in ("benchmark", "methods"):
        assert (ROOT / package / "py.typed").is_file()
