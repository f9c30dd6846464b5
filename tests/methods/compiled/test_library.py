"""Compiling, keeping what was compiled, and choosing a path."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from methods.compiled import library
from methods.compiled.block import convolve_pool, takes

QUICK = ("-std=c++17", "-O0", "-march=native", "-shared", "-fPIC")


@pytest.fixture
def fresh(user_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache and a process that has compiled nothing, in little time."""
    monkeypatch.delenv(library.VARIABLE, raising=False)
    monkeypatch.setattr(library, "FLAGS", QUICK)
    library._compiled.cache_clear()
    yield user_cache / "htbench" / "compiled"
    library._compiled.cache_clear()


@pytest.fixture
def compiler(fresh: Path) -> Path:
    """The same, where there is a compiler."""
    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        pytest.skip("there is no C++ compiler")
    return fresh


@pytest.fixture(scope="module")
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the library in it."""
    user_cache = tmp_path_factory.mktemp("compiled-once")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(user_cache))
        patch.delenv(library.VARIABLE, raising=False)
        patch.setattr(library, "FLAGS", QUICK)
        library._compiled.cache_clear()
        library.load()
        library._compiled.cache_clear()
    return user_cache / "htbench" / "compiled"


@pytest.fixture
def kept(compiler: Path, compiled_once: Path) -> Path:
    """As `compiler`, with a library that another process has compiled."""
    shutil.copytree(compiled_once, compiler)
    return compiler


def again() -> bool:
    """Whether the library loads as in a new process."""
    library._compiled.cache_clear()
    return library.load() is not None


def libraries(cache: Path) -> list[Path]:
    return sorted(cache.glob("*"))


def test_without_a_compiler_pytorch_does_the_work(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    assert library.load() is None
    assert library.describe() == "torch: there is no C++ compiler (c++, g++ or clang++)"
    assert not takes(torch.zeros(1, 4, 2, 2), torch.zeros(1, 4, 4, 3, 3), None)
    monkeypatch.setenv(library.VARIABLE, "compiled")
    with pytest.raises(library.UnavailableError, match=r"is to be compiled, but there is no C\+\+ compiler"):
        library.load()


def test_a_compiler_that_fails_is_named(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "false")
    assert library.load() is None
    assert "false failed: exit status 1" in library.describe()


def test_a_cache_that_cannot_be_written_is_no_error(compiler: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler.parent.parent.write_text("a file where a folder should be")
    assert library.load() is None
    assert library.describe().startswith("torch: it could not be compiled")


def test_is_compiled_once_and_found_again(compiler: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert library.load() is not None
    (built,) = libraries(compiler)
    assert compiler.stat().st_mode & 0o077 == 0  # what lies there is executed
    monkeypatch.setattr(library, "_compile", None)
    assert again()
    assert libraries(compiler) == [built]
    assert library.describe().startswith(f"compiled {built.name[:16]} by ")


def test_a_damaged_library_is_compiled_anew(kept: Path) -> None:
    assert library.load() is not None
    (built,) = libraries(kept)
    whole = built.read_bytes()
    built.unlink()  # not written over: this process has it in use
    built.write_bytes(whole[:5000])
    assert again()
    assert libraries(kept) == [built]
    assert built.read_bytes() == whole


@pytest.mark.usefixtures("kept")
def test_other_flags_make_another_library(monkeypatch: pytest.MonkeyPatch) -> None:
    assert library.load() is not None
    first = library.describe()
    monkeypatch.setattr(library, "FLAGS", (*library.FLAGS, "-DANOTHER"))
    assert again()
    assert library.describe() != first


def test_several_may_compile_at_the_same_time(compiler: Path) -> None:
    sources = [Path(library.__file__).parent / name for name in library.SOURCES]
    found = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))))
    cache = library._cache()
    with ThreadPoolExecutor(3) as pool:
        built = list(pool.map(lambda _: library._compile(found, sources, cache, "key"), range(3)))
    assert all(file.exists() for file in built)
    assert set(libraries(cache)) == set(built)  # and nothing half done
    assert library._kept(cache, "key") in built


@pytest.mark.usefixtures("compiled")
def test_says_which_path_was_taken() -> None:
    before = library.calls()
    assert library.taken(before) == "torch"
    convolve_pool(torch.zeros(1, 4, 2, 2), torch.zeros(1, 4, 4, 3, 3))
    assert library.taken(before) == library.describe()
    assert library.taken(before).startswith("compiled ")
    assert library.taken(library.calls()) == "torch"
    with library.chosen("torch"):
        assert library.describe() == "torch, as chosen"


def test_an_unknown_path_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(library.VARIABLE, "fast")
    with pytest.raises(library.UnavailableError, match="auto, compiled or torch, not 'fast'"):
        library.load()
