"""Doing slow things in a thread, so that whoever asks for them never waits long."""

import queue
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

T = TypeVar("T")


class Background:
    """A thread that does one task after another. It may be left behind in the middle of one: it ends with the process.

    `alive` is for tasks to call whenever something was achieved; `wait` gives up only on a thread that is silent.
    """

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._left = 0
        self._ended = threading.Condition()
        self._sign = time.monotonic()
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether some task is not done."""
        return self._left > 0

    def alive(self) -> None:
        """Something was achieved."""
        self._sign = time.monotonic()

    def submit(self, task: Callable[[], object]) -> None:
        """Have a task done after those before it; it must not raise."""
        with self._ended:
            if not self._left:
                self.alive()
            self._left += 1
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True, name="mlflow")
            self._thread.start()
        self._tasks.put(task)

    def wait(self, patience: float) -> bool:
        """Wait until all is done; False if nothing was achieved for so many seconds."""
        with self._ended:
            while self._left:
                left = self._sign + patience - time.monotonic()
                if left <= 0:
                    return False
                self._ended.wait(min(left, 0.5))
        return True

    def _work(self) -> None:
        while True:
            task = self._tasks.get()
            try:
                task()
            finally:
                with self._ended:
                    self._left -= 1
                    self.alive()
                    self._ended.notify_all()


class _Pulse:
    """An object whose every method tells that it has returned."""

    def __init__(self, wrapped: object, alive: Callable[[], None]) -> None:
        self._wrapped, self._alive = wrapped, alive

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._wrapped, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            result = found(*arguments, **named)
            self._alive()
            return result

        return call


def with_pulse(wrapped: T, alive: Callable[[], None]) -> T:
    """The same object, which calls `alive` whenever a method of it has returned."""
    return cast("T", _Pulse(wrapped, alive))
