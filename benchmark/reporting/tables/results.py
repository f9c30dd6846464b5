"""The table of results: one row per method and setting, failed and missing ones included."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import sqrt
from statistics import fmean

from benchmark.reporting.labels import short_name
from benchmark.reporting.record import Record
from benchmark.reporting.remarks import REMARKS
from benchmark.reporting.rows import Row, task_text
from benchmark.reporting.tables.table import Column, Estimate, Parts, Table, Value, signed, text
from benchmark.statistics import MARGIN

_FACTS = (
    Column("test", "test", level=2),
    Column("accuracy", "accuracy %"),
    Column("error", "error %", level=2),
    Column("episode_only", "episodes only ±", level=3),
    Column("seeds", "seeds", level=2, suffixes=("", "_planned")),
    Column("episodes", "episodes", level=3),
    Column("forgetting", "forgetting", level=2),
    Column("backward_transfer", "backward transfer", level=3),
    Column("carried", "carried numbers", level=3, suffixes=("_min", "_max")),
    Column("task_network", "task network", level=2, suffixes=("_min", "_max")),
    Column("parameters", "trained numbers", level=3, suffixes=("_min", "_max")),
    Column("transductive", "transductive", level=3),
    Column("ms_per_task", "ms per task", 2, level=2),
    Column("minutes", "training min", level=3),
    Column("steps", "steps", level=3, suffixes=("_min", "_max")),
    Column("published", "published %", level=2, suffixes=("", "_confidence")),
    Column("difference", "ours \N{MINUS SIGN} published", level=3),
    Column("verdict", "verdict", level=2),
    Column("note", "note", level=2),
)

_DETAILS = (
    Column("interval", "interval"),
    Column("low", "low"),
    Column("high", "high"),
    Column("bootstrap_low", "bootstrap low"),
    Column("bootstrap_high", "bootstrap high"),
    Column("seed_sd", "sd over seeds"),
    Column("seed_sd_used", "sd over seeds, pooled"),
    Column("behind_best", "behind best"),
    Column("behind_best_low", "low"),
    Column("behind_best_high", "high"),
    Column("p_adjusted", "p (Holm)"),
    Column("p_permutation", "p (sign flips)"),
    Column("standing", "standing"),
    Column("episodes_sha256", "test episodes"),
)


OWN = "own"
"""What the table calls the cells' own test, beside further ones."""


