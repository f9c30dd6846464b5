"""Methods by name. Nothing here imports torch, so grids are read and results are shown without waiting for it.

A built-in learner is declared in its family's face, `methods/<family>/__init__.py`:

    LEARNERS = (
        built_in("protonet", "nearest class mean in ...", ProtoNetConfig, "methods.protonet.model:ProtoNet"),
    )

and its class is imported when it is first built. A learner in a user's own file is declared where it is defined, and
`load_plugin(path)` imports the file:

    @register("mine", "one line about it")
    class Mine(Method): ...
"""

import dataclasses
import difflib
import functools
import importlib
import importlib.util
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from methods.method import Method, Setting

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*")

M = TypeVar("M", bound="type[Method]")

FAMILIES = ("protonet", "rfs", "maml", "hypertransformer", "finetune", "oracle")
"""The packages of `methods` whose faces declare learners."""

WIDTH = "channels"
"""The option that is a method's width, where nothing else is declared."""


@dataclass(frozen=True)
class Registered:
    """A named learner, and what must be known of it before it is imported.

    Attributes:
        name: as grids have it.
        summary: a line about it.
        config: its options, a dataclass.
        where: "module:class" of its class.
        fixed: the options that this name fixes.
        typical: whether it is one of the few that stand for all where it would take too long to try every learner.
        size_axis: as of `methods.method.Method`.
        every_image: as of `methods.method.Method`.
        defined: its class; None if it has to be imported.
    """

    name: str
    summary: str
    config: type[Any]
    where: str
    fixed: dict[str, Any] = field(default_factory=dict)
    typical: bool = False
    size_axis: str = WIDTH
    every_image: bool = False
    defined: "type[Method] | None" = None

    @property
    def learner(self) -> "type[Method]":
        """Its class; imports it."""
        if self.defined is not None:
            return self.defined
        module, _, name = self.where.partition(":")
        learner: type[Method] = getattr(importlib.import_module(module), name)
        return learner

    def build(self, options: dict[str, Any], setting: "Setting") -> "Method":
        """Construct the learner; `options` are fields of its Config."""
        return self.learner(self.config(**{**options, **self.fixed}), setting)


class UnknownMethodError(LookupError):
    """No learner of that name; the message lists the nearest ones."""


_registered: dict[str, Registered] = {}
"""Learners in users' own files."""


def built_in(
    name: str,
    summary: str,
    config: type[Any],
    where: str,
    *,
    typical: bool = False,
    size_axis: str = WIDTH,
    every_image: bool = False,
    **fixed: Any,
) -> Registered:
    """Declare a learner of `methods`: its name, a line about it, its options, and "module:class".

    The options in `fixed` are set for good; for the others see `Registered`. What it says of the class a test compares
    with the class.
    """
    return Registered(name, summary, config, where, fixed, typical, size_axis, every_image)


def register(name: str, summary: str, *, typical: bool = False, **fixed: Any) -> Callable[[M], M]:
    """Class decorator: make a learner available as `name`, with the options in `fixed` set for good.

    Raises:
        ValueError: the name would not do in paths and tables, or is a built-in learner's.
        TypeError: the class is not derived from `Method`, or its Config is no dataclass.
    """
    from methods.method import Method

    if len(name) > 60 or not _NAME.fullmatch(name):
        raise ValueError(
            "a method's name should be letters, digits and any of - + . _, beginning with a letter or digit, at most 60"
            f" characters, found {name[:80]!r}"
        )

    def decorate(learner: M) -> M:
        if not (isinstance(learner, type) and issubclass(learner, Method)):
            raise TypeError(f"{name!r} should be a class derived from methods.Method, found {learner!r}")
        if name in _built_in():
            raise ValueError(f"{name!r} is a built-in method; register yours under another name")
        config = getattr(learner, "Config", None)
        if not (isinstance(config, type) and dataclasses.is_dataclass(config)):
            raise TypeError(f"the Config of {name!r} ({learner.__name__}) should be a dataclass")
        where = f"{learner.__module__}:{learner.__qualname__}"
        facts = (learner.size_axis, learner.every_image)
        _registered[name] = Registered(name, summary, config, where, fixed, typical, *facts, defined=learner)
        return learner

    return decorate


@functools.cache
def _built_in() -> dict[str, Registered]:
    """What the families' faces declare, by name."""
    faces = [importlib.import_module(f"methods.{family}") for family in FAMILIES]
    return {learner.name: learner for face in faces for learner in face.LEARNERS}


def get(name: str) -> Registered:
    """The learner called `name`.

    Raises:
        UnknownMethodError: with a did-you-mean.
    """
    found = find(name)
    if found is None:
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UnknownMethodError(f"no method {name!r}: {hint}known are {', '.join(names())}")
    return found


def find(name: str) -> Registered | None:
    """The learner called `name`, or None: a record may be of a learner in somebody's own file, which is not loaded."""
    return _built_in().get(name) or _registered.get(name)


def built_in_names() -> list[str]:
    """Names of the learners of `methods`, sorted."""
    return sorted(_built_in())


def names() -> list[str]:
    """All names, built-in and registered so far, sorted."""
    return sorted(_built_in().keys() | _registered.keys())


def names_with(capability: type) -> list[str]:
    """Names of the learners that have a capability (see `methods.capabilities`), sorted; imports them all."""
    return [name for name in names() if issubclass(get(name).learner, capability)]


def typical_names() -> list[str]:
    """Names of the learners that stand for all, sorted."""
    return [name for name in names() if get(name).typical]


def load_plugin(path: Path) -> None:
    """Import a user's file of learners, once.

    Raises:
        FileNotFoundError: no such file.
        Exception: whatever the file raises when imported.
    """
    path = path.resolve()
    if not path.is_file():
        raise FileNotFoundError(path)
    module_name = f"htbench_plugin_{path.stem}_{abs(hash(str(path))):x}"
    if module_name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
