"""What becomes of everything that can lie in a folder."""

import os
import socket
from pathlib import Path

import pytest

from benchmark.data.files.listing import Listing, look
from benchmark.errors import UserError
from tests.benchmark.data.pictures import noise


def whys(listing: Listing, fate: str) -> dict[str, str]:
    """Path relative to the folder -> why, of the things with one fate."""
    return {str(remark.path.relative_to(listing.folder)): remark.why for remark in getattr(listing, fate)}


def used(listing: Listing) -> list[str]:
    return [str(path.relative_to(listing.folder)) for path in listing.used]


def test_hidden_things_and_other_files_are_ignored(tmp_path: Path) -> None:
    noise(tmp_path / "a.png")
    noise(tmp_path / ".ipynb_checkpoints" / "a-checkpoint.png")
    noise(tmp_path / "deep" / ".hidden.png")
    noise(tmp_path / "__MACOSX" / "a.png")
    (tmp_path / "Thumbs.db").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("")
    found = look(tmp_path)
    assert used(found) == ["a.png"]
    assert set(whys(found, "ignored")) == {
        ".ipynb_checkpoints", "__MACOSX", "deep/.hidden.png", "Thumbs.db", "notes.txt",
    }  # fmt: skip
    assert not found.suspicious and not found.refused


def test_pictures_that_are_not_read_are_named(tmp_path: Path) -> None:
    for name in ("1.heic", "2.SVG", "3.jp2"):
        (tmp_path / name).write_bytes(b"any")
    for number, kind in enumerate(("png", "jpg", "gif", "tif", "webp")):
        noise(tmp_path / f"x.{kind}").rename(tmp_path / f"{number}.dat")
    noise(tmp_path / "x.png").rename(tmp_path / "without")
    found = look(tmp_path)
    assert not found.used and not found.ignored
    reasons = whys(found, "suspicious")
    assert all("format that is not read" in reasons[name] for name in ("1.heic", "2.SVG", "3.jp2"))
    kinds = [reasons[f"{number}.dat"].split()[1] for number in range(5)]
    assert kinds == ["PNG", "JPEG", "GIF", "TIFF", "WebP"]
    assert "does not end as a picture's" in reasons["without"]
    with pytest.raises(UserError, match=r"has no images \(.png.*left out: .*0\.dat: a PNG picture.* and 6 more$"):
        found.pictures()


def test_links_are_followed_but_not_back(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    noise(inside / "sub" / "a.png")
    noise(outside / "b.png")
    (inside / "linked").symlink_to(outside)
    (inside / "file.png").symlink_to(outside / "b.png")
    (inside / "sub" / "back").symlink_to(inside)
    (outside / "again").symlink_to(outside)
    found = look(inside)
    assert used(found) == ["file.png", "linked/b.png", "sub/a.png"]
    reasons = whys(found, "suspicious")
    assert reasons["sub/back"] == f"a link back to {inside}; it is not followed"
    assert reasons["linked/again"] == f"a link back to {outside}; it is not followed"
    assert reasons["linked"] == f"a link to the folder {outside}; what is in it is used"


def test_what_seems_to_be_a_picture_and_is_not_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dead.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "folder").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "self.jpg").symlink_to(tmp_path / "self.jpg")
    (tmp_path / "empty.png").touch()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "notes.txt").symlink_to(tmp_path / "gone.txt")
    os.mkfifo(tmp_path / "queue")
    found = look(tmp_path)  # and opens no pipe, which would wait for ever
    assert whys(found, "refused") == {
        "dead.png": f"a dead link to {tmp_path}/gone.png",
        "empty.png": "an empty file",
        "folder": f"a dead link to {tmp_path}/elsewhere",
        "pipe.png": "a pipe, socket or device, not a file",
        "self.jpg": "a link that leads to itself",
    }
    assert set(whys(found, "ignored")) == {"notes.txt", "queue"}
    with pytest.raises(UserError, match=r"dead\.png: a dead link.*; and 2 more; repair or remove them$"):
        found.pictures()


def test_a_socket_named_like_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.png")
        assert whys(look(tmp_path), "refused") == {"s.png": "a pipe, socket or device, not a file"}


def test_a_folder_named_like_a_picture_is_a_folder(tmp_path: Path) -> None:
    noise(tmp_path / "album.png" / "a.png")
    found = look(tmp_path)
    assert used(found) == ["album.png/a.png"]
    assert whys(found, "suspicious") == {"album.png": "a folder named like a picture; what is in it is used"}


def test_a_name_that_is_not_text(tmp_path: Path) -> None:
    noise(tmp_path / "a.png").rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png"))
    (why,) = whys(look(tmp_path), "refused").values()
    assert why == "its name is not UTF-8; rename it"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read(tmp_path: Path) -> None:
    noise(tmp_path / "a.png").chmod(0)
    noise(tmp_path / "locked" / "b.png")
    (tmp_path / "locked").chmod(0)
    try:
        assert whys(look(tmp_path), "refused") == {
            "a.png": "not readable (permission denied)",
            "locked": "the folder cannot be read (Permission denied)",
        }
    finally:
        (tmp_path / "locked").chmod(0o700)