def results_table(record: Record, rows: Sequence[Row], *, details: bool = False) -> Table:
    """The table; `details` adds the columns that only the CSV has room for."""
    axes = [axis for axis in record.axes if axis not in ("method", "seed")]
    names = Counter(map(short_name, axes))
    titles = {axis: short_name(axis) if names[short_name(axis)] == 1 else axis for axis in axes}
    columns = [Column("method", "method"), *(Column(axis, title, None) for axis, title in titles.items())]
    columns += [Column("domain", "domain"), *_FACTS]
    values = [_values(row) for row in rows]
    if any(row.test for row in rows):
        values = [{**one, "test": row.test or OWN} for one, row in zip(values, rows, strict=True)]
    if all(row.domain is None for row in rows):
        columns = [column for column in columns if column.key != "domain"]
    if details:
        columns += [*_DETAILS, *(Column(_seed_key(seed), f"seed {seed}") for seed in _seeds(rows))]
        values = [{**one, **_details(row)} for one, row in zip(values, rows, strict=True)]
    caption = f"{record.name}: {', '.join(dict.fromkeys(task_text(cell) for cell in record.cells))}"
    # What no cell has is no column, not even in the CSV.
    for key in ("ms_per_task", "test", "error"):
        if all(one.get(key) in (None, "") for one in values):
            columns = [column for column in columns if column.key != key]
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
    if kinds - {"episodes only"}:
        lines.append("accuracy: mean ± half-width of the 95 % interval over training seeds and shared test episodes")
    lines += pooled_notes(rows)
    if any(row.interval and (row.interval.low <= 0 or row.interval.high >= 1) for row in rows):
        lines.append("an interval is cut at 0 and 100 %; ± is then its longer side")
    if "episodes only" in kinds:
        lines.append(
            "*: one seed, so the 95 % interval covers the choice of test episodes only, not another training run"
        )
    if kinds:
        lines.append("episodes only ±: what few-shot papers print; it leaves out the training seed")
    if any(row.bold for row in rows):
        lines.append(f"bold: {BOLD}")
    if any(row.standing == "undecided" for row in rows):
        lines.append("not bold and not shown to be worse: undecided, which more seeds would decide")
    if any(row.test for row in rows):
        lines.append(
            f"test: {OWN} is the task that was trained for; every other one is of the same trained networks, so their"
            " rows are not independent of each other"
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
    if any(row.domain for row in rows):
        lines.append("domain: the test episodes of one kind only, out of those of all; compared among themselves")
    for name in dict.fromkeys(row.method for row in rows if row.reference):
        lines.append(
            f"{name}: learns from all other images of a task's classes: a reference, no bound, and not compared"
        )
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


BOLD = (
    "on the same test episodes, with a task network of the same width, shown to be better than all others (paired,"
    f" Holm-corrected, 5 %), or shown not to be more than {100 * MARGIN:g} point behind the best (the 95 % interval of"
    " the difference)"
)
"""What bold means, for readers."""


def pooled_notes(rows: Sequence[Row]) -> list[str]:
    """For each group of rows, what its trainings say about the seed variance that its intervals use."""
    priors = {row.group: row.prior for row in rows if row.group and row.prior}
    few = [row for row in rows if row.interval and row.interval.kind == "seeds x episodes" and len(row.seeds) < 5]
    names = dict.fromkeys(row.label for row in few if not any(row.collapsed))
    alone = [
        "no comparable row tells how much trainings differ, so the interval rests on the row's own seeds; nominal 95 %"
        f" intervals of that kind hold 88 % with two seeds and 92 % with three: {', '.join(names)}"
    ] * bool(names)
    if not priors:
        return alone
    shown = "; ".join(
        f"{group.text} ({prior.cells} rows): {100 * sqrt(prior.variance):.1f} points, worth {prior.freedom:.1f} more"
        " seeds"
        for group, prior in priors.items()
    )
    return [
        "seed variance: the larger of the row's own and the typical one of comparable rows, since two or three seeds"
        f" alone hardly tell it (partial pooling after Smyth 2004). Typical standard deviation over seeds of {shown}",
        *alone,
    ]


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
    values["domain"] = row.domain or "all"
    values |= {"setting": row.setting_text, "label": row.label}  # for the page, which has no columns of axes
    values["seeds"] = Parts(f"{len(row.seeds)}/{len(row.cells)}", (len(row.seeds), len(row.cells)))
    remarks = [remark.of(row) for remark in REMARKS if row.domain is None or remark.about_accuracy]
    values["note"] = "; ".join(filter(None, (*row.problems, *remarks)))
    if row.interval is not None and row.episode_interval is not None:
        values["accuracy"] = Estimate.of(row.interval, row.bold)
        values["episode_only"] = _points(row.episode_interval.half_width, 2)
        values["episodes"] = row.interval.episodes
        if row.as_error:
            values["error"] = replace(Estimate.of(row.interval, row.bold), mean=1 - row.interval.mean)
    sequences = [r.continual for r in results if r.continual and not row.ensemble]
    if sequences:
        last = row.cells[0].config.episodes.tasks - 1
        values["forgetting"] = _points(fmean(s.forgetting[last] for s in sequences))
        values["backward_transfer"] = _points(fmean(s.backward_transfer[last] for s in sequences))
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
        printed, doubt = match.published, {"high": "", "medium": "?", "low": "??"}[match.published.confidence]
        values["published"] = Parts(f"{printed.accuracy}{doubt}", (printed.accuracy / 100, printed.confidence))
        values["verdict"] = match.verdict or ""
        if match.difference is not None:
            values["difference"] = Parts(signed(100 * match.difference), (match.difference,))
    return values


def _details(row: Row) -> dict[str, Value]:
    values: dict[str, Value] = {"standing": row.standing}
    if row.interval is not None and row.accuracy is not None and row.bootstrap is not None:
        values |= {"interval": row.interval.kind, "low": row.interval.low, "high": row.interval.high}
        values |= {"bootstrap_low": row.bootstrap.low, "bootstrap_high": row.bootstrap.high}
        values["seed_sd"] = row.own_sd
        values["seed_sd_used"] = row.used_sd
        values |= {_seed_key(seed): mean for seed, mean in row.seed_means.items()}
        values["episodes_sha256"] = row.scores.episodes_sha256
    if row.comparison is not None:
        interval = row.comparison.interval
        values |= {"behind_best": interval.mean, "behind_best_low": interval.low, "behind_best_high": interval.high}
        values |= {"p_adjusted": row.comparison.p_adjusted, "p_permutation": row.comparison.p_permutation}
    return values


def _seeds(rows: Sequence[Row]) -> list[int]:
    return sorted({seed for row in rows for seed in row.seeds})


def _seed_key(seed: int) -> str:
    return f"accuracy_seed_{seed}"


def _one(values: Iterable[int]) -> Value:
    """The value all seeds share, or their range."""
    found = sorted(set(values))
    if not found:
        return None
    return found[0] if len(found) == 1 else Parts(f"{found[0]:,} to {found[-1]:,}", (found[0], found[-1]))


def _points(fraction: float, decimals: int = 1) -> Parts:
    """Points for people, the fraction for machines."""
    return Parts(text(100 * fraction, decimals), (fraction,))


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
        "verdict: the published number lies inside our interval, within a point of our mean, or outside; undecided with"
        " one seed, or where our interval is wider than five points either way",
    ]


def _states(record: Record) -> str:
    counts = Counter(cell.state for cell in record.cells)
    return ", ".join(f"{count} {state}" for state, count in counts.items())
