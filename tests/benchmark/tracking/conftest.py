import shutil
from pathlib import Path

import pytest

from benchmark.cells.folder import ExperimentFolder
from benchmark.grid import Grid, read_grid
from tests.benchmark.helpers import write_grid


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables and nothing in them, which takes seconds to make."""
    from benchmark.tracking.connection import exclusive, load_client

    database = tmp_path_factory.mktemp("template") / "mlflow.db"
    with exclusive(f"sqlite:///{database}"):
        load_client()(f"sqlite:///{database}").search_experiments()
    return database


@pytest.fixture
def uri(tmp_path: Path, empty_store: Path) -> str:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def grid(tmp_path: Path) -> Grid:
    """Two widths times two seeds."""
    axes = {"method": ["linear-mean"], "channels": [4, 8], "seed": [0, 1]}
    return read_grid(write_grid(tmp_path, grid=axes))


@pytest.fixture
def experiment(tmp_path: Path, grid: Grid) -> ExperimentFolder:
    store = ExperimentFolder(tmp_path / "runs" / grid.name)
    for config in grid.cells:
        store.cell(config).create(config)
    return store
