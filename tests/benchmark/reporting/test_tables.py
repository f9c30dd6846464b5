"""One table in four formats."""

import csv
import io

import pytest

from benchmark.reporting.tables.table import Column, Estimate, Table, text, to_csv, to_html, to_latex, to_markdown

TABLE = Table(
    (Column("method", "method"), Column("accuracy", "accuracy %"), Column("n", "numbers"), Column("note", "note")),
    (
        {"method": "ht_all", "accuracy": Estimate(0.95461, 0.0061, best=True), "n": 12345, "note": ""},
        {"method": "maml++", "accuracy": Estimate(0.9, 0.012, mark="*"), "n": None, "note": "a|b & 5 % <x>"},
        {"method": "rfs", "accuracy": None, "n": 7, "note": "failed"},
    ),
    "Omniglot: 20-way",
    ("bold: best",),
)


def test_markdown() -> None:
    assert to_markdown(TABLE).splitlines() == [
        "**Omniglot: 20-way**",
        "",
        "| method |       accuracy % | numbers | note              |",
        "|--------|-----------------:|--------:|-------------------|",
        "| ht_all | **95.46 ± 0.61** |  12,345 |                   |",
        "| maml++ |    90.00 ± 1.20* |       \N{EN DASH} | a\\|b & 5 % &lt;x> |",
        "| rfs    |                \N{EN DASH} |       7 | failed            |",
        "",
        "- bold: best",
    ]


def test_csv_keeps_fractions_and_splits_estimates() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(TABLE))))
    assert rows[0] == {
        "method": "ht_all",
        "accuracy": "0.954610",
        "accuracy_half_width": "0.006100",
        "n": "12345",
        "note": "",
    }
    assert rows[1]["note"] == "a|b & 5 % <x>"
    assert rows[2]["accuracy"] == rows[2]["accuracy_half_width"] == ""


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1"])
def test_text_is_no_formula_and_no_tag(text: str) -> None:
    """For a spreadsheet a leading sign makes a formula; a page that shows Markdown runs its tags."""
    row = {"method": text, "accuracy": None, "n": -3, "note": "x\n<script>alert(1)</script> ![](http://a) 1 < 2"}
    table = Table(TABLE.columns, (row,), "<b>", ("<i>", "p < 0.05"))
    [read] = csv.DictReader(io.StringIO(to_csv(table)))
    assert read["method"] == f"'{text}".replace("\r", " ") and read["n"] == "-3"
    shown = to_markdown(table)
    assert "<script" not in shown and "</script" not in shown and "<b>" not in shown and "<i>" not in shown
    assert "![" not in shown and "1 < 2" in shown and "p < 0.05" in shown
    assert len(shown.splitlines()) == 8


def test_latex_escapes_what_latex_reads() -> None:
    lines = to_latex(TABLE).splitlines()
    assert r"    ht\_all & \textbf{95.46 $\pm$ 0.61} & 12,345 &  \\" in lines
    assert r"    maml++ & 90.00 $\pm$ 1.20* & -- & a$|$b \& 5 \% $<$x$>$ \\" in lines
    assert r"  \begin{tabular}{lrrl}" in lines
    assert [line.strip() for line in lines if line.strip().endswith("rule")] == [
        r"\toprule",
        r"\midrule",
        r"\bottomrule",
    ]


def test_html_escapes_and_carries_what_to_sort_by() -> None:
    html = to_html(TABLE)
    assert '<td class="num" data-sort="0.954610"><strong>95.46 ± 0.61</strong></td>' in html
    assert "a|b &amp; 5 % &lt;x&gt;" in html
    assert '<td class="num" data-sort="">\N{EN DASH}</td>' in html


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, "yes"), (False, "no"), (1234567, "1,234,567"), (2.25, "2.2"), (None, "\N{EN DASH}"), ("", "")],
)
def test_values_for_people(value: str | int | float | bool | None, expected: str) -> None:
    assert text(value) == expected


@pytest.mark.parametrize(("value", "expected"), [(0.003, "0.003"), (5e-05, "5e-05"), (0.5, "0.5")])
def test_an_axis_keeps_its_decimals(value: float, expected: str) -> None:
    assert text(value, None) == expected


def test_empty_columns_can_be_dropped() -> None:
    table = Table(TABLE.columns, TABLE.rows[:1], TABLE.caption, ())
    assert [column.key for column in table.without_empty_columns().columns] == ["method", "accuracy", "n"]
    assert [column.key for column in TABLE.without("n", "method").columns] == ["accuracy", "note"]
