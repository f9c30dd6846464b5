"""Looking inside a trained method that generates weights."""

from benchmark.inspection.inspect import Inspection, inspect_run

__all__ = ["Inspection", "inspect_run"]
