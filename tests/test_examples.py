"""The examples under docs/ run as they stand."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "python.md").read_text()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like a checkout and may be written to."""
    for name in ("experiments", "results"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("MPLBACKEND", "agg")
    return tmp_path


def test_the_page_on_python(checkout: Path) -> None:
    """All its blocks, one after another in one process, and what they say is so."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 6
    (checkout / "page.py").write_text("\n".join(blocks))
    command = [sys.executable, "-P", "page.py"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" done ") >= 4  # the state of every cell in the printed frame
    assert "on 200 shared episodes" in done.stdout
    right = re.search(r"^([\d.]+)% of the queries are right", done.stdout, flags=re.MULTILINE)
    assert right and float(right[1]) > 40  # twice what guessing gives, of 750 queries
    loop = next(block for block in blocks if "registry.get" in block)
    assert len(loop.splitlines()) <= 10


def test_the_notebook(checkout: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    book: Any = nbformat.read(ROOT / "docs" / "first-results.ipynb", as_version=4)
    NotebookClient(book, timeout=400, resources={"metadata": {"path": str(checkout)}}).execute()
    shown = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    assert "on 200 shared episodes" in str(shown) and "test accuracy" in str(shown)
    assert any("image/png" in output.get("data", {}) for output in shown)


def test_importing_benchmark_is_light_and_its_face_is_whole() -> None:
    code = (
        "import sys, benchmark; assert not {'torch', 'pandas', 'numpy', 'pydantic'} & sys.modules.keys();"
        "print([getattr(benchmark, name).__name__ for name in benchmark.__all__]);"
        "print(hasattr(benchmark, 'nonsense'))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "['Grid', 'Results', 'UserError', 'load_results', 'read_grid', 'run']",
        "False",
    ], done.stderr
