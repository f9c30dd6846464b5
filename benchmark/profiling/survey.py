"""Which workloads `htbench profile --all` measures, and the folder it writes: table, records and a figure."""

import csv
import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from benchmark.machine import provenance
from benchmark.machine.files import make_folder, write_text
from benchmark.profiling.figures import draw
from benchmark.profiling.measure import Profile, Workload
from benchmark.profiling.run import measure_apart
from methods import registry
from methods.sequences import ContinualMethod

WIDTHS = (4, 8, 16, 32, 64)
BATCHES = (1, 2, 4, 8, 16, 32)
WAYS = (5, 10, 20, 40)

_COLUMNS = {
    "method": "{}",
    "channels": "{}",
    "episodes_per_s": "{:.1f}",
    "sampling_ms": "{:.2f}",
    "forward_ms": "{:.1f}",
    "backward_ms": "{:.1f}",
    "optimizer_ms": "{:.2f}",
    "step_ms": "{:.1f}",
    "gflop_per_episode": "{:.3f}",
    "share_of_peak": "{:.0%}",
    "peak_memory_mib": "{:.0f}",
    "adapt_ms": "{:.2f}",
    "classify_ms": "{:.2f}",
}


@dataclass(frozen=True)
class Group:
    """Workloads measured at the same time by as many processes, and what they are a point of ("width", "ways")."""

    axis: str
    workloads: tuple[Workload, ...]


@dataclass(frozen=True)
class Measured:
    """A group and what came of it: as many profiles or reasons."""

    group: Group
    profiles: list[Profile | str]


def cores(device: str) -> tuple[int, ...]:
    """Numbers of workers to try: powers of two up to this machine's cores, up to eight on one GPU."""
    return tuple(n for n in (1, 2, 4, 8, 16, 32) if n <= (8 if device != "cpu" else os.cpu_count() or 1))


def plan(base: Workload, methods: Sequence[str], widths: Sequence[int], workers: Sequence[int]) -> list[Group]:
    """All methods at all widths; the typical ones also at other T, ways and numbers of workers."""
    groups = [Group("width", (replace(base, method=m, channels=w),)) for m in methods for w in widths]
    for method in (m for m in methods if registry.get(m).typical):
        here = replace(base, method=method)
        groups += [Group("batch", (replace(here, batch=batch),)) for batch in BATCHES]
        groups += [Group("ways", (replace(here, ways=ways),)) for ways in WAYS]
        groups += [Group("workers", (here,) * count) for count in workers]
    return groups


def trained_on_tasks() -> list[str]:
    """The methods that learn from single tasks: not the continual ones, and no reference, which is not trained."""
    learners = {name: registry.get(name).learner for name in registry.names()}
    return [
        n for n, learner in learners.items() if not issubclass(learner, ContinualMethod) and not learner.every_image
    ]


def survey(
    groups: Sequence[Group], folder: Path, progress: Callable[[Group], object], passes: int = 1
) -> list[Measured]:
    """Measure and write; `progress` is told of every group before it is measured.

    A machine shared with others is slow for minutes at a time: of several passes over all groups each time is the
    least. Interrupted, it writes what it has measured, in the passes begun.
    """
    found: dict[tuple[Workload, ...], list[Profile | str]] = {}
    begun = 0
    try:
        for _ in range(passes):
            begun += 1
            in_this_pass: set[tuple[Workload, ...]] = set()  # a point may be on several axes
            for group in groups:
                progress(group)
                if group.workloads in in_this_pass:
                    continue
                in_this_pass.add(group.workloads)
                new = measure_apart(group.workloads)
                old = found.get(group.workloads, new)
                found[group.workloads] = [quickest(a, b) for a, b in zip(old, new, strict=True)]
    finally:
        measured = [Measured(group, found[group.workloads]) for group in groups if group.workloads in found]
        if measured:
            _write(measured, folder, begun)
    return measured


def quickest(one: Profile | str, other: Profile | str) -> Profile | str:
    """The least of each time and the highest peak of two measurements; a failure only if both failed."""
    if isinstance(one, str):
        return other
    if isinstance(other, str):
        return one
    times = {f.name for f in fields(Profile) if f.name.endswith("_ms") and getattr(one, f.name) is not None}
    least = {name: min(getattr(one, name), getattr(other, name)) for name in times}
    return replace(one, peak_gflops=max(one.peak_gflops, other.peak_gflops), **least)


def _write(measured: Sequence[Measured], folder: Path, passes: int) -> None:
    make_folder(folder)
    rows = _rows(measured)
    commit, changed = provenance.code_version()
    hardware = provenance.hardware()
    about = {"hardware": hardware, "versions": provenance.versions(), "commit": commit, "changed": changed}
    write_text(folder / "profile.json", json.dumps({**about, "passes": passes, "rows": rows}, indent=1) + "\n")
    write_text(folder / "profile.csv", _csv(rows))
    write_text(folder / "profile.md", markdown(measured, hardware, passes))
    draw(rows, folder)


def markdown(measured: Sequence[Measured], hardware: dict[str, Any], passes: int) -> str:
    """The table of methods and widths, with the machine above it and the failures below."""
    base = measured[0].group.workloads[0]
    rows = [profile for m in measured if m.group.axis == "width" for profile in m.profiles]
    good = [profile for profile in rows if isinstance(profile, Profile)]
    gpu = f", {hardware['gpu']}" if base.device.startswith("cuda") else ""
    lines = [
        f"{base.ways}-way {base.shots}-shot, {base.queries} queries per class, images of 28x28, {base.batch} episodes"
        f" per step; {hardware['processor']}, {hardware['threads_per_process']} thread(s){gpu}. Times are per step of"
        " all episodes, except `adapt_ms` and `classify_ms`: one task, one image."
        + (f" Each is the least of {passes} passes." if passes > 1 else ""),
        "",
        "| " + " | ".join(_COLUMNS) + " |",
        "|---" * len(_COLUMNS) + "|",
    ]
    for profile in good:
        facts = profile.facts()
        cells = ["-" if facts[name] is None else form.format(facts[name]) for name, form in _COLUMNS.items()]
        lines.append("| " + " | ".join(cells) + " |")
    failures = [
        f"- {workload.method}, {workload.channels} channels: {found}"
        for m in measured
        for workload, found in zip(m.group.workloads, m.profiles, strict=True)
        if isinstance(found, str)
    ]
    if failures:
        lines += ["", "Not measured:", "", *failures]
    return "\n".join(lines) + "\n"


def _rows(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """One flat record per workload: its axis, the number of workers, and facts or the `failure`."""
    return [
        {
            "axis": m.group.axis,
            "workers": len(m.group.workloads),
            **(found.facts() if isinstance(found, Profile) else {**asdict(workload), "failure": found}),
        }
        for m in measured
        for workload, found in zip(m.group.workloads, m.profiles, strict=True)
    ]


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
