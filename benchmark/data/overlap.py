"""Whether a method has been trained on what it is tested on: told by the pictures, whatever their names are."""

from benchmark.data.dataset import ClassImages
from benchmark.data.official import OfficialRuns
from benchmark.errors import UserError

SHARE = 0.5
"""Of a class's pictures: with more than that among the training pictures it is a training class. Single strokes, or
blank pictures, may be alike by chance."""


def check_unseen(train: ClassImages, test: ClassImages | OfficialRuns, name: str) -> None:
    """Refuse a test whose classes a method was trained on.

    Args:
        train: the training split of another dataset than the test's; splits of one dataset have no class in common.
        test: what it draws from, with images of the same shape.
        name: of the test.

    Raises:
        UserError: naming such classes.
    """
    seen = {image.numpy().tobytes() for image in train.images}
    if isinstance(test, OfficialRuns):
        pictures = [*test.support.flatten(0, 1), *test.query.flatten(0, 1)]
        found = sum(image.numpy().tobytes() in seen for image in pictures)
        if found > SHARE * len(pictures):
            raise UserError(f"{found} of the {len(pictures)} pictures of test {name!r} are training pictures here")
        return
    known = []
    for number, label in enumerate(test.names):
        images = test.images[int(test.first[number]) : int(test.first[number + 1])]
        if sum(image.numpy().tobytes() in seen for image in images) > SHARE * len(images):
            known.append(label)
    if known:
        more = f" and {len(known) - 3} more" if len(known) > 3 else ""
        raise UserError(
            f"test {name!r} has {len(known)} classes that are trained on here: {', '.join(known[:3])}{more}; test on"
            " classes that no training saw"
        )
