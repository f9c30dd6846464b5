"""Published accuracies next to measured ones.

The numbers are data, in published/*.yaml, each with the place it was printed and how sure the reading is.
"""

from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from benchmark.cells.config import CellConfig
from benchmark.cells.declared import size
from benchmark.machine.frozen import Frozen
from benchmark.statistics import Interval

POINT = 0.01
"""A percentage point, as a fraction."""

Confidence = Literal["high", "medium", "low"]
Verdict = Literal["inside", "within a point", "outside", "undecided"]

WIDEST = 0.05
"""Half-width of an interval beyond which it says nothing about a published number."""


class Published(Frozen):
    """One published mean accuracy.

    Attributes:
        dataset: name as in a grid.
        ways: classes per task.
        shots: support images per class.
        channels: of the four-block convolutional network; null where the network is another one.
        methods: names, as in a grid, that the number may be compared with.
        query_statistics: what normalised the queries, for methods with that option; those published so far all used the
            query batch.
        accuracy: percent, as printed.
        plus_minus: percent, as printed; `plus_minus_kind` says of what.
        confidence: how sure the reading is. high: from the table or text itself, or two independent readings agree;
            medium: one second-hand reading; low: from memory, to be checked before it is quoted.
        paper: short reference.
        where: table or figure.
        note: what differs from our protocol, or how the number was obtained.
        protocol: how the paper trained and tested, as far as it differs from what htbench does by default.
    """

    dataset: str
    ways: int
    shots: int
    channels: int | None
    methods: tuple[str, ...]
    query_statistics: str = "batch"
    accuracy: float
    plus_minus: float | None = None
    plus_minus_kind: str = ""
    confidence: Confidence
    paper: str
    where: str = ""
    note: str = ""
    protocol: str = ""


class Match(Frozen):
    """A published number beside a measured one; differences are measured minus published, as fractions."""

    published: Published
    difference: float | None
    verdict: Verdict | None


@cache
def all_published() -> tuple[Published, ...]:
    """Every published number, in the order of the files."""
    entries: list[Published] = []
    for path in sorted((Path(__file__).parent / "published").glob("*.yaml")):
        content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        protocols = content.get("protocol", {})
        for block in content["results"]:
            shared = {key: value for key, value in block.items() if key != "values"}
            shared["protocol"] = protocols.get(block["paper"], "")
            entries += [Published.model_validate({**shared, **one}) for one in block["values"]]
    return tuple(entries)


def find_published(config: CellConfig, measured: Interval | None) -> list[Match]:
    """Published numbers for the same dataset, ways, shots, channels, method and normalisation of the queries; the most
    certain reading first.
    """
    if config.dataset.domains:  # nobody has published numbers of these tasks
        return []
    key = (config.dataset.name, config.episodes.ways, config.episodes.shots, size(config))
    found = [
        one
        for one in all_published()
        if (one.dataset, one.ways, one.shots, one.channels) == key
        and config.method in one.methods
        and config.model.get("query_statistics", one.query_statistics) == one.query_statistics
    ]
    found.sort(key=lambda one: ("high", "medium", "low").index(one.confidence))
    return [_match(one, measured) for one in found]


def _match(published: Published, measured: Interval | None) -> Match:
    if measured is None:
        return Match(published=published, difference=None, verdict=None)
    value = published.accuracy / 100
    difference = measured.mean - value
    verdict: Verdict = "outside"
    if not measured.speaks_of_methods or measured.half_width > WIDEST:
        verdict = "undecided"
    elif measured.low <= value <= measured.high:
        verdict = "inside"
    elif abs(difference) <= POINT:
        verdict = "within a point"
    return Match(published=published, difference=difference, verdict=verdict)
