"""Lake's runs from an archive of our own in their format, made of a small Omniglot's drawings, over a local server."""

import hashlib
import io
import random
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.data.files.drawings import Drawings
from benchmark.data.files.trust import trusting
from benchmark.data.lake_oneshot import ARCHIVE, INSIDE, load, read_runs
from benchmark.data.omniglot import Archive
from benchmark.errors import UserError
from tests.benchmark.data.local_server import serving

CHARACTERS, DRAWINGS = 26, 20
Files = dict[str, bytes]


def drawing(character: int, drawing: int) -> bytes:
    """One bit, white paper, dark strokes of a pattern of its own."""
    rng = np.random.default_rng([character, drawing])
    pixels = np.kron(rng.random((15, 15)) < 0.7, np.ones((7, 7))).astype(bool)
    file = io.BytesIO()
    Image.fromarray(pixels).convert("1").save(file, "PNG")
    return file.getvalue()


def omniglot(folder: Path) -> list[Archive]:
    """An archive of one background character and one of an evaluation alphabet."""
    made = []
    for stem, alphabet, numbers in (("background", "Greek", [99]), ("evaluation", "Angelic", range(CHARACTERS))):
        path = folder / f"images_{stem}.zip"
        with zipfile.ZipFile(path, "w") as file:
            for number in numbers:
                for one in range(DRAWINGS):
                    name = f"images_{stem}/{alphabet}/character{number:02}/{number:04}_{one + 1:02}.png"
                    file.writestr(name, drawing(number, one))
        made.append(Archive(path.name, hashlib.md5(path.read_bytes()).hexdigest(), len(numbers)))
    return made


def runs(seed: int = 0) -> tuple[Files, np.ndarray]:
    """The files of 20 runs, and which class each item has, (20, 20)."""
    rng = random.Random(seed)
    files: Files = {}
    labels = np.empty((20, 20), dtype=int)
    for run in range(20):
        chosen = rng.sample(range(CHARACTERS), 20)
        first, second = rng.sample(range(DRAWINGS), 2)
        order = rng.sample(range(20), 20)
        lines = []
        for place, character in enumerate(chosen):
            files[f"run{run + 1:02}/training/class{place + 1:02}.png"] = drawing(character, first)
        for item, place in enumerate(order):
            files[f"run{run + 1:02}/test/item{item + 1:02}.png"] = drawing(chosen[place], second)
            labels[run, item] = place
            lines.append(f"run{run + 1:02}/test/item{item + 1:02}.png run{run + 1:02}/training/class{place + 1:02}.png")
        rng.shuffle(lines)
        files[f"run{run + 1:02}/class_labels.txt"] = "\n".join(lines).encode()
    return files, labels


def pack(path: Path, files: Files, prefix: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(files, reverse=True):
            archive.writestr(prefix + name, files[name])
        archive.writestr("__MACOSX/run01/._class_labels.txt", b"\0")


@pytest.fixture(scope="module")
def made() -> tuple[Files, np.ndarray]:
    return runs()


@pytest.fixture
def archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Archive]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "origin").mkdir()
    return omniglot(tmp_path / "origin")


@pytest.fixture
def url(tmp_path: Path, archives: list[Archive]) -> Iterator[str]:
    with serving(tmp_path / "origin") as address:
        yield address


def test_downloaded_checked_and_read(
    tmp_path: Path, url: str, archives: list[Archive], made: tuple[Files, np.ndarray]
) -> None:
    files, labels = made
    pack(tmp_path / "origin" / INSIDE / ARCHIVE, files)
    found = load(tmp_path / "data", archives, url)
    assert (tmp_path / "data" / "omniglot" / ARCHIVE).is_file()
    assert np.array_equal(found.labels.numpy(), labels)
    episode = found.episode()
    assert episode.support_images.shape == episode.query_images.shape == (20, 20, 1, 28, 28)
    assert episode.support_labels.tolist() == [list(range(20))] * 20
    # Each picture is that of its file, made by hand: grey, resized, ink bright.
    for tensor, name in (
        (episode.support_images[2, 6], "training/class07"),
        (episode.query_images[2, 4], "test/item05"),
    ):
        with Image.open(io.BytesIO(files[f"run03/{name}.png"])) as image:
            grey = np.asarray(image.convert("L").resize((28, 28), Image.Resampling.LANCZOS))
        assert np.allclose(tensor[0].numpy(), (255 - grey) / 255)


def test_wherever_the_archive_lies_and_however_it_is_packed(tmp_path: Path, made: tuple[Files, np.ndarray]) -> None:
    files, _ = made
    pack(tmp_path / "a.zip", files)
    pack(tmp_path / "b.zip", files, prefix="all_runs/")
    for name, content in files.items():
        path = tmp_path / "unpacked" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    plain = tuple(sorted(path for path in (tmp_path / "unpacked").rglob("*") if path.is_file()))
    parts = [Drawings(tmp_path / name, (tmp_path / name,)) for name in ("a.zip", "b.zip")]
    hashes = {read_runs(part).sha256 for part in (*parts, Drawings(tmp_path / "unpacked", plain))}
    assert len(hashes) == 1


def test_an_unpacked_folder_is_found(
    tmp_path: Path, url: str, archives: list[Archive], made: tuple[Files, np.ndarray]
) -> None:
    files, _ = made
    for name, content in files.items():
        path = tmp_path / "data" / "omniglot" / INSIDE / "all_runs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    assert load(tmp_path / "data", archives, url).labels.shape == (20, 20)


