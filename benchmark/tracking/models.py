"""The weights that a cell chose on validation as a model in MLflow, which `mlflow models predict` can serve."""

import importlib.metadata
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cells import metrics
from benchmark.cells.folder import CellFolder

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run

_METRICS = {metrics.TEST_ACCURACY: "test", metrics.BEST_VALIDATION_ACCURACY: "validation"}
"""What is known of a model, and on which split."""

_SERVED = Path(__file__).with_name("served_model.py")
_LIBRARIES = ("mlflow", "torch", "numpy", "pydantic")

_NOTE = """\
Takes one task and gives the logits (queries, classes) of its queries. As JSON:

    {{"inputs": {{"support_images": [S images], "support_labels": [S labels], "query_images": [Q images]}}}}

An image is {channels} x {height} x {width} numbers from 0 to 1; a label counts from 0, and -1 is an image without one.
Where htbench is installed:

    mlflow models predict -m models:/{model_id} -i task.json -t json --env-manager local
"""


def log_model(client: "MlflowClient", run: "Run", cell: CellFolder) -> bool:
    """Give a finished cell's run its model, unless it has one; as with runs, the smallest identifier stays.

    False if the server is too old to keep models.
    """
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus

    outputs = {output.model_id for output in run.outputs.model_outputs} if run.outputs else set()
    if outputs or not cell.best_checkpoint.exists():
        return True
    models = models_of(client, run)
    if models is None:
        return False
    if not models:
        client.create_logged_model(
            run.info.experiment_id,
            name=cell.folder.name,
            source_run_id=run.info.run_id,
            tags={"cell.key": run.data.tags["cell.key"], "method": run.data.tags["method"]},
            params=run.data.params,
            model_type="few-shot learner",
        )
        models = models_of(client, run) or []
    model, *others = models
    for other in others:
        client.delete_logged_model(other.model_id)
    with tempfile.TemporaryDirectory() as folder:
        image_shape = write_model(cell, Path(folder) / "model")
        client.log_model_artifacts(model.model_id, str(Path(folder) / "model"))
    _describe(client, run, model, image_shape)
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, 0)])
    return True


def models_of(client: "MlflowClient", run: "Run") -> "list[LoggedModel] | None":
    """The models of a run, by identifier; None if the server is older than MLflow 3 and knows no such thing."""
    from mlflow.exceptions import MlflowException

    try:
        found = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
    except MlflowException as error:
        if "logged-models" in str(error) and "404" in str(error):  # what a server says about an address it lacks
            return None
        raise
    return sorted(found, key=lambda model: str(model.model_id))


def write_model(cell: CellFolder, folder: Path) -> tuple[int, int, int]:
    """Write the model to a new folder: weights, configuration, plugins, signature. Returns an image's (C, H, W)."""
    import numpy as np
    from mlflow import pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    from benchmark.trained.run import load_run

    image_shape = load_run(cell.folder).setting.image_shape
    single, integer = np.dtype("float32"), np.dtype("int64")
    signature = ModelSignature(
        inputs=Schema(
            [
                TensorSpec(single, (-1, *image_shape), "support_images"),
                TensorSpec(integer, (-1,), "support_labels"),
                TensorSpec(single, (-1, *image_shape), "query_images"),
            ]
        ),
        outputs=Schema([TensorSpec(single, (-1, -1))]),
    )
    with tempfile.TemporaryDirectory() as temporary:
        run = Path(temporary) / "run"
        (run / "plugins").mkdir(parents=True)
        config = cell.config()
        for plugin in config.plugins:
            shutil.copy(plugin, run / "plugins")
        (run / "cell.json").write_text(config.model_copy(update={"plugins": ()}).model_dump_json(indent=1))
        shutil.copy(cell.best_checkpoint, run)
        # MLflow would like an example and other type hints, to find out the signature that is given here. Recorded,
        # that is, kept from the terminal: MLflow puts filters of its own in front of "ignore".
        with warnings.catch_warnings(action="ignore", record=True):
            pyfunc.save_model(
                folder,
                python_model=str(_SERVED),
                artifacts={"run": str(run)},
                signature=signature,
                pip_requirements=[f"{name}=={importlib.metadata.version(name)}" for name in _LIBRARIES],
            )
    return image_shape


def _describe(client: "MlflowClient", run: "Run", model: "LoggedModel", image_shape: tuple[int, int, int]) -> None:
    from mlflow.entities import Metric

    channels, height, width = image_shape
    note = _NOTE.format(channels=channels, height=height, width=width, model_id=model.model_id)
    client.set_logged_model_tags(model.model_id, {"mlflow.note.content": note})
    used = {one.tags[0].value: one.dataset for one in run.inputs.dataset_inputs} if run.inputs else {}
    measured = []
    for name, split in _METRICS.items():
        # The very point that the run has: another one would be a second point of its curve.
        history = client.get_metric_history(run.info.run_id, name)
        if not history:
            continue
        last = max(history, key=lambda point: (point.step, point.timestamp))
        dataset = used.get(split)
        measured.append(
            Metric(
                name,
                last.value,
                last.timestamp,
                last.step,
                model_id=model.model_id,
                run_id=run.info.run_id,
                dataset_name=dataset.name if dataset else None,
                dataset_digest=dataset.digest if dataset else None,
            )
        )
    client.log_batch(run.info.run_id, measured)
