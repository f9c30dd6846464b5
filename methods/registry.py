"""Methods by name, imported only when asked for.

A learner registers itself where it is defined:

    @register("protonet", "nearest class mean in a learned embedding")
    class ProtoNet(Method): ...

Built-in learners also have a line in `_HOMES`, so that listing names imports nothing heavy. A learner in a
user's own file needs only the decorator: `load_plugin(path)` imports the file.
"""

import dataclasses
import difflib
import importlib
import importlib.util
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from methods.method import Method, Setting

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*")

M = TypeVar("M", bound=type[Method])

_HOMES = {
    "protonet": "methods.protonet.model",
    "protonet-soft-kmeans": "methods.protonet.semi_supervised",
    "protonet-soft-kmeans-cluster": "methods.protonet.semi_supervised",
    "protonet-masked": "methods.protonet.semi_supervised",
    "protonet-semi-inference": "methods.protonet.semi_supervised",
    "rfs": "methods.rfs.model",
    "rfs-distill": "methods.rfs.model",
    "maml": "methods.maml.model",
    "fomaml": "methods.maml.model",
    "anil": "methods.maml.model",
    "maml++": "methods.maml.model",
    "maml-l2l": "methods.maml.learn2learn",
    "ht": "methods.hypertransformer.model",
    "ht-logits": "methods.hypertransformer.model",
    "ht-all": "methods.hypertransformer.model",
    "ht-static": "methods.hypertransformer.model",
    "ht-continual": "methods.hypertransformer.continual",
    "ht-merged": "methods.hypertransformer.continual",
    "protonet-continual": "methods.protonet.continual",
    "finetune": "methods.finetune.model",
    "replay": "methods.finetune.model",
    "ewc": "methods.finetune.model",
    "maml++-continual": "methods.maml.continual",
    "oracle": "methods.oracle",
}


@dataclass(frozen=True)
class Registered:
    """A named learner: its class, a line about it, the options this name fixes, and whether it is one of the few that
    stand for all where it would take too long to try every learner.
    """

    name: str
    learner: type[Method]
    summary: str
    fixed: dict[str, Any] = field(default_factory=dict)
    typical: bool = False

    def build(self, options: dict[str, Any], setting: Setting) -> Method:
        """Construct the learner; `options` are fields of its Config."""
        return self.learner(self.learner.Config(**{**options, **self.fixed}), setting)


class UnknownMethodError(LookupError):
    """No learner of that name; the message lists the nearest ones."""


_registered: dict[str, Registered] = {}


def register(name: str, summary: str, *, typical: bool = False, **fixed: Any) -> Callable[[M], M]:
    """Class decorator: make a learner available as `name`, with the options in `fixed` set for good.

    Raises:
        ValueError: the name would not do in paths and tables, or is a built-in learner's.
        TypeError: the class is not derived from `Method`, or its Config is no dataclass.
    """
    if len(name) > 60 or not _NAME.fullmatch(name):
        raise ValueError(
            "a method's name should be letters, digits and any of - + . _, beginning with a letter or digit, at most 60"
            f" characters, found {name[:80]!r}"
        )

    def decorate(learner: M) -> M:
        if not (isinstance(learner, type) and issubclass(learner, Method)):
            raise TypeError(f"{name!r} should be a class derived from methods.Method, found {learner!r}")
        if name in _HOMES and (learner.__module__ != _HOMES[name] or name in _registered):
            raise ValueError(f"{name!r} is a built-in method; register yours under another name")
        if not dataclasses.is_dataclass(getattr(learner, "Config", None)):
            raise TypeError(f"the Config of {name!r} ({learner.__name__}) should be a dataclass")
        _registered[name] = Registered(name, learner, summary, fixed, typical)
        return learner

    return decorate


def get(name: str) -> Registered:
    """The learner called `name`.

    Raises:
        UnknownMethodError: with a did-you-mean.
    """
    if name not in _registered and name in _HOMES:
        importlib.import_module(_HOMES[name])
    if name not in _registered:
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UnknownMethodError(f"no method {name!r}: {hint}known are {', '.join(names())}")
    return _registered[name]


def names() -> list[str]:
    """All names, built-in and registered so far, sorted."""
    return sorted(_HOMES.keys() | _registered.keys())


def find(name: str) -> Registered | None:
    """The learner called `name`, or None: a record may be of a learner in somebody's own file, which is not loaded."""
    return get(name) if name in _registered or name in _HOMES else None


def names_with(capability: type) -> list[str]:
    """Names of the learners that have a capability (see `methods.capabilities`), sorted; imports them all."""
    return [name for name in names() if issubclass(get(name).learner, capability)]


def typical_names() -> list[str]:
    """Names of the learners that stand for all, sorted; imports them all."""
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
