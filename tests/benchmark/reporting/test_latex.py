"""LaTeX compiles, whatever the names are."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmark.reporting.tables.table import Column, Estimate, Table, to_latex

SIGNS = "\N{MULTIPLICATION SIGN} \N{MIDDLE DOT} \N{MINUS SIGN} \N{EN DASH} \N{DAGGER} \N{UPWARDS ARROW}"
NASTY = r"""a_b & 5 % #1 $x$ {y} ~ ^ \z <t> | é ñ 漢 ü "q" """ + SIGNS
TABLE = Table(
    (Column("method", "method_#"), Column("accuracy", "accuracy %"), Column("n", "n"), Column("note", "note")),
    (
        {"method": NASTY, "accuracy": Estimate(0.95, 0.006, best=True, mark="*†↑"), "n": 1234, "note": NASTY * 3},
        {"method": "maml++", "accuracy": None, "n": 7, "note": ""},
    ),
    f"caption {NASTY}",
    (f"note {NASTY}",),
)


def unescaped(text: str, character: str) -> int:
    return len(re.findall(rf"(?<!\\){re.escape(character)}", text))


def test_the_structure_holds() -> None:
    latex = to_latex(TABLE, "tab:nasty")
    body = latex.split("\n", 1)[1]
    assert unescaped(body, "{") == unescaped(body, "}")
    assert unescaped(body, "$") % 2 == 0
    assert unescaped(body, "#") == unescaped(body, "_") == 0
    assert [line for line in body.splitlines() if unescaped(line, "%")] == [
        r"  \resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
    ]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert [unescaped(line, "&") for line in rows] == [len(TABLE.columns) - 1] * 3
    assert max(map(ord, latex)) < 0x180
    begun, ended = (re.findall(rf"\\{word}{{(\w+)}}", body) for word in ("begin", "end"))
    assert begun == ended[::-1] == ["table", "tabular"]


def test_it_compiles(tmp_path: Path) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed; the structure is tested all the same")
    page = [
        r"\documentclass{article}",
        r"\usepackage{booktabs,graphicx}",
        r"\begin{document}",
        to_latex(TABLE, "tab:nasty"),
    ]
    (tmp_path / "page.tex").write_text("\n".join([*page, r"\end{document}"]))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
