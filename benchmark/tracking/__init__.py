"""MLflow as a mirror of the run directory: nice to look at, never needed to train, rebuilt from disk at any time."""

from benchmark.tracking.mirror import FollowingMirror, Mirror, open_mirror, sync
from benchmark.tracking.read_back import report_from_mlflow
from benchmark.tracking.ui import serve_ui

__all__ = ["FollowingMirror", "Mirror", "open_mirror", "report_from_mlflow", "serve_ui", "sync"]
