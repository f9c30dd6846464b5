"""Real servers on this machine: MLflow's, PostgreSQL's."""

import contextlib
import http.server
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmark.tracking.ui import ui_command
from tests.benchmark.helpers import ROOT


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(address: str, server: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 180
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            assert server.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)


@contextlib.contextmanager
def mlflow_server(store: str, folder: Path) -> Iterator[str]:
    """`mlflow server` on a store, as `htbench ui` starts it; gives its address."""
    port = free_port()
    command, environment = ui_command(store, port)
    server = subprocess.Popen(
        command,
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/health", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(60)


@contextlib.contextmanager
def ui_server(uri: str, folder: Path) -> "Iterator[tuple[str, subprocess.Popen[str]]]":
    """What `htbench ui` runs for the experiment "small", in a process; gives its address and, to read from, itself."""
    port = free_port()
    code = "import sys; from benchmark.tracking import serve_ui; serve_ui(sys.argv[1], 'small', int(sys.argv[2]))"
    server = subprocess.Popen(
        [sys.executable, "-c", code, uri, str(port)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/health", server)
        yield f"http://127.0.0.1:{port}", server
    finally:
        server.terminate()
        server.communicate(timeout=60)


def postgres_tools() -> Path:
    """Where the newest installed PostgreSQL has its programs; skips where there is none."""
    found = shutil.which("initdb")
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if found is None and not versions:
        pytest.skip("PostgreSQL is not installed (on Debian: apt install postgresql)")
    return versions[-1].parent if versions else Path(str(found)).parent


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A PostgreSQL of the test's own; gives the URI of an empty database. It refuses to run as root."""
    tools = postgres_tools()
    data = folder / "postgres"
    data.mkdir()
    user: list[str] = []
    if os.geteuid() == 0:
        user = ["runuser", "-u", "postgres", "--"]
        shutil.chown(data, "postgres")
        for parent in data.parents:  # pytest's folders are closed to others
            if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o001)

    def run(*command: object) -> None:
        # Not captured: the server would inherit the pipe, and the end of the output never come.
        with (folder / "postgres.log").open("a") as log:
            subprocess.run([*user, *map(str, command)], cwd="/", check=True, stdout=log, stderr=log)

    port = free_port()
    run(tools / "initdb", "-D", data, "-U", "htbench", "--auth=trust", "--no-sync", "--encoding=UTF8")
    options = f"-h 127.0.0.1 -p {port} -k {data} -c fsync=off"
    run(tools / "pg_ctl", "-D", data, "-o", options, "-l", data / "log", "-w", "start")
    try:
        yield f"postgresql+psycopg2://htbench@127.0.0.1:{port}/postgres"
    finally:
        run(tools / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


class _Front(http.server.BaseHTTPRequestHandler):
    """Passes requests on to another server, as long as `answers` lets it."""

    behind = ""
    answers: Callable[[str], int | None]
    dead: threading.Event

    def _pass_on(self) -> None:
        status = type(self).answers(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if type(self).dead.is_set():
            self.connection.close()
            return
        if status == HANGS:
            time.sleep(3600)
        if status is not None:
            self.send_error(status)
            return
        request = urllib.request.Request(self.behind + self.path, body or None, method=self.command)
        for name in ("Content-Type", "Authorization"):
            if name in self.headers:
                request.add_header(name, self.headers[name])
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                status, content, kind = response.status, response.read(), response.headers.get("Content-Type")
        except urllib.error.HTTPError as error:
            status, content, kind = error.code, error.read(), error.headers.get("Content-Type")
        self.send_response(status)
        self.send_header("Content-Type", kind or "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


HANGS = -1
"""What `answers` gives for a request that is never answered."""


@contextlib.contextmanager
def front(behind: str, answers: Callable[[str], int | None], dead: threading.Event | None = None) -> Iterator[str]:
    """A server before another: `answers(path)` is None to pass on, a status to refuse, or HANGS. Gives its address.

    Once it is `dead`, it breaks off every connection.
    """
    handler = type(
        "Front", (_Front,), {"behind": behind, "answers": staticmethod(answers), "dead": dead or threading.Event()}
    )
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.block_on_close = False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
