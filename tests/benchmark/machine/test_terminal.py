"""Text from elsewhere on the terminal, and terminals of other encodings."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table

from benchmark.machine.terminal import Terminal, encodable, harmless
from tests.benchmark.helpers import ROOT, write_grid

NASTY = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\r\x9b1A\u202eabc"


def test_control_characters_are_spelt_out() -> None:
    shown = harmless(NASTY + "\tand\n")
    assert shown == r"\x1b]0;owned\x07\x1b[2J\x1b[31mred\r\x9b1A\u202eabc" + "\tand\n"
    assert harmless("98.21 ± 0.05 é 漢") == "98.21 ± 0.05 é 漢"


@pytest.mark.parametrize("terminal", [False, True])
def test_only_styles_of_our_own_reach_the_terminal(terminal: bool) -> None:
    file = io.StringIO()
    console = Terminal(file=file, force_terminal=terminal, width=200, color_system="standard" if terminal else None)
    table = Table()
    table.add_column(NASTY)
    table.add_row(NASTY)
    console.print(table)
    console.print(NASTY, style="red", markup=False, highlight=False)
    text = file.getvalue()
    assert text.count(r"\x1b]0;owned") == 3
    assert not re.search(r"[\x07\r\x9b\u202e]", text)
    codes = set(re.findall(r"\x1b[^m]*m?", text))
    assert all(re.fullmatch(r"\x1b\[[\d;]*m", code) for code in codes)
    assert bool(codes) == terminal


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8", "no-such"])
def test_any_encoding_can_show_it(encoding: str) -> None:
    shown = encodable("98.21 ± 0.05 \N{EN DASH} ↑ 漢", encoding)
    shown.encode("ascii" if encoding == "no-such" else encoding)
    assert ("±" in shown) == (encoding == "utf-8")
    assert encodable("98.21 ± 0.05", "latin-1") == "98.21 ± 0.05"


def test_a_terminal_that_is_not_utf_8(tmp_path: Path) -> None:
    """`report` prints a plus-minus sign in every row; help texts and errors hold others."""
    grid = write_grid(tmp_path)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONIOENCODING"}
    environment |= {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C", "PYTHONPATH": str(ROOT)}
    for arguments in (["run", grid, "--no-track"], ["report", grid], ["status", tmp_path / "ü.yaml"]):
        command = [sys.executable, "-P", "-m", "benchmark", *map(str, arguments)]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
        assert done.returncode == (2 if arguments[0] == "status" else 0), done.stderr
        text = (done.stdout + done.stderr).decode("ascii")
        assert "Traceback" not in text
        if arguments[0] == "report":
            assert re.search(r"\d\d\.\d\d \+- \d", text)
