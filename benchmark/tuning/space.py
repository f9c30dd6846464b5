"""What is searched for a cell: axes with their spaces, and the cell at a point of them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from benchmark.cells.config import CellConfig, TestConfig, TuneConfig
from benchmark.grid.axes import axis_path, axis_value, show
from methods import registry
from methods.search import Range, Space, spaces

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Point = dict[str, Any]
"""Values by axis: `{"train.learning_rate": 0.002, "model.inner_steps": 3}`."""

LEARNING_RATE = "train.learning_rate"


def search_space(base: CellConfig, held: Mapping[str, Any]) -> dict[str, Space]:
    """Axis -> space: the learning rate, and the options that the method's Config marks with `searched`.

    Left out are the axes in `held`, on which the grid itself varies, and options that the method's name fixes. The
    base's own value is always inside.
    """
    method = registry.get(base.method)
    options = {f"model.{name}": space for name, space in spaces(method.config).items()}
    fixed = {f"model.{name}" for name in method.fixed}
    # SGD takes steps the size of the gradient, Adam steps the size of the rate.
    rates = Range(1e-3, 1.0, log=True) if base.train.optimizer == "sgd" else Range(1e-4, 3e-2, log=True)
    found = {LEARNING_RATE: rates, **options}
    return {
        axis: _including(space, axis_value(base, axis))
        for axis, space in found.items()
        if axis not in held and axis not in fixed
    }


def own_point(base: CellConfig, space: Mapping[str, Space]) -> Point:
    """What the grid itself says."""
    return {axis: axis_value(base, axis) for axis in space}


def trial_cell(base: CellConfig, point: Point, budget: TuneConfig) -> CellConfig:
    """The base at another point and with the budget of a trial, to be scored on validation episodes only."""
    content = base.model_dump(mode="json")
    for axis, value in point.items():
        section, name = axis_path(axis)
        content[section][name] = value
    if budget.minutes is not None or budget.steps is not None:
        content["train"] |= {"minutes": budget.minutes, "steps": budget.steps}
    # Of the test only the queries matter to validation; nothing else of it may change a trial's identity.
    content |= {"test": TestConfig(queries=base.test.queries).model_dump(), "tuning": True, "tests": ()}
    return CellConfig.model_validate(content)


def distribution(space: Space) -> "BaseDistribution":
    """The space as optuna has it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(space, Range):
        return CategoricalDistribution(space)
    if isinstance(space.low, int) and isinstance(space.high, int):
        return IntDistribution(space.low, space.high, log=space.log)
    return FloatDistribution(space.low, space.high, log=space.log)


def rounded(point: Point) -> Point:
    """Three digits are more than validation can tell apart, and can be read."""
    return {axis: float(f"{value:.3g}") if isinstance(value, float) else value for axis, value in point.items()}


def point_text(point: Point) -> str:
    """`learning_rate 0.002, inner_steps 3`."""
    return ", ".join(f"{axis.rpartition('.')[2]} {show(value)}" for axis, value in point.items())


def space_text(space: Mapping[str, Space]) -> str:
    """`train.learning_rate 0.0001 to 0.03 (logarithmic); model.inner_steps 1 to 5`."""
    texts = {axis: str(one) if isinstance(one, Range) else ", ".join(map(show, one)) for axis, one in space.items()}
    return "; ".join(f"{axis} {text}" for axis, text in texts.items())


def _including(space: Space, own: Any) -> Space:
    if isinstance(space, Range):
        return Range(min(space.low, own), max(space.high, own), space.log)
    return space if own in space else (own, *space)
