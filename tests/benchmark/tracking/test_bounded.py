"""A mirror that hangs, is old, is refused or is a copy: the run goes on, and one line says so."""

import json
import shutil
import threading
import time
from pathlib import Path

import pytest

from benchmark.cells.folder import ExperimentFolder
from benchmark.errors import UserError
from benchmark.execution.engine import Event
from benchmark.grid import Grid
from benchmark.tracking import FollowingMirror, mirror, report_from_mlflow, sync
from benchmark.tracking.background import Background, with_pulse
from benchmark.tracking.connection import brief, redacted
from benchmark.tracking.ui import ui_command
from tests.benchmark.helpers import invoke
from tests.benchmark.tracking.mirrored import cells_of, content, runs, score, train
from tests.benchmark.tracking.servers import HANGS, front, mlflow_server

pytest.importorskip("mlflow", reason="pip install 'htbench[mlflow]'")

# MLflow itself uses what SQLAlchemy is about to remove.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://alice:s3cr3t@127.0.0.1:9/", "http://***@127.0.0.1:9/"),
        ("https://token@host/x", "https://***@host/x"),
        ("at postgresql+psycopg2://u:p/w@db:5432/x?a=1 it", "at postgresql+psycopg2://***@db:5432/x?a=1 it"),
        ("mssql://h/d?password=abc&b=2", "mssql://h/d?password=***&b=2"),
        ("http://u:a@b@host/", "http://***@host/"),
        ("sqlite:////home-of/me@work/mlflow.db", "sqlite:////home-of/me@work/mlflow.db"),
        ("http://127.0.0.1:5000/", "http://127.0.0.1:5000/"),
    ],
)
def test_secrets_are_not_shown(text: str, shown: str) -> None:
    assert redacted(text) == shown
    assert brief(ValueError(text)) == f"ValueError: {shown}"


