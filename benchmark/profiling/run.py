"""Measuring many workloads, each in a process of its own: memory is then its own too, and a crash only its own row."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict

from benchmark.machine.process import child_command, child_environment
from benchmark.profiling.measure import Profile, Workload


def measure_apart(workloads: Sequence[Workload]) -> list[Profile | str]:
    """Measure all of them at the same time; instead of a profile the last line of what went wrong."""
    command, environment = child_command("benchmark.profiling.measure"), child_environment()
    processes = [
        subprocess.Popen(
            [*command, json.dumps(asdict(workload))],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for workload in workloads
    ]
    found: list[Profile | str] = []
    try:
        for process in processes:
            out, errors = process.communicate()
            if process.returncode == 0:
                record = json.loads(out.splitlines()[-1])
                found.append(Profile(**{**record, "workload": Workload(**record["workload"])}))
            else:
                found.append((errors.strip().splitlines() or [f"exit status {process.returncode}"])[-1])
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()
    return found
