"""Which run in MLflow stands for which thing: one run for each key, whoever writes.

MLflow makes up the identifiers of runs, so two processes that find no run for a cell both create one, and a server has
no lock that would keep them from it. Instead:

1. Whoever has created a run looks once more. Of several runs with one key the smallest identifier stays, and whoever
   sees the others deletes them. The last to create sees them all, so exactly one is left, however the processes
   interleave and whichever of them dies.
2. Who was writing to a deleted run is told so by MLflow, and writes all it knows to the one that stayed.
3. Who had finished writing notices at the end of its launch, when every cell is compared with the run directory again.

What two processes write to the same run does no harm: both read it from the same files, MLflow keeps equal points of a
metric once, and the later state is written last. If both insert the same row at the same moment, a database may refuse
the slower one; that one reads the run again and writes what is still missing.
"""

import contextlib
import getpass
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from benchmark.tracking.models import models_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

Kind = Literal["launch", "cell", "aggregate"]

_ATTEMPTS = 10  # each is one other process that has just created the same run
_REFUSALS = 3  # in a row; more are not a matter of two processes at once


def key_tag(kind: Kind) -> str:
    """The tag with a run's key: a cell's is for people too, as its folder has it in its name."""
    return "cell.key" if kind == "cell" else f"mlflow.htbench.{kind}_key"


class Runs:
    """The runs of one experiment, found by kind and key; new ones say who made them, and from which `source`."""

    def __init__(self, client: "MlflowClient", experiment_id: str, source: str = "") -> None:
        self._client, self._id, self._source = client, experiment_id, source

    def find(self, kind: Kind) -> "dict[str, Run]":
        """The runs of this kind by key, the newest first; deletes those that repeat another."""
        found: dict[str, list[Run]] = {}
        token: str | None = None
        while True:
            page = self._client.search_runs([self._id], f"tags.kind = '{kind}'", page_token=token)
            for run in page:
                if key := run.data.tags.get(key_tag(kind)):  # none in a store of an earlier htbench
                    found.setdefault(key, []).append(run)
            token = page.token
            if not token:
                return {key: self._only_one(runs) for key, runs in found.items()}

    def create(self, kind: Kind, key: str, name: str, started: int, tags: dict[str, str] | None = None) -> "Run":
        """A new run, or the one that another process has created meanwhile."""
        tags = {"kind": kind, key_tag(kind): key, **_origin(self._source), **(tags or {})}
        created = self._client.create_run(self._id, started, tags, name)
        query = f"tags.kind = '{kind}' and tags.\"{key_tag(kind)}\" = '{key}'"
        return self._only_one([created, *self._client.search_runs([self._id], query)])

    def write(self, run: "Run | None", create: "Callable[[], Run]", fill: "Callable[[Run], None]") -> "Run":
        """Fill a run, created if there is none; once more if another process replaces it or writes to it meanwhile."""
        from mlflow.exceptions import MlflowException

        refusals = 0
        for _ in range(_ATTEMPTS):
            run = run or create()
            try:
                fill(run)
                return run
            except MlflowException:
                run = self._client.get_run(run.info.run_id)
                if run.info.lifecycle_stage == "deleted":
                    run, refusals = None, 0
                    continue
                refusals += 1
                if refusals == _REFUSALS:
                    raise
        raise TimeoutError("other processes keep replacing a run")

    def delete(self, run: "Run") -> None:
        """Move it to MLflow's trash, with its models."""
        for model in models_of(self._client, run) or []:
            self._client.delete_logged_model(model.model_id)
        self._client.delete_run(run.info.run_id)

    def _only_one(self, runs: "list[Run]") -> "Run":
        by_id = {run.info.run_id: run for run in runs}
        kept, *others = sorted(by_id)
        for run_id in others:
            self.delete(by_id[run_id])
        return by_id[kept]


def new_key() -> str:
    """A key that no other run has."""
    return secrets.token_hex(6)


def _origin(source: str) -> dict[str, str]:
    """The tags behind the interface's columns User and Source."""
    tags = {"mlflow.source.name": source, "mlflow.source.type": "LOCAL"} if source else {}
    with contextlib.suppress(OSError, KeyError):  # a user without a name, as in containers
        tags["mlflow.user"] = getpass.getuser()
    return tags
