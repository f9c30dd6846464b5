"""The table of results: one row per method and setting, failed and missing ones included."""

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean

from benchmark.reporting.record import Record
from benchmark.reporting.remarks import REMARKS
from benchmark.reporting.rows import Row, short_name, task_text
from benchmark.reporting.tables.table import Column, Estimate, Table, Value, text

_FACTS = (
    Column("accuracy", "accuracy %"),
    Column("episode_only", "episodes only ±", 2),
    Column("seeds", "seeds"),
    Column("episodes", "episodes"),
    Column("forgetting", "forgetting", 1),
    Column("backward_transfer", "backward transfer", 1),
    Column("carried", "carried numbers"),
    Column("task_network", "task network"),
    Column("parameters", "trained numbers"),
    Column("transductive", "transductive"),
    Column("ms_per_task", "ms per task", 2),
    Column("minutes", "training min", 1),
    Column("steps", "steps"),
    Column("published", "published %"),
    Column("difference", "difference", 1),
    Column("verdict", "verdict"),
    Column("note", "note"),
)

_DETAILS = (
    Column("interval", "interval"),
    Column("low", "low"),
    Column("high", "high"),
    Column("bootstrap_low", "bootstrap low"),
    Column("bootstrap_high", "bootstrap high"),
    Column("seed_sd", "sd over seeds"),
    Column("behind_best", "behind best"),
    Column("behind_best_low", "low"),
    Column("behind_best_high", "high"),
    Column("p_adjusted", "p (Holm)"),
    Column("p_permutation", "p (sign flips)"),
    Column("tied_with_best", "tied with best"),
    Column("episodes_sha256", "test episodes"),
)


def results_table(record: Record, rows: Sequence[Row], *, details: bool = False) -> Table:
    """The table; `details` adds the columns that only the CSV has room for."""
    axes = [axis for axis in record.axes if axis not in ("method", "seed")]
    names = Counter(map(short_name, axes))
    titles = {axis: short_name(axis) if names[short_name(axis)] == 1 else axis for axis in axes}
    columns = [Column("method", "method"), *(Column(axis, title, None) for axis, title in titles.items()), *_FACTS]
    values = [_values(row) for row in rows]
    if details:
        columns += _DETAILS
        values = [{**one, **_details(row)} for one, row in zip(values, rows, strict=True)]
    caption = f"{record.name}: {', '.join(dict.fromkeys(task_text(cell) for cell in record.cells))}"
    # A measurement that no cell has is no column, not even in the CSV.
    if all(one.get("ms_per_task") is None for one in values):
        columns = [column for column in columns if column.key != "ms_per_task"]
    if not details:
        # What is the same in every row is said once.
        for key in ("episodes", "steps"):
            same = {value for one in values if (value := one.get(key)) is not None}
            if len(same) == 1:
                columns = [column for column in columns if column.key != key]
                caption += f", {text(same.pop())} test episodes" if key == "episodes" else ""
    table = Table(columns, values, caption, notes(record, rows))
    return table if details else table.without_empty_columns()


def notes(record: Record, rows: Sequence[Row]) -> list[str]:
    """What a reader must know to read the numbers."""
    lines = []
    kinds = {row.interval.kind for row in rows if row.interval}
    if "seeds x episodes" in kinds:
        lines.append("accuracy: mean ± half-width of the 95 % interval over training seeds and shared test episodes")
    if "episodes only" in kinds:
        lines.append(
            "*: one seed, so the 95 % interval covers the choice of test episodes only, not another training run"
        )
    if kinds:
        lines.append("episodes only ±: what few-shot papers print; it leaves out the training seed")
    if any(row.tied_with_best for row in rows):
        lines.append(
            "bold: the best on the same test episodes with a task network of the same width,"
            " and all that are not shown to be worse (paired, Holm-corrected, 5 %)"
        )
    if any(row.matrices is not None for row in rows):
        lines.append(
            "task sequences: accuracy is the mean over tasks after the last one trained for; forgetting and backward"
            " transfer are points, from the best and from the first accuracy on each earlier task to the last, and"
            " carried numbers are kept from task to task"
        )
    lines.append("task network: numbers in the network that classifies one task's queries")
    if any(r.test and r.test.seconds_per_task is not None for row in rows for r in row.results):
        lines.append(
            "ms per task: to adapt to a task and classify its queries, in batches of tasks (processor time on a CPU,"
            " wall time on a GPU)"
        )
    if any(row.ensemble for row in rows):
        lines.append(
            "ensemble of n: the mean of the logits of the n checkpoints with the best validation accuracies, as in the"
            " numbers published for MAML++; it takes n networks per task, and is compared with ensembles only"
        )
    for name in dict.fromkeys(row.method for row in rows if row.reference):
        lines.append(f"{name}: an upper bound that learns from more than a support set; not compared with the others")
    lines += [remark.rule for remark in REMARKS if any(map(remark.of, rows))]
    lines += _published_notes(rows)
    lines.append(f"budget: {budget(record)}")
    lines += [f"tuned: {record.tuned}"] if record.tuned else []
    machines = machine(record)
    if machines:
        lines.append(f"machine: {machines}")
    hashes = sorted({r.test.sha256 for row in rows for r in row.results if r.test})
    if hashes:
        lines.append(f"test episodes: sha256 {', '.join(one[:16] for one in hashes)}")
    planned, done = len(record.cells), sum(cell.state == "done" for cell in record.cells)
    if done < planned:
        lines.append(f"incomplete: {done} of {planned} cells done ({_states(record)})")
    return lines