def test_a_password_is_printed_nowhere(
    grid: Grid, experiment: ExperimentFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    uri = "http://alice:s3cr3t@127.0.0.1:9/"
    with pytest.raises(UserError, match="cannot be written") as error:
        sync(experiment, grid, uri)
    assert "s3cr3t" not in str(error.value) and "127.0.0.1" in str(error.value)
    with mirror.open_mirror(uri, grid, experiment):
        pass
    assert "htbench sync" in caplog.text and "s3cr3t" not in caplog.text
    assert not any("s3cr3t" in word for word in ui_command("postgresql://alice:s3cr3t@db/x", 5000)[0])


def test_who_waits_gives_up_on_silence_only() -> None:
    """Three signs of life, each sooner than the patience, all of them later; then none any more."""
    thread, gate = Background(), threading.Event()

    def lively() -> None:
        for _ in range(3):
            time.sleep(0.4)
            thread.alive()

    thread.submit(lively)
    before = time.monotonic()
    assert thread.wait(1.0)
    assert time.monotonic() - before > 1.1
    thread.submit(gate.wait)
    assert thread.busy and not thread.wait(0.3)
    gate.set()
    assert thread.wait(5.0) and not thread.busy


def test_a_pulse_is_felt_after_every_call() -> None:
    calls: list[int] = []
    text = with_pulse("text", lambda: calls.append(1))
    assert text.upper() == "TEXT" and text.count("t") == 2
    assert len(calls) == 2


def test_a_hanging_server_delays_nothing(
    grid: Grid, experiment: ExperimentFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "_SERVER_PATIENCE", 0.5)
    warnings: list[str] = []
    asked = threading.Event()

    def hangs(path: str) -> int:
        asked.set()
        return HANGS

    with front("", hangs) as address:
        followed = FollowingMirror(address, grid, experiment, warn=warnings.append)
        followed.follow(Event("tick"))
        assert asked.wait(120)
        for _ in range(100):
            followed.follow(Event("tick"))
        assert not followed.finish()
    [warning] = warnings
    assert "does not answer" in warning and "htbench sync" in warning


def test_servers_of_before_version_3(uri: str, grid: Grid, experiment: ExperimentFolder, tmp_path: Path) -> None:
    """They have no models, and say 404 to whoever asks for some; everything else is mirrored and can be read back."""
    cells = cells_of(grid, experiment)
    for cell in cells[:2]:
        train(cell, range(1, 6))
        score(cell, steps=5)
        cell.best_checkpoint.write_bytes(b"weights")

    def old(path: str) -> int | None:
        return 404 if "logged-models" in path else None

    with mlflow_server(uri, tmp_path) as behind, front(behind, old) as address:
        [note] = sync(experiment, grid, address)
        assert "older than version 3 and keeps no models" in note.text and not note.cell
        through_server = content(address)
        warnings: list[str] = []
        followed = FollowingMirror(address, grid, experiment, warn=warnings.append)
        assert followed.finish()
        followed.enrich()
        assert warnings == [note.text]
        assert content(address) == through_server
        assert {run.info.status for run in runs(address, "launch")} == {"KILLED"}  # two cells are not done
        summary = report_from_mlflow(address, "small", tmp_path / "report")
        assert sum(cell.state == "done" for cell in summary.record.cells) == 2


def test_one_cell_that_cannot_be_mirrored_does_not_end_it(
    uri: str, grid: Grid, experiment: ExperimentFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cells = cells_of(grid, experiment)
    for cell in cells[1:]:
        train(cell, range(1, 6))
        score(cell, steps=5)
    (cells[2].folder / "test_accuracy.npy").write_bytes(b"damaged")
    notes = sync(experiment, grid, uri)
    assert [note.cell for note in notes] == [cells[2].folder.name]
    shown = {run.data.tags["cell.key"]: run.info.status for run in runs(uri)}
    keys = [config.key for config in grid.cells]
    assert shown == {keys[0]: "SCHEDULED", keys[1]: "FINISHED", keys[3]: "FINISHED"}
    monkeypatch.chdir(tmp_path)
    done = invoke("sync", grid.source, "--mlflow", uri)
    assert done.exit_code == 1 and done.stdout.count(f"{cells[2].folder.name} is not in MLflow") == 1


def test_a_copied_store_is_refused(uri: str, grid: Grid, experiment: ExperimentFolder, tmp_path: Path) -> None:
    """Its experiments keep their files where the original is."""
    sync(experiment, grid, uri)
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(tmp_path / "mlflow.db", copy)
    shutil.copytree(tmp_path / "mlartifacts", copy / "mlartifacts")
    moved = f"sqlite:///{copy / 'mlflow.db'}"
    with pytest.raises(UserError, match=r"was copied or moved.*mlartifacts"):
        sync(experiment, grid, moved)
    with pytest.raises(UserError, match="was copied or moved"):
        report_from_mlflow(moved, "small", tmp_path / "report")
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    assert sync(experiment, grid, f"sqlite:///{tmp_path / 'link' / 'mlflow.db'}") == []


def test_a_crafted_store_writes_nothing_outside(
    uri: str, grid: Grid, experiment: ExperimentFolder, tmp_path: Path
) -> None:
    """Whoever can write to a store can name cells as they like, and add files to them."""
    from mlflow import MlflowClient

    sync(experiment, grid, uri)
    client = MlflowClient(uri)
    [launch] = runs(uri, "launch")
    path = Path(client.download_artifacts(launch.info.run_id, "grid.json", str(tmp_path)))
    resolved = json.loads(path.read_text())
    resolved["cells"][0]["config"]["method"] = "../../../outside/x"
    client.log_text(launch.info.run_id, json.dumps(resolved), "grid.json")
    before = {path for path in tmp_path.rglob("*") if "mlartifacts" not in path.parts}
    with pytest.raises(UserError, match="a name should be letters, digits"):
        report_from_mlflow(uri, "small", tmp_path / "report")
    assert {path for path in tmp_path.rglob("*") if "mlartifacts" not in path.parts} == before
