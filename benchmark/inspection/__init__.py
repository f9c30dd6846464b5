"""Looking inside a trained HyperTransformer."""

from benchmark.inspection.inspect import Inspection, inspect_run

__all__ = ["Inspection", "inspect_run"]
