"""`python -m tests.campaigns`: all campaigns, one after another; prints totals and writes a report.

Exit status 1 if anything was worse than right or refused in one line.
"""

import argparse
import contextlib
import os
import random
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.campaigns.report import write_report
from tests.campaigns.tally import GOOD, MEANING, Tally

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HTBENCH_DATA"] = "/nowhere/at/all"  # nothing is downloaded, whatever is asked for


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """Four megabytes of memory as a disk, where one may mount; else None."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    try:
        yield folder if mounted.returncode == 0 else None
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", "-l", str(folder)], check=False)


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0, help="about so long on two idle cores")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("results/reliability"))
    parser.add_argument("--only", nargs="*", default=[], help="parts of the names of campaigns")
    arguments = parser.parse_args()

    import torch

    from tests.campaigns import damages, inputs, interruptions, launches, servers
    from tests.campaigns.subject import Subject

    torch.set_num_threads(1)
    torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])  # loads a good part of torch
    begun = time.monotonic()
    share = arguments.minutes * 60 / 20  # seconds; the parts below add up to 20
    tallies: list[Tally] = []
    with tempfile.TemporaryDirectory(prefix="htbench-campaign-") as temporary:
        root = Path(temporary)
        os.environ["XDG_CACHE_HOME"] = str(root / "cache")
        with small_disk(root / "disk") as disk:
            subject = Subject.make(root / "subject")
            inputs_tried = max(30, round(300 * min(1.0, arguments.minutes / 20)))
            campaigns: dict[str, Callable[[Tally, random.Random], None]] = {
                "kills at every file operation": lambda tally, chance: interruptions.kills_at_every_file_operation(
                    subject, tally, 3 * share, chance
                ),
                "signals at random times": lambda tally, chance: interruptions.kills_at_random(
                    subject, tally, 2 * share, chance
                ),
                "full disks": lambda tally, chance: interruptions.full_disks(subject, tally, 2 * share, chance, disk),
                "read-only folders": lambda tally, chance: launches.read_only_folders(subject, tally, disk),
                "damaged records": lambda tally, chance: damages.damaged_records(subject, tally, 4 * share, chance),
                "damaged checkpoints": lambda tally, chance: damages.damaged_checkpoints(
                    subject, tally, 2 * share, chance
                ),
                "bad inputs": lambda tally, chance: inputs.bad_inputs(subject, tally, inputs_tried, chance),
                "disturbed launches": lambda tally, chance: launches.signalled_launches(
                    subject, tally, 2 * share, chance
                ),
                "MLflow servers": lambda tally, chance: servers.hanging_and_dying_servers(
                    subject, tally, 3 * share, chance
                ),
            }
            for name, campaign in campaigns.items():
                if arguments.only and not any(part in name for part in arguments.only):
                    continue
                tally, start = Tally(name), time.monotonic()
                try:
                    campaign(tally, random.Random(f"{name} {arguments.seed}"))
                except Exception:  # a campaign that breaks says so, and the others go on
                    tally.notes.append(f"THE CAMPAIGN ITSELF BROKE OFF: {traceback.format_exc()[-1500:]}")
                tally.seconds = time.monotonic() - start
                tallies.append(tally)
                print(f"{name}: {dict(tally.outcomes)} in {tally.seconds:.0f} s", flush=True)
                for note in tally.notes:
                    print(f"    {note}", flush=True)
                write_report(tallies, arguments.out, time.monotonic() - begun, arguments.seed, disk is not None)
    tried = sum(tally.tried for tally in tallies)
    bad = tried - sum(tally.outcomes[good] for tally in tallies for good in GOOD)
    wrong = sum(tally.outcomes["wrong number"] for tally in tallies)
    print(f"{tried} attempts, {bad} not as wanted; {wrong} of them {MEANING['wrong number']}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