def budget(record: Record) -> str:
    """The training budgets of the grid: `1,000 steps of 16 episodes`, `5 min, steps of 1, 4 or 8 episodes`."""
    sizes: dict[str, set[int]] = {}
    for train in dict.fromkeys(cell.config.train for cell in record.cells):
        amount = f"{train.steps:,} steps of" if train.steps is not None else f"{train.minutes:g} min, steps of"
        if train.batch == "auto":
            sizes[f"{amount} as many episodes as fit into {train.memory_gib:g} GiB"] = set()
        else:
            sizes.setdefault(amount, set()).add(train.batch)
    return "; ".join(f"{amount}{_episodes(counts)}" for amount, counts in sizes.items())


def _episodes(counts: set[int]) -> str:
    """` 1, 4 or 8 episodes`; empty for none."""
    if not counts:
        return ""
    *most, last = map(str, sorted(counts))
    numbers = f"{', '.join(most)} or {last}" if most else last
    return f" {numbers} episode{'' if counts == {1} else 's'}"


def machine(record: Record) -> str:
    """The machines the cells ran on."""
    texts = []
    for cell in record.cells:
        provenance = cell.result.provenance if cell.result else None
        if provenance is not None:
            facts = provenance.hardware
            name = facts.get("gpu") if provenance.device.startswith("cuda") else facts.get("processor")
            cores = f", {facts['cores']} cores" if "cores" in facts else ""
            texts.append(f"{name or 'unknown'}{cores} ({provenance.device})")
    return "; ".join(dict.fromkeys(texts))


def _values(row: Row) -> dict[str, Value]:
    results = row.results
    values: dict[str, Value] = {"method": row.name, "published": "", "verdict": "", "difference": ""}
    for axis, value in row.axes.items():
        if axis != "method":
            values[axis] = value if isinstance(value, str | int | float | bool | None) else str(value)
    values["seeds"] = f"{len(row.seeds)}/{len(row.cells)}"
    remarks = [remark.of(row) for remark in REMARKS]
    values["note"] = "; ".join(filter(None, (*row.problems, *remarks)))
    if row.interval is not None and row.episode_interval is not None:
        values["accuracy"] = Estimate.of(row.interval, row.tied_with_best)
        values["episode_only"] = 100 * row.episode_interval.half_width
        values["episodes"] = row.interval.episodes
    sequences = [r.continual for r in results if r.continual and not row.ensemble]
    if sequences:
        last = row.cells[0].config.episodes.tasks - 1
        values["forgetting"] = 100 * fmean(s.forgetting[last] for s in sequences)
        values["backward_transfer"] = 100 * fmean(s.backward_transfer[last] for s in sequences)
        values["carried"] = _one([s.carried[last] for s in sequences])
    # Of an ensemble: what its members have together.
    networks = [(r.model, len(r.ensemble.steps) if row.ensemble and r.ensemble else 1) for r in results if r.model]
    values["task_network"] = _one([count * model.solver_parameters for model, count in networks])
    values["parameters"] = _one([count * model.parameters for model, count in networks])
    flags = {r.model.transductive for r in results if r.model}
    values["transductive"] = None if not flags else flags.pop() if len(flags) == 1 else "mixed"
    tests = [r.ensemble if row.ensemble else r.test for r in results]
    seconds = [test.seconds_per_task for test in tests if test and test.seconds_per_task is not None]
    values["ms_per_task"] = 1000 * fmean(seconds) if seconds else None
    trainings = [r.training for r in results if r.training]
    if trainings:
        values["minutes"] = fmean(t.seconds for t in trainings) / 60
        values["steps"] = _one([t.steps for t in trainings])
    if row.published:
        match = row.published[0]
        values["published"] = (
            str(match.published.accuracy) + {"high": "", "medium": "?", "low": "??"}[match.published.confidence]
        )
        values["verdict"] = match.verdict or ""
        values["difference"] = "" if match.difference is None else f"{100 * match.difference:+.1f}"
    return values


def _details(row: Row) -> dict[str, Value]:
    values: dict[str, Value] = {"tied_with_best": row.tied_with_best}
    if row.interval is not None and row.accuracy is not None and row.bootstrap is not None:
        values |= {"interval": row.interval.kind, "low": row.interval.low, "high": row.interval.high}
        values |= {"bootstrap_low": row.bootstrap.low, "bootstrap_high": row.bootstrap.high}
        values["seed_sd"] = float(row.accuracy.mean(axis=1).std(ddof=1)) if len(row.seeds) > 1 else None
        values["episodes_sha256"] = row.scores.episodes_sha256
    if row.comparison is not None:
        interval = row.comparison.interval
        values |= {"behind_best": interval.mean, "behind_best_low": interval.low, "behind_best_high": interval.high}
        values |= {"p_adjusted": row.comparison.p_adjusted, "p_permutation": row.comparison.p_permutation}
    return values


def _one(values: Iterable[int]) -> Value:
    """The value all seeds share, or their range."""
    found = sorted(set(values))
    if not found:
        return None
    return found[0] if len(found) == 1 else f"{found[0]:,} to {found[-1]:,}"


def _published_notes(rows: Sequence[Row]) -> list[str]:
    firsts = [row.published[0].published for row in rows if row.published]
    if not firsts:
        return []
    sources = dict.fromkeys(f"{one.paper}{f' ({one.where})' if one.where else ''}" for one in firsts)
    marks = sorted({one.confidence for one in firsts} - {"high"})
    meaning = {"medium": "?: one second-hand reading", "low": "??: from memory, check before quoting"}
    reading = "".join(f"; {meaning[mark]}" for mark in marks)
    return [
        f"published: {'; '.join(sources)}{reading}. Protocols differ, see the report",
        "verdict: the published number lies inside our interval, within a point of our mean, or outside",
    ]


def _states(record: Record) -> str:
    counts = Counter(cell.state for cell in record.cells)
    return ", ".join(f"{count} {state}" for state, count in counts.items())
