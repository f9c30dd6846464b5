"""Classes as folders: which there are, which are left out, and the account of everything that lies there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.data.files.listing import Listing, Remark, judge, look, merged
from benchmark.data.files.split_names import named_splits
from benchmark.errors import UserError

MOST_SHOWN = 12
"""Lines of an account about things of one kind."""


@dataclass(frozen=True)
class ClassFolders:
    """The classes of a folder.

    Attributes:
        folder: which.
        classes: name -> what is in its folder, sorted by name.
        small: classes left out for having too few pictures.
        beside: what lies beside the class folders.
    """

    folder: Path
    classes: Mapping[str, Listing]
    small: Mapping[str, Listing]
    beside: Listing

    def files(self) -> dict[str, list[Path]]:
        """Class name -> its pictures, both sorted.

        Raises:
            UserError: fewer than two classes, one without pictures, or something that is refused.
        """
        self.beside.check()
        if len(self.classes) < 2:
            left_out = f" ({len(self.small)} have too few pictures for min_images)" if self.small else ""
            raise UserError(
                f"{self.folder} has {len(self.classes)} class folders{left_out}; at least 2 are needed, each with its"
                " images inside"
            )
        return {name: listing.pictures() for name, listing in self.classes.items()}

    @property
    def whole(self) -> Listing:
        """Everything as one listing."""
        return merged(self.folder, [self.beside, *self.classes.values()])

    def facts(self) -> dict[str, Any]:
        """The account of it as JSON has it: paths are below `folder`."""
        whole = self.whole
        return {
            "folder": str(self.folder),
            "classes": {name: len(listing.used) for name, listing in self.classes.items()},
            "left_out": {name: len(listing.used) for name, listing in self.small.items()},
            "used": [str(path.relative_to(self.folder)) for path in whole.used],
            **{
                fate: [{"path": str(r.path.relative_to(self.folder)), "why": r.why} for r in getattr(whole, fate)]
                for fate in ("ignored", "suspicious", "refused")
            },
            "hint": self.hint(),
        }

    def hint(self) -> str | None:
        """A word on classes that look like groups of classes: their pictures lie in several folders of their own."""
        nested = [listing for listing in self.classes.values() if len(_folders_below(listing)) > 1]
        if len(nested) * 2 <= len(self.classes):
            return None
        below = [folder for listing in nested for folder in _folders_below(listing)]
        return (
            f"{len(nested)} of the {len(self.classes)} classes have their pictures in folders of their own,"
            f" {len(below)} in all, such as {below[0].relative_to(self.folder)}. If those are the classes (as the"
            " characters in Omniglot's alphabets), put these folders side by side; as it is, each of"
            f" {', '.join(list(self.classes)[:2])} ... is one class"
        )


def class_folders(folder: Path, min_images: int = 1) -> ClassFolders:
    """The class folders in a folder; those with fewer than `min_images` pictures are left out if that is above 1.

    Raises:
        UserError: it is no folder, or cannot be read.
    """
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise UserError(
            f"{folder} cannot be read ({error.strerror}); give a folder with one folder per class"
        ) from error
    classes: dict[str, Listing] = {}
    lying: dict[str, list[Remark]] = {"ignored": [], "suspicious": [], "refused": []}
    for path in paths:
        fate, why, identity = judge(path)
        if identity is not None:
            classes[path.name] = look(path)
        if fate == "used" and identity is None:
            lying["suspicious"].append(Remark(path, "beside the class folders, so of no class; it is not used"))
        elif why:
            lying[fate].append(Remark(path, why))
    small = {name: listing for name, listing in classes.items() if len(listing.used) < min_images and min_images > 1}
    return ClassFolders(
        folder,
        {name: listing for name, listing in classes.items() if name not in small},
        small,
        Listing(folder, (), *(tuple(lying[fate]) for fate in ("ignored", "suspicious", "refused"))),
    )


def split_folders(path: Path, min_images: int = 1) -> dict[str, ClassFolders]:
    """The classes of train, validation and test, or all of them under the name `all`.

    Raises:
        UserError: no such folder, or one named train without the other two.
    """
    if not path.is_dir():
        raise UserError(f"dataset.path: {path} is not a folder; give one that has a folder of images per class")
    found = named_splits(path, ["{}"], folders=True)
    if len(found) < 3:
        if "train" in found and found["train"].name.lower().startswith("train"):
            missing = " or ".join(split for split in ("train", "validation", "test") if split not in found)
            raise UserError(
                f"dataset.path: {path} has a folder {found['train'].name}, but no folder {missing}; "
                "give all of train, validation and test (each with a folder per class), or the classes alone"
            )
        return {"all": class_folders(path, min_images)}
    return {split: class_folders(found[split], min_images) for split in ("train", "validation", "test")}


def account(splits: Mapping[str, ClassFolders]) -> Iterator[str]:
    """Lines for the terminal: what is used, what is left out, and what is worth a look."""
    for split, found in splits.items():
        whole = found.whole
        counts = {name: len(listing.used) for name, listing in found.classes.items()}
        yield (
            f"{found.folder}{'' if split == 'all' else f' ({split})'}: {len(counts)} classes with {len(whole.used)}"
            f" pictures used, {len(whole.ignored)} things ignored, {len(whole.suspicious)} suspicious,"
            f" {len(whole.refused)} refused"
        )
        if found.small:
            yield from shown(
                "left out",
                [f"class {name}: {_pictures(len(s.used))}, fewer than min_images" for name, s in found.small.items()],
            )
        if counts:
            smallest = min(counts.values())
            named = [name for name, count in counts.items() if count == smallest]
            if smallest < max(counts.values()):
                more = f" and {len(named) - 5} more" if len(named) > 5 else ""
                yield f"  smallest   {_pictures(smallest)} in class {', '.join(named[:5])}{more}"
        if hint := found.hint():
            yield f"  hint       {hint}"
        for fate in ("refused", "suspicious", "ignored"):
            remarks: tuple[Remark, ...] = getattr(whole, fate)
            yield from shown(fate, [f"{r.path.relative_to(found.folder)}: {r.why}" for r in remarks])


def shown(kind: str, lines: list[str]) -> Iterator[str]:
    """The first of the lines about things of one kind, each under the kind's name."""
    for line in lines[:MOST_SHOWN]:
        yield f"  {kind:<10} {line}"
    if len(lines) > MOST_SHOWN:
        yield f"  {kind:<10} and {len(lines) - MOST_SHOWN} more"


def _pictures(count: int) -> str:
    return f"{count} picture{'' if count == 1 else 's'}"


def _folders_below(listing: Listing) -> list[Path]:
    """The folders right inside that have pictures; none if there are pictures beside them."""
    inside = [path.relative_to(listing.folder).parts for path in listing.used]
    if any(len(parts) == 1 for parts in inside):
        return []
    return [listing.folder / name for name in dict.fromkeys(parts[0] for parts in inside)]
