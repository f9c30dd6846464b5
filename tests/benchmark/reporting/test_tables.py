"""One table in four formats."""

import csv
import io

import pytest

from benchmark.errors import UserError
from benchmark.reporting.tables.on_page import to_page
from benchmark.reporting.tables.paper import paper_table
from benchmark.reporting.tables.table import (
    Column,
    Estimate,
    Parts,
    Table,
    Value,
    signed,
    text,
    to_csv,
    to_html,
    to_latex,
    to_markdown,
)

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
    lines = to_latex(TABLE, "tab:omniglot").splitlines()
    assert r"    ht\_all & \textbf{95.46 $\pm$ 0.61} & 12,345 &  \\" in lines
    assert r"    maml++ & 90.00 $\pm$ 1.20* & -- & a$|$b \& 5 \% $<$x$>$ \\" in lines
    assert r"  \begin{tabular}{lrrl}" in lines
    assert r"  \caption{Omniglot: 20-way}\label{tab:omniglot}" in lines
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


def test_csv_has_one_number_a_cell() -> None:
    columns = (
        Column("method", "method"),
        Column("seeds", "seeds", suffixes=("", "_planned")),
        Column("steps", "steps", suffixes=("_min", "_max")),
        Column("difference", "difference"),
    )
    rows: tuple[dict[str, Value], ...] = (
        {
            "method": "a",
            "seeds": Parts("1/2", (1, 2)),
            "steps": Parts("9,618 to 9,696", (9618, 9696)),
            "difference": Parts(signed(-3.2), (-0.032,)),
        },
        {"method": "b", "seeds": Parts("2/2", (2, 2)), "steps": 1000, "difference": None},
    )
    found = list(csv.DictReader(io.StringIO(to_csv(Table(columns, rows, "", ())))))
    assert found[0] == {
        "method": "a",
        "seeds": "1",
        "seeds_planned": "2",
        "steps_min": "9618",
        "steps_max": "9696",
        "difference": "-0.032",
    }
    assert (found[1]["steps_min"], found[1]["steps_max"], found[1]["difference"]) == ("1000", "1000", "")
    assert text(rows[0]["difference"]) == "\N{MINUS SIGN}3.2"


def test_minus_signs_are_alike() -> None:
    assert [text(-1.25), text(-1234), text(Estimate(-0.032, 0.01)), signed(-0.3)] == [
        "\N{MINUS SIGN}1.2",
        "\N{MINUS SIGN}1,234",
        "\N{MINUS SIGN}3.20 ± 1.00",
        "\N{MINUS SIGN}0.3",
    ]


FULL = Table(
    (
        Column("method", "method"),
        Column("model.channels", "channels", None),
        Column("accuracy", "accuracy %"),
        Column("seeds", "seeds", level=2),
        Column("steps", "steps", level=3),
    ),
    tuple(
        {"method": m, "model.channels": c, "accuracy": Estimate(0.9, 0.01), "seeds": 2, "steps": 10,
         "setting": f"Omniglot, {c} channels", "label": f"{m} (batch)"}
        for m in ("a", "b<") for c in (4, 8)
    ),
    "Omniglot",
    ("accuracy: mean", "bold: best", "budget: 5 min"),
)  # fmt: skip


def test_a_paper_gets_its_columns_and_their_notes() -> None:
    usual = paper_table(FULL)
    assert [column.key for column in usual.columns] == ["method", "model.channels", "accuracy", "seeds"]
    assert usual.notes == ["accuracy: mean", "bold: best"]
    assert [c.key for c in paper_table(FULL, ["steps", "channels"]).columns] == ["steps", "model.channels"]
    with pytest.raises(UserError, match="no column 'stpes'; there are method, channels, accuracy, seeds, steps"):
        paper_table(FULL, ["stpes"])


def test_a_page_groups_rows_by_setting_and_marks_lesser_columns() -> None:
    html = to_page(FULL)
    settings = [html.index(f">Omniglot, {c} channels<") for c in (4, 8)]
    names = [html.index(f"{name} (batch)</td>") for name in ("a", "b&lt;")]
    assert settings[0] < names[0] < names[1] < settings[1]
    assert html.count("<tbody>") == 2 and html.count('class="group"') == 2
    assert '<th scope="col" class="num l2">seeds</th>' in html and '<th scope="col" class="num l3">steps</th>' in html
    assert ">channels</th>" not in html
