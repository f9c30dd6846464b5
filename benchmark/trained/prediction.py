"""Labels for a user's own pictures: classes from a support folder, predictions for a query folder."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmark.errors import UserError
from benchmark.machine.faults import blamed
from benchmark.scoring.sound import sound_logits
from benchmark.trained.pictures import Invert, Queries, Support, read_queries, read_support
from benchmark.trained.run import TrainedRun
from methods.episode import UNLABELLED, Episode


@dataclass(frozen=True)
class Prediction:
    """The most probable class of one picture, and the probability of every class, by name."""

    file: Path
    label: str
    probabilities: dict[str, float]

    @property
    def probability(self) -> float:
        """Of `label`."""
        return self.probabilities[self.label]


@dataclass(frozen=True)
class Predictions:
    """One prediction per readable picture, what was wrong with the others, and what the reader should know."""

    predictions: tuple[Prediction, ...]
    unreadable: tuple[str, ...]
    notes: tuple[str, ...]


@torch.inference_mode()
def classify(
    run: TrainedRun,
    support_folder: Path,
    query_folder: Path,
    invert: Invert = "auto",
    unlabelled_folder: Path | None = None,
) -> Predictions:
    """Classify the pictures under `query_folder`, all in one episode, by the class folders in `support_folder`.

    Pictures under `unlabelled_folder` are support images without a label, for semi-supervised methods.

    Raises:
        UserError: see `read_support`, `read_queries` and `sound_logits`.
    """
    support = read_support(run, support_folder, invert, unlabelled_folder)
    queries = read_queries(run, query_folder, invert)
    probabilities = _logits(run, _episode(support, queries))[0].softmax(-1).tolist()
    predictions = []
    for file, row in zip(queries.files, probabilities, strict=True):
        by_name = dict(zip(support.class_names, row, strict=True))
        predictions.append(Prediction(file, max(by_name, key=by_name.__getitem__), by_name))
    return Predictions(tuple(predictions), queries.unreadable, tuple(_notes(run, support, queries)))


def _logits(run: TrainedRun, episode: Episode) -> Tensor:
    """Logits (1, Q, N); what a method cannot cope with is one line."""
    try:
        return sound_logits(run.method, episode)
    except UserError:
        raise
    except Exception as error:
        place, text = blamed(error, map(Path, run.config.plugins))
        if "more than 1 value per channel" in text and episode.query_labels.shape[1] == 1:
            text = "it is transductive here, and one picture has no other to be normalised with; give it two or more"
        where = f"{place}: " if place else ""
        raise UserError(f"{run.config.method} cannot classify these pictures: {where}{text}") from error


def _episode(support: Support, queries: Queries) -> Episode:
    unknown = torch.zeros(1, len(queries.files), dtype=torch.int64)
    return Episode(support.images[None], support.labels[None], queries.images[None], unknown, len(support.class_names))


def _notes(run: TrainedRun, support: Support, queries: Queries) -> list[str]:
    notes = [support.note, queries.note]
    if run.transductive:
        notes.append(
            f"{run.config.method} is transductive here: each prediction also depends on the other query pictures,"
            " so another set of them may change it"
        )
    per_class = torch.bincount(support.labels[support.labels != UNLABELLED]).tolist()
    if set(per_class) != {run.setting.shots}:
        given = "-".join(str(count) for count in sorted({min(per_class), max(per_class)}))
        notes.append(f"the run was trained with {run.setting.shots} picture(s) per class; these have {given}")
    if bool((support.labels == UNLABELLED).any()) and run.config.episodes.unlabelled == 0:
        notes.append("the run was trained without unlabelled pictures, so what it makes of yours is untested")
    trained, unlabelled = run.config.episodes.unlabelled, int((support.labels == UNLABELLED).sum())
    if trained and unlabelled != trained * len(support.class_names):
        notes.append(
            f"the run was trained with {trained} unlabelled picture(s) per class; these are {unlabelled or 'none'} in"
            " all"
        )
    return notes
