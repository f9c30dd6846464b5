"""Kills at every file operation, kills and signals at random times, full disks."""

import random
import shutil
import signal
import time
from pathlib import Path

from tests.campaigns import forked
from tests.campaigns.subject import Subject
from tests.campaigns.tally import Tally

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGXCPU, signal.SIGPIPE)


def kills_at_every_file_operation(subject: Subject, tally: Tally, seconds: float, chance: random.Random) -> None:
    """Once at each; then pairs of kills, the second in the continuation, as long as there is time."""
    runs, log, end = subject.folder / "killed", subject.folder / "log", time.monotonic() + seconds
    number = 0
    while True:
        number += 1
        store = subject.empty(runs)
        ended = forked.cell(store.folder, log, forked.killed_at(number, store.folder))
        if ended.status == 0:
            break
        subject.continued(store, tally, f"killed at file operation {number}")
    tally.notes.append(f"(a cell makes {number - 1} file operations)")
    while time.monotonic() < end:
        store = subject.empty(runs)
        pair = chance.randrange(1, number), chance.randrange(1, number)
        for one in pair:
            forked.cell(store.folder, log, forked.killed_at(one, store.folder))
        subject.continued(store, tally, f"killed at file operations {pair}")


def kills_at_random(subject: Subject, tally: Tally, seconds: float, chance: random.Random) -> None:
    """Any of the usual signals, one to three times."""
    runs, log, end = subject.folder / "signalled", subject.folder / "log", time.monotonic() + seconds
    begun = time.monotonic()
    store = subject.empty(runs)
    forked.cell(store.folder, log)
    whole = time.monotonic() - begun
    while time.monotonic() < end:
        store = subject.empty(runs)
        sent = [(chance.uniform(0, whole), chance.choice(SIGNALS)) for _ in range(chance.randint(1, 3))]
        for kill in sent:
            forked.cell(store.folder, log, kill=kill)
        subject.continued(store, tally, f"signals {[(round(t, 3), s.name) for t, s in sent]}")


def full_disks(subject: Subject, tally: Tally, seconds: float, chance: random.Random, disk: Path | None) -> None:
    """No room from some byte on; and, on a small disk of its own, whatever of it is taken."""
    log, end = subject.folder / "log", time.monotonic() + seconds
    sizes = [path.stat().st_size for path in subject.whole.cells()[0].folder.iterdir()]
    while time.monotonic() < end:
        on_disk = disk is not None and chance.random() < 0.5
        store = subject.empty((disk if on_disk and disk else subject.folder) / "full")
        if on_disk and disk:
            room = chance.randrange(0, 2 * sum(sizes))
            filler = disk / "filler"
            filler.write_bytes(b"x" * max(0, shutil.disk_usage(disk).free - room))
            ended = forked.cell(store.folder, log)
            filler.unlink()
            what = f"{room} bytes free"
        else:
            limit = chance.randrange(0, 2 * max(sizes))
            ended = forked.cell(store.folder, log, forked.largest_file(limit))
            what = f"no file beyond {limit} bytes"
        if "Traceback" in ended.output:
            tally.add("traceback", f"{what}: {ended.output[-300:]}")
            continue
        if store.result() is not None and ended.status != 0:
            tally.add("lost", f"{what}: a failure of the cell's: {store.result()}")
            continue
        subject.continued(store, tally, what)
