"""MLflow as a mirror of the run directory: nice to look at, never needed to train, rebuilt from disk at any time."""

from benchmark.tracking.mirror import Mirror, open_mirror, sync
from benchmark.tracking.ui import serve_ui

__all__ = ["Mirror", "open_mirror", "serve_ui", "sync"]