def test_without_a_network_it_says_what_to_put_where(tmp_path: Path, archives: list[Archive]) -> None:
    with pytest.raises(UserError, match=rf"cannot be downloaded .*Get {ARCHIVE} from .*python/{INSIDE}.* put it into"):
        load(tmp_path / "data", archives, "http://127.0.0.1:9")


Change = Callable[[Files], object]

BROKEN: dict[str, tuple[Change, str]] = {
    "a picture is missing": (lambda f: f.pop("run07/test/item03.png"), r"run07 lacks test/item03\.png"),
    "a run is missing": (lambda f: [f.pop(n) for n in list(f) if "run20" in n], "run20 lacks class_labels.txt"),
    "no picture": (lambda f: f.update({"run07/test/item03.png": b"x"}), "item03.png is damaged"),
    "labels of another form": (lambda f: f.update({"run01/class_labels.txt": b"1 2"}), "class_labels.txt, line 1"),
    "too few labels": (
        lambda f: f.update({"run01/class_labels.txt": f["run01/class_labels.txt"].splitlines()[0]}),
        "should name 20 items once each, found 1",
    ),
    "an item twice": (
        lambda f: f.update({"run01/class_labels.txt": f["run01/class_labels.txt"].splitlines()[0] + b"\n" * 2 +
                            f["run01/class_labels.txt"].splitlines()[0]}),
        "line 3: item.. has a class already",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_not_as_published_is_refused(name: str, tmp_path: Path, made: tuple[Files, np.ndarray]) -> None:
    change, message = BROKEN[name]
    files = dict(made[0])
    change(files)
    pack(tmp_path / ARCHIVE, files)
    with pytest.raises(UserError, match=message):
        read_runs(Drawings(tmp_path / ARCHIVE, (tmp_path / ARCHIVE,)))


def test_no_archive_at_all_is_refused(tmp_path: Path) -> None:
    (tmp_path / ARCHIVE).write_bytes(b"PK but no more")
    with pytest.raises(UserError, match="cannot be read"):
        read_runs(Drawings(tmp_path / ARCHIVE, (tmp_path / ARCHIVE,)))


STRANGE: dict[str, tuple[Change, str]] = {
    "a picture that nobody drew": (lambda f: f.update({"run01/training/class01.png": drawing(500, 0)}), "1 of its 800"),
    "two labels exchanged": (
        lambda f: f.update({"run01/class_labels.txt": f["run01/class_labels.txt"].replace(b"class01", b"classXX")
                            .replace(b"class02", b"class01").replace(b"classXX", b"class02")}),
        "2 of its queries are of another character",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STRANGE)
def test_pictures_that_omniglot_does_not_have_must_be_trusted(
    name: str, tmp_path: Path, url: str, archives: list[Archive], made: tuple[Files, np.ndarray]
) -> None:
    change, message = STRANGE[name]
    files = dict(made[0])
    change(files)
    pack(tmp_path / "origin" / INSIDE / ARCHIVE, files)
    with pytest.raises(UserError, match=f"no published checksum, and {message}.*--trust"):
        load(tmp_path / "data", archives, url)
    with trusting():
        trusted = load(tmp_path / "data", archives, url)
    assert load(tmp_path / "data", archives, url).sha256 == trusted.sha256


def test_scored_as_a_loop_over_runs_would(tmp_path: Path, made: tuple[Files, np.ndarray]) -> None:
    """Nearest picture, from the files alone, against a method that does the same with episodes."""
    from benchmark.cells.config import FurtherTest
    from benchmark.cells.further import LAKE, LAKE_RUNS, LAKE_SHAPE
    from benchmark.data.configs import LakeOneshotConfig
    from benchmark.scoring.further import run_further_test
    from methods import Episode, Method

    class Nearest(Method):
        def forward(self, episode: Episode) -> torch.Tensor:
            return -torch.cdist(episode.query_images.flatten(2), episode.support_images.flatten(2))

        def solver_parameters(self, ways: int) -> int:
            return 0

    files, labels = made
    pack(tmp_path / ARCHIVE, files)
    found = read_runs(Drawings(tmp_path / ARCHIVE, (tmp_path / ARCHIVE,)))
    test = FurtherTest(name=LAKE, dataset=LakeOneshotConfig(name=LAKE), episodes=LAKE_SHAPE, count=LAKE_RUNS, seed=0)
    score, accuracy = run_further_test(Nearest(), test, found, found.sha256)

    def pixels(name: str) -> np.ndarray:
        with Image.open(io.BytesIO(files[name])) as image:
            return np.asarray(image.convert("L").resize((28, 28), Image.Resampling.LANCZOS), dtype=float).ravel()

    expected = []
    for run in range(1, 21):
        classes = [pixels(f"run{run:02}/training/class{n:02}.png") for n in range(1, 21)]
        items = [pixels(f"run{run:02}/test/item{n:02}.png") for n in range(1, 21)]
        chosen = [int(np.argmin([np.sum((item - one) ** 2) for one in classes])) for item in items]
        expected.append(np.mean(np.array(chosen) == labels[run - 1]))
    assert np.allclose(accuracy, expected) and score.sha256 == found.sha256 and score.episodes == 20
