"""What runs are called in MLflow, and in which colour they are drawn: the method's, as in every figure."""

from collections.abc import Sequence
from typing import Any

from benchmark.cells.config import CellConfig
from benchmark.cells.declared import size, size_axis
from benchmark.figure_style import looks
from benchmark.grid import Grid
from benchmark.grid.axes import axis_value
from benchmark.reporting.labels import label_of

_SHORT = {"episodes.ways": "{}-way", "episodes.shots": "{}-shot", "dataset.name": "{}"}
_FIRST_LETTERS = 2
"""Of the name of the width option, as in the names of cells' folders: 8 ch."""


class Appearance:
    """Names and colours of the runs of one grid: what they say depends on what varies in it."""

    def __init__(self, grid: Grid) -> None:
        self._axes: dict[str, Sequence[Any]] = {axis: list(values) for axis, values in grid.axes.items()}
        lines = {setting_key(cell): (cell.method, f"#{self.setting(cell)}") for cell in grid.cells}
        self._colours = {setting: look.color for setting, look in looks(lines).items()}

    def cell_name(self, config: CellConfig) -> str:
        """Of one seed: `ht-logits 8 ch (support) · seed 0`."""
        return f"{self.setting(config)} · seed {config.seed}"

    def mean_name(self, config: CellConfig, seeds: int) -> str:
        """Of all seeds of a setting: `protonet 8 ch · mean of 3 seeds`."""
        return f"{self.setting(config)} · {f'mean of {seeds} seeds' if seeds > 1 else '1 seed'}"

    def setting(self, config: CellConfig) -> str:
        """The method, its width, and the values on all other axes but the seed."""
        axis, width = size_axis(config.method), size(config)
        named = config.method if width is None else f"{config.method} {width} {axis[:_FIRST_LETTERS]}"
        others = [one for one in self._axes if one not in ("method", "seed", f"model.{axis}")]
        values = {one: value for one in others if (value := axis_value(config, one)) is not None}
        named += "".join(f" {form.format(values.pop(one))}" for one, form in _SHORT.items() if one in values)
        return label_of(named, values, self._axes)

    def colour(self, config: CellConfig) -> str | None:
        """Of a cell's run, and of its mean's, as `#0072B2`; None for a cell that is not of this grid."""
        return self._colours.get(setting_key(config))


def setting_key(config: CellConfig) -> str:
    """What cells of one setting share, whatever their seed."""
    return config.model_copy(update={"seed": 0}).key
