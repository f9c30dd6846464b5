"""Opening an MLflow store: quietly, one process at a time, with artifacts next to the database."""

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient

_LOCK_SECONDS = 60.0


class MlflowMissingError(UserError):
    """MLflow is not installed."""


def tracking_uri(uri: str | None) -> str:
    """The URI given, else MLflow's own environment variable, else a database in the current folder."""
    return uri or os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"


def database_file(uri: str) -> Path | None:
    """The file of a SQLite store; None for a server or another database."""
    prefix, found, path = uri.partition("sqlite:///")
    return Path(path).absolute() if found and not prefix else None


def artifact_folder(database: Path) -> Path:
    """Where artifacts go: next to the database, as MLflow's default follows the current folder of whoever is first."""
    return database.parent / "mlartifacts"


def load_client() -> "type[MlflowClient]":
    """MLflow's client, which will not narrate migrations, phone home, or try for minutes to reach a dead server.

    Raises:
        MlflowMissingError: it is not installed.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    try:
        from mlflow import MlflowClient
    except ModuleNotFoundError as error:
        raise MlflowMissingError("MLflow is not installed (pip install 'htbench[mlflow]')") from error

    # MLflow logs the traceback of a locked database before raising; the exception says it all.
    for logger, level in (
        ("mlflow", logging.ERROR),
        ("mlflow.store.db.utils", logging.CRITICAL),
        ("alembic", logging.WARNING),
    ):
        logging.getLogger(logger).setLevel(level)
    return MlflowClient


def open_experiment(uri: str, name: str) -> "tuple[MlflowClient, str]":
    """A client and the id of the experiment, created (or taken out of MLflow's trash) if need be.

    On a fresh SQLite file MLflow builds its tables at the first call, and of several processes that do so at once most
    fail ("table already exists"), so the first call is made under a lock.
    """
    client_class = load_client()
    with exclusive(uri):
        client = client_class(uri)
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            return client, _create_experiment(client, uri, name)
        if experiment.lifecycle_stage == "deleted":
            client.restore_experiment(experiment.experiment_id)
        return client, str(experiment.experiment_id)


def _create_experiment(client: "MlflowClient", uri: str, name: str) -> str:
    from mlflow.exceptions import MlflowException

    database = database_file(uri)
    location = None if database is None else (artifact_folder(database) / name).as_uri()
    try:
        # The kind tells the interface that this is not about language models.
        return str(client.create_experiment(name, location, {"mlflow.experimentKind": "custom_model_development"}))
    except MlflowException:
        # Through a server another process may have been quicker; names of experiments are unique.
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            raise
        return str(experiment.experiment_id)


@contextlib.contextmanager
def exclusive(uri: str) -> Iterator[None]:
    """Be the only htbench on this machine that writes to a SQLite store.

    For servers see `benchmark.tracking.one_run_per_key`.

    Raises:
        TimeoutError: another process has been writing for a minute.
    """
    database = database_file(uri)
    if database is None:
        yield
        return
    folder = artifact_folder(database)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".htbench.lock").open("a") as file:
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"another htbench has been writing to {database} for a minute") from None
                time.sleep(0.1)
        yield


def brief(error: Exception) -> str:
    """The first line: SQLAlchemy adds the statement and its parameters, MLflow sometimes a page of advice."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:300]}"
