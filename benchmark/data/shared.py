"""What is done about a picture that is in two splits: whoever is tested on what was trained on learns nothing.

- The published datasets, complete, are as everybody has them: such pictures are counted and named, not refused. (CIFAR
  has near-duplicates, see Barz and Denzler, "Do we train on test data? Purging CIFAR of near-duplicates", 2020.)
- Where the splits are the user's, only the user knows which of two copies is in the wrong place: refused, unless
  accepted with `htbench data --trust`.
- Where htbench draws the splits at random from a user's classes, a picture of two classes would be in two splits or
  not by the seed alone. It is used in one only: in testing rather than validation, in validation rather than training.

A whole class in two splits is refused everywhere. How many pictures are shared is in every record, and reports say it.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from benchmark.data.files.trust import check_trusted
from benchmark.data.pixels.repeated import Repeated, are, repeated_across
from benchmark.errors import UserError

Where = Callable[[str, int], str]
"""Names the picture in a row of a split."""


def shared_pictures(hashes: Mapping[str, np.ndarray]) -> int:
    """How many different pictures are in more than one split."""
    return len({hashes[one.first_split][one.first] for one in repeated_across(hashes)})


def refuse(data: str, repeated: Sequence[Repeated], where: Where) -> None:
    """Refuse pictures that are in two splits, unless the user said that it has to be so.

    Args:
        data: fingerprint of the data, for which it may have been said.
        repeated: the pictures.
        where: names one.

    Raises:
        UserError: naming the first of them.
    """
    if not repeated:
        return
    one, rows = repeated[0], {(pair.other_split, pair.other) for pair in repeated}
    more = f" ({are(len(rows))})" if len(rows) > 1 else ""
    refuse_unless_trusted(
        data,
        f"the same picture is in two splits{more}: {where(one.first_split, one.first)} in {one.first_split} and"
        f" {where(one.other_split, one.other)} in {one.other_split}; few-shot splits must not share pictures or"
        " classes",
    )


def refuse_unless_trusted(data: str, problem: str) -> None:
    """Refuse data whose splits share something, unless the user said of these data that it has to be so.

    Raises:
        UserError: with the problem, and what can be done.
    """
    check_trusted(
        hashlib.sha256(f"shared pictures: {data}".encode()).hexdigest(),
        problem,
        "Remove one of each, or accept it with 'htbench data GRID --trust' if it has to be so; reports will say so",
    )


def told(repeated: Sequence[Repeated], where: Where) -> list[str]:
    """A remark on pictures that are in two splits."""
    if not repeated:
        return []
    one, rows = repeated[0], {(pair.other_split, pair.other) for pair in repeated}
    return [
        f"{are(len(rows))} in two splits, such as {where(one.first_split, one.first)} in {one.first_split} and"
        f" {where(one.other_split, one.other)} in {one.other_split}"
    ]


def left_out(
    hashes: np.ndarray, classes: Mapping[str, Sequence[int]], first: np.ndarray, names: Sequence[str]
) -> dict[int, int]:
    """Which rows of a pool must not be used, so that no picture is in two splits, and the row that is used instead.

    Args:
        hashes: (M,) of the pool's pictures, grouped by class.
        classes: split name -> numbers of its classes in the pool, for splits drawn at random.
        first: (classes + 1,) first row of each class.
        names: of the classes.

    Raises:
        UserError: of some class more than half would be left out: it is one of two splits' classes twice.
    """
    rows = {s: np.concatenate([np.arange(first[c], first[c + 1]) for c in members]) for s, members in classes.items()}
    kept_first = {split: rows[split] for split in ("test", "validation", "train")}
    found: dict[int, int] = {}
    for pair in repeated_across({split: hashes[mine] for split, mine in kept_first.items()}):
        found[int(rows[pair.other_split][pair.other])] = int(rows[pair.first_split][pair.first])
    for number, name in enumerate(names):
        mine = [row for row in found if first[number] <= row < first[number + 1]]
        size = int(first[number + 1] - first[number])
        if 2 * len(mine) > size:
            other = names[int(np.searchsorted(first, found[mine[0]], side="right")) - 1]
            raise UserError(
                f"{len(mine)} of the {size} pictures of class {name} are in class {other}, too, which is in another"
                " split; few-shot splits must not share classes. Remove one of the two classes, or join them"
            )
    return found
