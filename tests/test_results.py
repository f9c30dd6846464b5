"""What is committed under results/ can be rebuilt to the last byte, and what is said about it is in the data."""

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import matplotlib.figure
import pytest

from benchmark.reporting import rebuild_report
from benchmark.reporting.record import Record

ROOT = Path(__file__).parents[1]
FOLDERS = sorted(path.parent for path in (ROOT / "results").glob("*/cells.json"))
PAGES = (ROOT / "README.md", ROOT / "results" / "README.md")

NUMBER = r"\d+(?:\.\d+)?"


def test_there_are_results() -> None:
    assert FOLDERS


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_results_are_rebuilt_byte_for_byte(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = matplotlib.figure.Figure.savefig

    def only_svg(figure: matplotlib.figure.Figure, file: Any, **options: Any) -> None:
        if options.get("format") == "svg":  # pictures are kept as SVG; drawing pixels takes as long again
            drawn(figure, file, **options)

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", only_svg)
    for name in Record.load(folder).files:
        shutil.copy(folder / name, tmp_path / name)
    if (folder / "inspect").exists():
        shutil.copytree(folder / "inspect", tmp_path / "inspect")
    rebuild_report(tmp_path)
    rebuilt, committed = (
        {path.relative_to(top): path.read_bytes() for path in top.rglob("*.*") if path.suffix != ".png"}
        for top in (tmp_path, folder)
    )
    assert rebuilt.keys() == committed.keys(), "htbench report --all, and delete what it no longer writes"
    assert not [str(name) for name in rebuilt if rebuilt[name] != committed[name]], "htbench report --all"


def committed() -> set[str]:
    """The folders that come with the project; `make demo` and a user's own grids make others beside them."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: there is no list of what belongs to the project")
    command = ["git", "ls-files", "--", "results/*/cells.json"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return {Path(name).parent.name for name in listed}


def test_the_index_leads_to_every_report_and_says_what_it_says() -> None:
    index = (ROOT / "results" / "index.html").read_text()
    entries = re.findall(r'<a href="([^"]+)/report.html">.*?<p class="found">(.*?)</p>', index, flags=re.DOTALL)
    named = {name for name, _ in entries}
    assert committed() <= named <= {folder.name for folder in FOLDERS}, "htbench report --all"
    for name, sentence in entries:
        page = (ROOT / "results" / name / "report.html").read_text()
        assert f'<p class="answer">{sentence}</p>' in page, "htbench report --all"


def paragraphs(page: Path) -> list[tuple[str, Path]]:
    """Paragraphs and list items that link to one folder of results, with that folder."""
    found = []
    for text in re.split(r"\n\s*\n|\n(?=- )", page.read_text()):
        links = {(page.parent / link).resolve() for link in re.findall(r"\]\(([^)\s]+)\)", text)}
        folders = [folder for folder in FOLDERS if any(folder in (link, *link.parents) for link in links)]
        if len(folders) == 1:
            found.append((" ".join(text.split()), folders[0]))
    return found


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "table.csv").open() as file:
        return list(csv.DictReader(file))


def rounded(quoted: str, *fractions: str) -> bool:
    """Whether a quoted percentage is one of these fractions of a table, to the digits quoted."""
    digits = len(quoted.partition(".")[2])
    slack = 0.5 * 10**-digits + 1e-4  # the table has six digits
    return any(value and abs(float(quoted) - 100 * float(value)) <= slack for value in fractions)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_page_quotes_results(page: Path) -> None:
    assert any(re.search(rf"{NUMBER} ± {NUMBER}", text) for text, _ in paragraphs(page))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_quoted_accuracies_are_in_the_table(page: Path) -> None:
    """`93.5 ± 0.5` is a row's accuracy and half-width (`| +3.1 ± 0.6` is not); `72-75 %` are two rows' accuracies."""
    for text, folder in paragraphs(page):
        rows = rows_of(folder)
        accuracies = [row["accuracy"] for row in rows]
        for mean, half_width in re.findall(rf"(?<!\| [+-])(?<![\d.])({NUMBER}) ± ({NUMBER})(?!\d|\.\d| points)", text):
            pairs = [r for r in rows if rounded(mean, r["accuracy"]) and rounded(half_width, r["accuracy_half_width"])]
            assert pairs, f"{mean} ± {half_width} is not in {folder.name}/table.csv"
        for quoted in re.findall(rf"({NUMBER}(?:(?:-| to | and ){NUMBER})*) %(?! interval| level)", text):
            for one in re.findall(NUMBER, quoted):
                assert rounded(one, *accuracies), f"{one} % is not in {folder.name}/table.csv"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_quoted_differences_are_in_the_table(page: Path) -> None:
    """`3.1 points` is a row's distance to the best, an end of its interval, or its difference to a published number."""
    for text, folder in paragraphs(page):
        rows = rows_of(folder)
        known = [
            row[name].lstrip("-") for row in rows for name in ("behind_best", "behind_best_low", "behind_best_high")
        ]
        known += [row["difference"].lstrip("-") for row in rows if row.get("difference")]
        for quoted in re.findall(rf"(?<!± )(?<![\d.])({NUMBER}(?:(?:-| to | and ){NUMBER})*) points", text):
            for one in re.findall(NUMBER, quoted):
                assert rounded(one, *known), f"{one} points is not in {folder.name}/table.csv"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_quoted_paired_differences_are_in_the_pairs(page: Path) -> None:
    """`4.3 ± 0.4 points` is the difference of two methods on the same episodes, whichever is the better."""
    for text, folder in paragraphs(page):
        for mean, half_width in re.findall(rf"({NUMBER}) ± ({NUMBER}) points", text):
            with (folder / "pairs.csv").open() as file:
                pairs = [(row["difference"], row["difference_half_width"]) for row in csv.DictReader(file)]
            known = [pair for pair in pairs if rounded(mean, pair[0]) and rounded(half_width, pair[1])]
            assert known, f"{mean} ± {half_width} points is not in {folder.name}/pairs.csv"


def test_each_cell_of_the_table_of_differences_is_its_pair() -> None:
    """`+3.1 ± 0.6` in the row `a - b` is what pairs.csv has at those shots, query statistics and channels."""
    with (ROOT / "results" / "omniglot-table1" / "pairs.csv").open() as file:
        pairs = {(row["setting"], row["a"], row["b"]): row for row in csv.DictReader(file)}
    lines = re.findall(r"^\| .*", (ROOT / "results" / "README.md").read_text(), re.MULTILINE)
    header, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    checked = 0
    for shots, methods, statistics, *cells in rows:
        for channels, cell in zip(header[3:], cells, strict=True):
            if quoted := re.fullmatch(rf"([+-])({NUMBER}) ± ({NUMBER})", cell):
                setting = f"Omniglot 20-way {shots}-shot, {channels}"
                a, b = (name if name == "protonet" else f"{name} ({statistics})" for name in methods.split(" - "))
                pair = pairs[(setting, a, b) if quoted[1] == "+" else (setting, b, a)]
                assert rounded(quoted[2], pair["difference"]), (setting, methods, statistics)
                assert rounded(quoted[3], pair["difference_half_width"]), (setting, methods, statistics)
                checked += 1
    assert checked == sum("±" in cell for row in rows for cell in row) > 0


def test_quoted_speeds_are_in_a_profile() -> None:
    """Where a paragraph links to a profile, `maml 40.1` is a method's training episodes a second at 8 channels."""
    page, checked = ROOT / "results" / "README.md", 0
    for text in re.split(r"\n\s*\n|\n(?=- )", page.read_text()):
        speeds: dict[str, list[float]] = {}
        for link in re.findall(r"\]\((\S+/profile)\.md\)", text):
            for row in json.loads((page.parent / f"{link}.json").read_text())["rows"]:
                if row["axis"] == "width" and row["channels"] == 8:
                    speeds.setdefault(row["method"], []).append(row["episodes_per_s"])
        names = "|".join(re.escape(name) for name in sorted(speeds, key=len, reverse=True))
        for name, quoted in re.findall(rf"(?<![\w-])({names}) ({NUMBER})", " ".join(text.split())) if speeds else []:
            digits = len(quoted.partition(".")[2])
            assert float(quoted) in [round(speed, digits) for speed in speeds[name]], (
                f"{name} {quoted} was not measured"
            )
            checked += 1
    assert checked
