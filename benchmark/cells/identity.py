"""Whether a cell's result is today's: the same options, settings, data and code, or which of them differ.

A result may be of another method than the one that would be run now under the same key: its plugin was edited, or a
default changed that the key leaves out. Then it is out of date, and the cell is trained again. Where only built-in code
or the archive of a dataset differs, the numbers may or may not be the same: the result counts, and says so.
Settings that were added since, with their defaults, change nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.cells.config import CellConfig
from benchmark.cells.folder import CellFolder, State
from benchmark.cells.options import default_options
from benchmark.cells.result import Origin
from benchmark.cells.source import built_in_sha256, plugin_sha256
from benchmark.data.configs import DatasetConfig, FolderConfig
from benchmark.errors import UserError
from methods import registry


@dataclass(frozen=True)
class Difference:
    """One way in which a result is not of today.

    Attributes:
        text: as it follows "done, ".
        outdates: whether the result is of another method or setting, and no longer counts.
        stale: whether `htbench run --stale` trains the cell again.
    """

    text: str
    outdates: bool = False
    stale: bool = True


@dataclass(frozen=True)
class Standing:
    """How far a cell is, seen from today.

    Attributes:
        state: as on disk, or "outdated".
        note: why, in one line; for finished cells how they differ from today's.
        stale: whether `htbench run --stale` trains it again.
    """

    state: State
    note: str = ""
    stale: bool = False


def origin_today(config: CellConfig) -> Origin:
    """What a result of the cell would be made from now; imports its plugins."""
    for plugin in config.plugins:
        registry.load_plugin(Path(plugin))
    method = registry.get(config.method)
    return Origin(
        options=default_options(method) | config.model,
        plugin=plugin_sha256(method.where.partition(":")[0]),
        code=built_in_sha256(method.where, config.dataset.names),
    )


def standing(config: CellConfig, store: CellFolder) -> Standing:
    """How far the cell is, and whether what is there is what would come of it today."""
    state = store.state()
    if state in ("missing", "running"):
        return Standing(state)
    if state == "damaged":
        return Standing(state, store.damage())
    result = store.result()
    if result is not None and result.key != config.key:
        return Standing("damaged", f"{store.folder / 'result.json'} is the record of another cell, {result.key}")
    origin = result.origin if result is not None else store.origin()
    sha256 = result.data.sha256 if result is not None and result.data is not None else None
    found = list(differences(store.config(), origin, sha256, config))
    outdating = [difference.text for difference in found if difference.outdates]
    if outdating:
        return Standing("outdated", "; ".join(outdating))
    if state == "failed":
        assert result is not None and result.failure is not None
        return Standing(state, result.failure.reason)
    if state == "interrupted":
        return Standing(state)
    return Standing(state, "; ".join(difference.text for difference in found), any(d.stale for d in found))


def differences(was: CellConfig, origin: Origin, data: str | None, config: CellConfig) -> Iterator[Difference]:
    """How what a result was made from differs from today's; nothing for a method that is not here.

    Args:
        was: the configuration when it was made, with all its defaults.
        origin: as recorded.
        data: the SHA-256 of its data; None if it has none yet.
        config: the cell today.
    """
    if registry.find(config.method) is None:
        return
    today = origin_today(config)
    if origin.plugin is not None and origin.plugin != today.plugin:
        changed = "its plugin was edited" if today.plugin is not None else "it was a plugin's method"
        yield Difference(f"{changed} since", outdates=True)
    yield from _changed("option", origin.options, today.options)
    then, now = _flat(was.settings()), _flat(config.settings())
    yield from _changed("setting", then, now)
    if origin.code is None:
        yield Difference("code not recorded", stale=False)
    elif origin.code != today.code:
        yield Difference("with older code")
    found = None if data is None else data_today(config.dataset)
    if found is not None and data != found:
        yield Difference("with other data")


def data_today(config: DatasetConfig) -> str | None:
    """SHA-256 of a dataset as it is here now, or None if that is not known; nothing is downloaded.

    Also None for a user's own pictures, whose content is part of the cell's key.
    """
    if isinstance(config, FolderConfig):
        return None
    from benchmark import data

    try:
        return data.fingerprint(config)
    except UserError:
        return None


def _changed(kind: str, then: dict[str, Any], now: dict[str, Any]) -> Iterator[Difference]:
    """What has another value; what one of them lacks was added or taken away since."""
    for name, value in then.items():
        if name in now and now[name] != value:
            text = f"{kind} {name} was {value} and is now {now[name]}"
            yield Difference(text, outdates=True)


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings under dotted names, without the method's options, which are compared with their defaults."""
    return {
        f"{section}.{name}": value
        for section, part in settings.items()
        if isinstance(part, dict) and section != "model"
        for name, value in part.items()
    }
