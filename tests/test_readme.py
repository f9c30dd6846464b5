"""What the README shows works as shown."""

import re
import textwrap
from pathlib import Path

from benchmark.grid import read_grid

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def block(start: str) -> str:
    """The indented block of the README that begins with `start`."""
    found = re.search(rf"^    {re.escape(start)}.*?(?=^\S)", README, flags=re.MULTILINE | re.DOTALL)
    assert found is not None
    return textwrap.dedent(found.group())


def test_the_grid_resolves(tmp_path: Path) -> None:
    (tmp_path / "first.yaml").write_text(block("name: first"))
    assert len(read_grid(tmp_path / "first.yaml").cells) == 3 * 2 * 3


def test_every_command_exists() -> None:
    from typer.main import get_command

    from benchmark.cli import app

    known = set(get_command(app).commands)  # type: ignore[attr-defined]
    named = set(re.findall(r"(?:^    |`)(?:\.venv/bin/)?htbench (\w+)", README, flags=re.MULTILINE))
    assert named and named <= known, named - known
