"""What a row of a report is called, and where it stands: short names, widths in their natural order."""

from collections.abc import Mapping, Sequence
from typing import Any


def label_of(method: str, options: Mapping[str, Any], axes: Mapping[str, Sequence[Any]]) -> str:
    """The method with its values on these axes of the grid: `ht-logits (support)`, `protonet (learning rate 0.03)`.

    Text stands alone where only one of the grid's axes has it; numbers and switches go with the name of their axis.

    Args:
        method: its name.
        options: axis -> the row's value, of the axes that are to be told; those it has no value on are left out.
        axes: axis -> all its values, of the whole grid.
    """
    told = [_option(axis, value, axes) for axis, value in options.items() if value is not None]
    return f"{method} ({', '.join(told)})" if told else method


def _option(axis: str, value: Any, axes: Mapping[str, Sequence[Any]]) -> str:
    elsewhere = any(value in values for other, values in axes.items() if other not in (axis, "method"))
    return value if isinstance(value, str) and not elsewhere else f"{short_name(axis)} {value}"


def short_name(axis: str) -> str:
    """An axis as a column title: `model.channels` is `channels`."""
    return axis.rpartition(".")[2].replace("_", " ")


def told_apart(texts: Sequence[str]) -> dict[str, str]:
    """Each text without the words that all begin with, and all end with; a text alone stays as it is.

    `Omniglot 5-way 1-shot` and `Omniglot 20-way 1-shot` are told apart as `5-way` and `20-way`.
    """
    words = {text: text.replace(",", "").split() for text in texts}
    if len(words) < 2:
        return {text: text for text in texts}
    least = min(map(len, words.values()))
    start = next((i for i in range(least) if len({found[i] for found in words.values()}) > 1), least)
    end = next((i for i in range(least - start) if len({found[-1 - i] for found in words.values()}) > 1), least - start)
    return {text: " ".join(found[start : len(found) - end]) or text for text, found in words.items()}


def natural_place(place: Mapping[str, Any], axes: Mapping[str, Sequence[Any]]) -> tuple[int, ...]:
    """To sort by: a row's place on every axis of the grid but the seed, numbers ascending, names as in the grid.

    Args:
        place: axis -> the row's value.
        axes: axis -> all its values, as the grid has them.
    """
    ordered = {axis: _natural(values) for axis, values in axes.items() if axis != "seed"}
    return tuple(
        values.index(place.get(axis)) if place.get(axis) in values else len(values) for axis, values in ordered.items()
    )


def _natural(values: Sequence[Any]) -> list[Any]:
    """Numbers in ascending order, all else as given, what has no value last."""
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in values if one is not None)
    known = [one for one in values if one is not None]
    return [*(sorted(known) if numbers else known), None]


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    named = [name for name in names if name]
    if not named:
        return ""
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
