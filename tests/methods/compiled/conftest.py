"""The compiled path, for the tests of this folder."""

from collections.abc import Iterator

import pytest

from methods.compiled import library


@pytest.fixture
def compiled() -> Iterator[None]:
    """Takes the compiled path, whatever the environment says; skips where there is no compiler."""
    with library.chosen("auto"):
        if library.load() is None:
            pytest.skip(library.describe())
        yield
