"""Starting from what another run has learnt: its shared feature extractor."""

import hashlib
from collections.abc import Mapping

from torch import Tensor

from benchmark.cells import checkpoint
from benchmark.cells.config import CellConfig
from benchmark.cells.folder import CellFolder
from benchmark.cells.result import Restored
from benchmark.errors import UserError
from methods import registry
from methods.capabilities import HasSharedExtractor
from methods.method import Method


def restore_shared(method: Method, config: CellConfig, store: CellFolder) -> Restored | None:
    """Give the method the shared extractor of the run `train.shared_from`, if the cell in `store` asks for one.

    Raises:
        UserError: the method has no such extractor or one of another shape, or there is no finished run of that key in
            the folder that the cell's experiment is in.
    """
    key = config.train.shared_from
    if key is None:
        return None
    if not isinstance(method, HasSharedExtractor):
        having = registry.names_with(HasSharedExtractor)
        raise UserError(
            f"train.shared_from: {config.method} has no shared extractor, only {', '.join(having)} have one;"
            f" set it in an override for these, as in 'when: {{method: {having[0]}}}'"
        )
    runs = store.folder.resolve().parent.parent
    done = [run for folder in sorted(runs.glob(f"*/*-{key}")) if (run := CellFolder(folder)).state() == "done"]
    if not done:
        raise UserError(f"train.shared_from: no finished run {key} in {runs}; run its grid first, then this one again")
    done[0].check_checkpoint(done[0].best_checkpoint)
    weights = checkpoint.load(done[0].best_checkpoint)["method"]
    try:
        method.restore_shared(weights)
    except ValueError as error:
        raise UserError(f"train.shared_from: {done[0].folder}: {error}") from error
    return Restored(run=key, sha256=_fingerprint(method.shared_weights()))


def _fingerprint(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of tensors' names and numbers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
