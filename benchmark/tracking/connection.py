"""Opening an MLflow store: quietly, one process at a time, with artifacts next to the database."""

import contextlib
import fcntl
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse

from benchmark.errors import UserError
from benchmark.tracking.background import with_pulse

if TYPE_CHECKING:
    from mlflow import MlflowClient

_LOCK_SECONDS = 60.0


class MlflowMissingError(UserError):
    """MLflow is not installed."""


def tracking_uri(uri: str | None) -> str:
    """The URI given, else MLflow's own environment variable, else a database in the current folder."""
    return uri or os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"


_USER = re.compile(r"(?<=://)(?:[^\s/]*|[^\s:/@]*:[^\s@]*)@")
_SECRET = re.compile(r"(?i)([?&][\w-]*(?:password|passwd|token|secret|key)=)[^&\s'\")]*")


def redacted(text: str) -> str:
    """The text without the names and passwords in its URIs."""
    return _SECRET.sub(r"\1***", _USER.sub("***@", text))


def is_server(uri: str) -> bool:
    """Whether the store is behind a tracking server, which may hang."""
    return uri.startswith(("http://", "https://"))


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
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # with the password in it
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


def open_experiment(uri: str, name: str, alive: Callable[[], None] | None = None) -> "tuple[MlflowClient, str]":
    """A client and the id of the experiment, created (or taken out of MLflow's trash) if need be.

    On a fresh SQLite file MLflow builds its tables at the first call, and of several processes that do so at once most
    fail ("table already exists"), so the first call is made under a lock.

    `alive` is called whenever the store has answered.

    Raises:
        UserError: the store is a copy, and the experiment's files would go to where the original is.
    """
    client_class = load_client()
    with exclusive(uri):
        client = client_class(uri)
        if alive is not None:
            client = with_pulse(client, alive)
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            return client, _create_experiment(client, uri, name)
        if experiment.lifecycle_stage == "deleted":
            client.restore_experiment(experiment.experiment_id)
        check_artifact_location(uri, name, experiment.artifact_location)
        return client, str(experiment.experiment_id)


def check_artifact_location(uri: str, name: str, location: str) -> None:
    """Make sure that the files of an experiment are kept beside its database.

    Raises:
        UserError: they were when htbench made it, but the database has been copied or moved since.
    """
    database, parsed = database_file(uri), urlparse(location)
    if database is None or parsed.scheme not in ("", "file"):
        return
    folder, made = Path(unquote(parsed.path)), artifact_folder(database)
    beside = folder.name == name and folder.parent.name == made.name  # as `_create_experiment` has it
    if beside and folder.parent.resolve() != made.resolve():
        raise UserError(
            f"{database} was copied or moved: the files of experiment {name!r} are kept in {folder}, not in {made}/;"
            " put the database back, or name another with --mlflow and fill it with htbench sync"
        )


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
    lines = redacted(str(error)).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:300]}"
