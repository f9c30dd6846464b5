"""Whole launches: signals to the launch or its cells, two launches at once, folders deleted, read-only folders."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmark.cells.folder import ExperimentFolder
from tests.benchmark.helpers import ROOT
from tests.campaigns import forked
from tests.campaigns.subject import Subject
from tests.campaigns.tally import Outcome, Tally


def signalled_launches(subject: Subject, tally: Tally, seconds: float, chance: random.Random) -> None:
    """`htbench run` in processes of its own, disturbed in some way, then run again plainly."""
    end, number = time.monotonic() + seconds, 0
    ways = ["SIGINT", "SIGTERM", "SIGKILL", "SIGHUP", "kill a cell", "a second launch", "delete a cell's folder"]
    chance.shuffle(ways)
    while time.monotonic() < end:
        runs = subject.folder / "launched"
        shutil.rmtree(runs, ignore_errors=True)
        way = ways[number % len(ways)]
        number += 1
        launch = _launch(subject, runs)
        experiment = ExperimentFolder(runs / "small")
        deadline = time.monotonic() + chance.uniform(5, 60)
        while time.monotonic() < deadline and launch.poll() is None:
            if any(cell.metrics() for cell in experiment.cells()) and chance.random() < 0.3:
                break
            time.sleep(0.05)
        others = [_disturb(way, launch, experiment, subject, runs)]
        for process in [launch, *filter(None, others)]:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(180)
            if process.poll() is None:
                process.kill()
                tally.add("hang", f"{way}: the launch goes on")
        again = _launch(subject, runs)
        output, _ = again.communicate(timeout=240)
        worst = [subject.judge(cell, finished=True) for cell in experiment.cells()]
        bad = [found for found in worst if found[0] != "right"]
        if "Traceback" in output:
            tally.add("traceback", f"{way}: {output[-300:]}")
        elif bad or again.returncode or len(worst) != len(subject.configs):
            tally.add(bad[0][0] if bad else "lost", f"{way}: {bad} {output[-300:]}")
        else:
            tally.add("right", way)


def _launch(subject: Subject, runs: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-P", "-m", "benchmark", "run", str(subject.grid), "--no-track", "--runs", str(runs)]
    return subprocess.Popen(
        [*command, "--workers", "2"],
        cwd=subject.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _disturb(
    way: str, launch: "subprocess.Popen[str]", experiment: ExperimentFolder, subject: Subject, runs: Path
) -> "subprocess.Popen[str] | None":
    if way == "a second launch":
        return _launch(subject, runs)
    if way == "delete a cell's folder":
        for cell in experiment.cells()[:1]:
            shutil.rmtree(cell.folder, ignore_errors=True)
    elif way == "kill a cell":
        found = subprocess.run(["pgrep", "-P", str(launch.pid)], capture_output=True, text=True, check=False).stdout
        for child in found.split()[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
    elif launch.poll() is None:
        launch.send_signal(signal.Signals[way])
    return None


def read_only_folders(subject: Subject, tally: Tally, disk: Path | None) -> None:
    """Commands that write where nothing can be written: one line each, and what only reads still works."""
    log = subject.folder / "log"
    places = [Path("/proc"), subject.grid / "a-file-is-in-the-way"]
    if disk is not None:
        subject.copy(disk / "runs")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        places.append(disk)
    try:
        for place in places:
            for arguments in (
                ["report", subject.grid, "--out", place / "out"],
                ["run", subject.grid, "--no-track", "--runs", place / "other"],
                ["adopt", subject.folder / "report", "--runs", place / "adopted"],
            ):
                ended = forked.cli([*arguments], subject.folder, log)
                outcome: Outcome = "unclear" if ended.outcome == "right" else ended.outcome
                tally.add(outcome, f"{arguments[0]} into {place}: {ended.output[-300:]}")
        if disk is not None:
            for arguments in (["status", subject.grid], ["report", subject.grid, "--out", subject.folder / "from-ro"]):
                ended = forked.cli([*arguments, "--runs", disk / "runs"], subject.folder, log)
                outcome = "right" if ended.status == 0 else "unclear" if ended.outcome == "refused" else ended.outcome
                tally.add(outcome, f"{arguments[0]} of a read-only run directory: {ended.output[-300:]}")
    finally:
        if disk is not None:
            subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
