"""Trainings that failed to learn what their sisters learnt: a stated rule, so that nobody picks them by eye."""

import numpy as np
from numpy.typing import NDArray

HALF = 0.5
"""Of the best seed's advantage over guessing: below it a training has collapsed."""

LEARNT = 0.05
"""Least advantage over guessing, as a fraction, of a best seed; where nothing was learnt, nothing can collapse."""

RULE = (
    "collapsed: a training that is less than half as far above guessing as the best seed of its row (which must be five"
    " points above it). It stays in the row's mean and interval, which then rests on the row's own spread alone and is"
    " wide, and it does not tell the other rows how much trainings differ"
)
"""For readers."""


def collapsed(accuracy: NDArray[np.floating], chance: float) -> tuple[bool, ...]:
    """Which of S trainings of one method collapsed, from accuracies (S, E) in [0, 1] and the accuracy of guessing."""
    above = np.asarray(accuracy, dtype=np.float64).mean(axis=1) - chance
    best = above.max(initial=0.0)
    return tuple(bool(best > LEARNT and one < HALF * best) for one in above)
