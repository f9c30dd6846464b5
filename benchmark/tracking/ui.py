"""MLflow's web interface, on this machine."""

import os
import socket
import sys

from benchmark.errors import UserError
from benchmark.tracking.connection import (
    artifact_folder,
    brief,
    database_file,
    is_server,
    load_client,
    redacted,
    tracking_uri,
)
from benchmark.tracking.saved_views import CELLS, CHARTS, MEANS, view_address

_HOST = "127.0.0.1"


def ui_command(uri: str, port: int) -> tuple[list[str], dict[str, str]]:
    """The server's command line and environment: one worker and no job runner, half a gigabyte instead of three."""
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
    command += ["--host", _HOST, "--port", str(port)]
    if database := database_file(uri):
        command += ["--default-artifact-root", artifact_folder(database).as_uri()]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    # Not on the command line, which everybody on the machine can read: it may hold a password.
    return command, {**os.environ, **quiet, "MLFLOW_BACKEND_STORE_URI": uri}


def experiment_page(uri: str, address: str, name: str | None, view: str = CELLS) -> str:
    """Where a browser finds a view of an experiment's runs, or the list of experiments if there is no such one."""
    experiment = None if name is None else load_client()(uri).get_experiment_by_name(name)
    # The interface would otherwise open in the dress of its pages for language models.
    kind = "workflowType=machine_learning"
    if experiment is None:
        return f"{address}/#/experiments?{kind}"
    return f"{address}/#/experiments/{experiment.experiment_id}/runs?{kind}{view_address(view)}"


def serve_ui(uri: str | None, name: str | None, port: int) -> None:
    """Print the address of the experiment's page and serve it until interrupted.

    Raises:
        UserError: MLflow is not installed, there is nothing to show, or the port is taken.
    """
    uri = tracking_uri(uri)
    database = database_file(uri)
    if database is not None and not database.exists():
        raise UserError(f"there is no MLflow store {database}; htbench run or htbench sync makes one")
    remote = is_server(uri)
    address = uri.rstrip("/") if remote else f"http://{_HOST}:{port}"
    try:
        cells, means, charts = (experiment_page(uri, address, name, view) for view in (CELLS, MEANS, CHARTS))
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"MLflow at {redacted(uri)} cannot be read: {brief(error)}") from error
    page = cells
    if cells != means:
        page = f"means over seeds: {means}\ncells: {cells}\ncharts: {charts}&compareRunsMode=CHART"
    if remote:
        print(redacted(page))
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise UserError(f"port {port} is taken; choose another with --port") from error
    print(f"{page}\nCtrl-C stops the server", flush=True)
    command, environment = ui_command(uri, port)
    # In place of this process: Ctrl-C and a termination reach the server, and only the server uses memory.
    os.execve(command[0], command, environment)
