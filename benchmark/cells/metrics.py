"""What is measured, by name, and one line of a cell's metrics file.

The names are those of MLflow's metrics too: what they are called stands here and nowhere else.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from types import UnionType
from typing import Any

from benchmark.machine.files import parse_json

TRAIN_LOSS = "train/loss"
LEARNING_RATE = "train/learning_rate"
VALIDATION_ACCURACY = "val/accuracy"
BEST_VALIDATION_ACCURACY = "val/best_accuracy"
TRAIN_SECONDS = "time/train_s"
TEST_ACCURACY = "test/accuracy"
TEST_ACCURACY_LOW = "test/accuracy_ci_low"
TEST_ACCURACY_HIGH = "test/accuracy_ci_high"
TEST_SECONDS_PER_TASK = "time/test_s_per_task"
ENSEMBLE_ACCURACY = "test/ensemble_accuracy"
EPISODES_PER_SECOND = "throughput/episodes_per_s"
SWAP_OWN = "swap/own"
SWAP_SAME_DOMAIN = "swap/same_domain"
SWAP_OTHER_DOMAIN = "swap/other_domain"
PARAMETERS = "model/parameters"
SOLVER_PARAMETERS = "model/solver_parameters"

PROCESSOR = "system/cpu_utilization_percentage"
MEMORY = "system/memory_usage_megabytes"

_OF_ALL = ("train", "val", "time", "system")
"""First parts of the names of what is logged for every method; the rest are a method's own diagnostics."""


@dataclass(frozen=True)
class MetricsLine:
    """What one validation found.

    Attributes:
        step: training steps done.
        values: numbers by their names, such as `VALIDATION_ACCURACY`.
        time: when it was written, in seconds since the epoch, if known.
    """

    step: int
    values: dict[str, float]
    time: float | None = None

    @property
    def accuracy(self) -> float | None:
        """Mean accuracy on the validation episodes, if the line has it."""
        return self.values.get(VALIDATION_ACCURACY)

    @property
    def train_seconds(self) -> float:
        """Time spent on training steps until then; 0 where a line does not say."""
        return self.values.get(TRAIN_SECONDS, 0.0)

    @property
    def diagnostics(self) -> dict[str, float]:
        """What the method said about itself, see `methods.Method.diagnostics`."""
        return {name: value for name, value in self.values.items() if name.split("/")[0] not in _OF_ALL}

    def at(self, time: float) -> "MetricsLine":
        """The same, written at that time."""
        return replace(self, time=round(time, 3))

    def to_json(self) -> str:
        """As one line of the file, without its end."""
        time = {} if self.time is None else {"time": self.time}
        return json.dumps({"step": self.step, **self.values, **time})

    @classmethod
    def from_json(cls, line: str) -> "MetricsLine":
        """Read a line.

        Raises:
            ValueError: it is torn, or not of this kind.
        """
        record = parse_json(line)
        if not isinstance(record, dict) or not _is_number(record.get("step"), int) or record["step"] < 0:
            raise ValueError("not a line of metrics: it has no step")
        values = {n: float(v) for n, v in record.items() if n not in ("step", "time") and _is_number(v, int | float)}
        if not 0 <= values.get(VALIDATION_ACCURACY, 0) <= 1:
            raise ValueError(f"{VALIDATION_ACCURACY} should be between 0 and 1, found {values[VALIDATION_ACCURACY]:g}")
        time = record.get("time")
        return cls(record["step"], values, time if _is_number(time, int | float) else None)


def lines(metrics: Iterable[MetricsLine]) -> str:
    """The content of a metrics file."""
    return "".join(line.to_json() + "\n" for line in metrics)


def _is_number(value: Any, kind: type | UnionType) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
