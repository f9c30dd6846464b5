"""How fast methods are here: profile."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cells.options import LARGEST_WIDTH
from benchmark.commands.common import RESULTS, DeviceOption, JsonOption, console
from benchmark.errors import UserError
from benchmark.machine.device import resolve_device

if TYPE_CHECKING:
    from benchmark.profiling.measure import Profile


def profile(
    method: Annotated[list[str] | None, typer.Option(help="Which; may be repeated [default: a few typical]")] = None,
    ways: Annotated[int, typer.Option(min=2)] = 20,
    shots: Annotated[int, typer.Option(min=1)] = 1,
    queries: Annotated[int, typer.Option(min=1, help="Per class")] = 3,
    channels: Annotated[
        list[int] | None, typer.Option(min=1, max=LARGEST_WIDTH, help="May be repeated [default: 8]")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Episodes per step")] = 16,
    device: DeviceOption = "auto",
    every: Annotated[
        bool, typer.Option("--all", help="All methods (or those named) at all widths, and how speed scales")
    ] = False,
    passes: Annotated[int, typer.Option(min=1, help="How often --all measures all; the least time counts")] = 1,
    out: Annotated[Path, typer.Option(help="Folder that --all writes")] = RESULTS / "profile",
    as_json: JsonOption = False,
) -> None:
    """Measure how fast methods train and classify on this machine."""
    from rich.progress import Progress

    from benchmark.profiling import survey
    from benchmark.profiling.measure import Workload, check
    from benchmark.profiling.run import measure_apart
    from methods import registry

    where = resolve_device(device)
    known = registry.names()
    for name in method or []:
        if name not in known:
            raise UserError(f"--method {name}: no such method; htbench methods lists them")
    chosen = method or registry.typical_names()
    base = Workload(chosen[0], ways, shots, queries, 8, batch, where)
    check(base)
    if every:
        cores = survey.cores(where)
        groups = survey.plan(base, method or survey.trained_on_tasks(), channels or survey.WIDTHS, cores)
        with Progress(console=console) as shown:
            task = shown.add_task("", total=passes * len(groups))

            def tell(group: survey.Group) -> None:
                workload = group.workloads[0]
                shown.update(task, description=f"{workload.method}, {group.axis}")
                shown.advance(task)

            survey.survey(groups, out, tell, passes)
        console.print(f"{out}/profile.md", highlight=False)
        return
    workloads = [replace(base, method=m, channels=c) for m in chosen for c in channels or [8]]
    for workload in workloads:
        with console.status(f"{workload.method}, {workload.channels} channels"):
            (found,) = measure_apart([workload])
        if isinstance(found, str):
            raise UserError(f"{workload.method} with {workload.channels} channels cannot be measured: {found}")
        if as_json:
            print(json.dumps(found.facts()))
        else:
            _show(found)


def _show(found: "Profile") -> None:
    workload = found.workload
    console.print(
        f"[bold]{workload.method}[/]  {workload.channels} channels, {workload.ways}-way {workload.shots}-shot,"
        f" {workload.ways * workload.queries} queries, {workload.batch} episodes per step, {workload.device}",
        highlight=False,
    )
    parts = {n: getattr(found, f"{n}_ms") for n in ("sampling", "forward", "backward", "optimizer")}
    shares = ", ".join(f"{n} {ms:.1f} ms ({ms / sum(parts.values()):.0%})" for n, ms in parts.items())
    single = f"one task {found.adapt_ms:.2f} ms"
    if found.classify_ms is not None:
        single += f", then an image {found.classify_ms:.2f} ms"
    for name, text in {
        "training": f"{found.episodes_per_s:.1f} episodes/s, {found.step_ms:.1f} ms per step",
        "of which": shares,
        "alone": f"sampling {found.sampling_per_s:.0f} episodes/s, forward {found.forward_per_s:.1f} episodes/s",
        "work": f"{found.gflop_per_episode:.3f} GFLOP per episode, {found.share_of_peak:.0%} of the"
        f" {found.peak_gflops:.0f} GFLOP/s of a matrix product",
        "memory": f"{found.peak_memory_mib:.0f} MiB at most",
        "latency": single,
    }.items():
        console.print(f"    {name:<9}{text}", highlight=False)
