"""From a YAML file to cells: reading, checking, resolving."""

from benchmark.grid.axes import axis_value, select
from benchmark.grid.resolve import Grid, read_grid

__all__ = ["Grid", "axis_value", "read_grid", "select"]
