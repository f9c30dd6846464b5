"""Going on with a grid on another machine: from a report's folder back into a run directory."""

from benchmark.cells.folder import ExperimentFolder
from benchmark.cells.metrics import VALIDATION_ACCURACY, MetricsLine
from benchmark.reporting.further_result import further_key
from benchmark.reporting.record import CellRecord, Record


def adopt(record: Record, experiment: ExperimentFolder) -> list[CellRecord]:
    """Write the record's finished cells that the experiment does not have, and return them.

    Their tests and learning curves come along, not their checkpoints: these cells count as done and can be reported,
    but not used (`htbench predict`). The code may have changed since they ran: see their provenance.
    """
    adopted = []
    for cell in record.cells:
        store = experiment.cell(cell.config)
        if cell.state != "done" or cell.result is None or store.state() != "missing":
            continue
        store.create(cell.config)
        curve = zip(cell.curve.steps, cell.curve.accuracy, strict=True) if cell.curve else ()
        points = [MetricsLine(step, {VALIDATION_ACCURACY: accuracy}) for step, accuracy in curve]
        if points:
            points[-1].values.update(cell.diagnostics)
        store.write_metrics(points)
        result = cell.result.model_copy(update={"config": cell.config.model_dump(mode="json")})
        found = (
            arrays.get(cell.key) for arrays in (record.accuracy, record.matrices, record.ensembles, record.domains)
        )
        store.write_result(result, *found)
        for one in cell.tests:
            if one.state == "done" and one.record is not None:
                store.tests.write(one.record, record.further[further_key(cell.key, one.test)])
        adopted.append(cell)
    return adopted
