"""MLflow servers that hang, refuse, or die: the run does not notice, and `sync` makes it good later."""

import importlib.util
import random
import shutil
import subprocess
import threading
import time
from pathlib import Path

from benchmark.cells.folder import ExperimentFolder
from tests.benchmark.helpers import htbench, write_grid
from tests.benchmark.tracking.servers import HANGS, front, mlflow_server
from tests.campaigns import forked
from tests.campaigns.subject import CHANGES, Subject
from tests.campaigns.tally import Tally

LONGEST_DELAY = 60.0
"""Seconds that a server may cost a launch: the patience at its end, and the loading of MLflow on a busy machine."""


def hanging_and_dying_servers(subject: Subject, tally: Tally, seconds: float, chance: random.Random) -> None:
    """A launch against each kind of server, and one without any to compare with."""
    if importlib.util.find_spec("mlflow") is None:
        tally.notes.append("(MLflow is not installed: not tried)")
        return
    folder = forked.fresh(subject.folder / "servers")
    grid = write_grid(folder, **{**CHANGES, "grid": {"method": ["slow", "linear-mean"], "seed": [0]}})
    begun = time.monotonic()
    without = htbench("run", grid, "--no-track", cwd=folder)
    alone = time.monotonic() - begun
    assert without.returncode == 0, f"{without.returncode} {without.stdout} {without.stderr}"
    store = f"sqlite:///{folder / 'mlflow.db'}"
    true = _accuracies(folder)
    with mlflow_server(store, folder) as behind:
        for kind in ("hangs", "hangs after 5 requests", "answers 500", "answers 404", "dies", "refuses connections"):
            if time.monotonic() - begun > seconds and kind != "hangs":
                tally.notes.append(f"(no time for a server that {kind})")
                continue
            shutil.rmtree(folder / "runs")
            begun_one = time.monotonic()
            done = _run(kind, behind, grid, folder)
            took = time.monotonic() - begun_one
            what = f"a server that {kind}: {took:.0f} s, {alone:.0f} s without"
            tally.notes.append(f"({what})")
            if done.returncode != 0 or _accuracies(folder) != true:
                tally.add("lost", f"{what}: {done.stdout[-200:]} {done.stderr[-200:]}")
            elif "Traceback" in done.stdout + done.stderr:
                tally.add("traceback", f"{what}: {done.stderr[-300:]}")
            elif took > alone + LONGEST_DELAY:
                tally.add("hang", what)
            elif "htbench sync" not in done.stderr + done.stdout:
                tally.add("unclear", f"{what}: no line about it: {done.stderr[-300:]}")
            else:
                tally.add("right", what)
        synced = htbench("sync", grid, "--mlflow", behind, cwd=folder)
        good = synced.returncode == 0
        tally.add("right" if good else "lost", f"sync afterwards: {synced.stdout[-200:]} {synced.stderr[-200:]}")


def _run(kind: str, behind: str, grid: Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    asked = 0
    dead = threading.Event()

    def answers(path: str) -> int | None:
        nonlocal asked
        asked += 1
        if kind == "hangs" or (kind == "hangs after 5 requests" and asked > 5):
            return HANGS
        if kind == "dies" and asked > 5:
            dead.set()
        return {"answers 500": 500, "answers 404": 404}.get(kind)

    if kind == "refuses connections":
        return htbench("run", grid, "--mlflow", "http://127.0.0.1:9", cwd=folder)
    with front(behind, answers, dead) as address:
        return htbench("run", grid, "--mlflow", address, cwd=folder)


def _accuracies(folder: Path) -> dict[str, float]:
    cells = ExperimentFolder(folder / "runs" / "small").cells()
    results = {cell.folder.name: cell.result() for cell in cells}
    return {name: result.test.accuracy for name, result in results.items() if result and result.test}
