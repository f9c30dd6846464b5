"""What a report found, before it is written: rows, tables and what they say."""

from dataclasses import dataclass

from benchmark.reporting.answer import Answer, answer
from benchmark.reporting.contrasts import Contrast, find_contrasts
from benchmark.reporting.findings import sentences
from benchmark.reporting.record import Record
from benchmark.reporting.rows import Row, make_rows
from benchmark.reporting.tables.by_channels import channels_table
from benchmark.reporting.tables.errors import errors_table
from benchmark.reporting.tables.results import results_table
from benchmark.reporting.tables.table import Table


@dataclass(frozen=True)
class Summary:
    """What a report found: its record, rows and tables, and what they say."""

    record: Record
    rows: list[Row]
    table: Table
    by_channels: Table | None
    errors: Table | None
    sentences: list[str]
    contrasts: list[Contrast]
    answer: Answer


def summarize(record: Record) -> Summary:
    """What the record says."""
    rows = make_rows(record)
    contrasts = find_contrasts(record, rows)
    return Summary(
        record,
        rows,
        results_table(record, rows),
        channels_table(record, rows),
        errors_table(rows),
        sentences(record, rows),
        contrasts,
        answer(record, rows, contrasts),
    )
