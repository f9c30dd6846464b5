"""Reports: tables, figures and a page of HTML, derived from what the cells left on disk."""

from benchmark.reporting.report import rebuild_all, rebuild_report, write_report
from benchmark.reporting.summary import Summary
from benchmark.reporting.terminal import print_table

__all__ = ["Summary", "print_table", "rebuild_all", "rebuild_report", "write_report"]
