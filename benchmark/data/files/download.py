"""Fetching a dataset's archives: whole and verified, or not at all."""

import http.client
import tempfile
from pathlib import Path

from benchmark.errors import UserError


def fetch(url: str, path: Path, md5: str | None, remedy: str) -> None:
    """Download `url` to `path` with torchvision's utility, under a temporary name until its checksum is verified.

    Args:
        url: what to download.
        path: where to put it; nothing happens if it exists.
        md5: the file's published checksum; None if none was published, so that the caller has to look at the content.
        remedy: a sentence for the user who has no network or gets another file.

    Raises:
        UserError: no network, no such file, wrong checksum, or the folder cannot be written.
    """
    if path.exists():
        return
    from torchvision.datasets.utils import download_url

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".download-") as folder:
            download_url(url, folder, path.name, md5)
            (Path(folder) / path.name).replace(path)
    except RuntimeError as error:  # torchvision's word for a wrong checksum
        raise UserError(f"{path} is missing, and {url} serves a file whose MD5 is not {md5}. {remedy}") from error
    except (OSError, http.client.HTTPException) as error:
        raise UserError(f"{path} is missing and cannot be downloaded from {url}: {error}. {remedy}") from error
