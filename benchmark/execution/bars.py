"""One bar a running cell, in whatever width there is."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from benchmark.cells.now import Now
from benchmark.machine.duration import duration

_LEAST, _MOST = 8, 40
"""Width of a bar."""

_GAP = 2


def progress_texts(now: Now) -> tuple[str, str, str, str, str]:
    """Steps, time left, accuracy, loss and speed in words, the most important first; empty where there is none."""
    if now.phase in ("validating", "testing"):
        steps = f"{now.phase} {_of(now.scored, now.to_score)}"
    elif now.phase == "training":
        steps = f"step {_of(now.step, now.steps)}"
    else:
        steps = "timing steps" if now.phase == "preparing" else now.phase
    return (
        steps,
        "" if now.seconds_left is None else f"{duration(now.seconds_left)} left",
        "" if now.accuracy is None else f"val {now.accuracy:.1%}",
        "" if now.loss is None else f"loss {now.loss:.3f}",
        "" if now.episodes_per_second is None else f"{now.episodes_per_second:,.3g} episodes/s",
    )


def progress_bars(cells: Mapping[str, Now], width: int) -> RenderableType:
    """A line for each cell, by its name; two where the width is too small for one.

    What does not fit is left out, the least important first.
    """
    rows = [progress_texts(now) for now in cells.values()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    names = max(map(len, cells))
    needed = _LEAST + sum(_GAP + column for column in widths if column)
    one_line = names + _GAP + needed <= width
    room = width - _GAP - (names if one_line else 0)
    while needed > room and any(widths[1:]):
        last = max(number for number, column in enumerate(widths) if column)
        needed -= _GAP + widths[last]
        widths[last] = 0
    bar = max(_LEAST, min(_MOST, _LEAST + room - needed))
    kept = [number for number, column in enumerate(widths) if column]
    lines: list[RenderableType] = []
    for (name, now), row in zip(cells.items(), rows, strict=True):
        line = Table.grid(padding=(0, _GAP, 0, 0))
        line.add_column(width=names if one_line else 0, no_wrap=True)
        line.add_column(width=bar)
        for number in kept:
            line.add_column(width=widths[number], justify="right", no_wrap=True)
        line.add_row(name if one_line else "", _bar(now, bar), *(Text(row[number]) for number in kept))
        lines += [line] if one_line else [Text(name, overflow="ellipsis", no_wrap=True), line]
    return Group(*lines)


def _of(done: int, total: int) -> str:
    """As wide however much is done."""
    return f"{done:>{len(f'{total:,}')},}/{total:,}"


def _bar(now: Now, width: int) -> ProgressBar:
    done, total = (now.scored, now.to_score) if now.phase == "testing" else (now.step, now.steps)
    return ProgressBar(total=max(total, 1), completed=done, width=width)


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Names of folders without the key at their end, where they differ without it."""
    short = {name: re.sub("-[0-9a-f]{12}$", "", name) for name in names}
    count = Counter(short.values())
    return {name: text if count[text] == 1 else name for name, text in short.items()}
