"""What an accuracy matrix says about a continual learner.

A matrix R (..., J, I) holds at [t, i] the accuracy on task i after step t, counted from 0, and NaN before the task's
first step, which is i: task i arrives in step i, and a "mini-batch" sequence is one task that arrives in J parts, so
that I = 1. Definitions as in Lopez-Paz and Ranzato (NeurIPS 2017) and Chaudhry et al. (ECCV 2018); the mean over
earlier tasks leaves out the task that has just arrived, which can neither have been forgotten nor have gained.
"""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.floating]


def average_accuracy(matrix: Matrix) -> Matrix:
    """After each step the mean over the tasks seen so far, (..., J)."""
    return np.nanmean(matrix, axis=-1)


def forgetting(matrix: Matrix) -> Matrix:
    """After each step the mean over earlier tasks of the best accuracy so far minus the present one, (..., J).

    Never negative, and 0 after the first step. Take it of a mean over sequences: the best of several noisy values is
    too high, so the mean of single sequences' forgetting would be, too. In class-incremental sequences it contains
    that later tasks bring more classes to choose from.
    """
    return _over_earlier_tasks(np.fmax.accumulate(matrix, axis=-2) - matrix)


def backward_transfer(matrix: Matrix) -> Matrix:
    """After each step the mean over earlier tasks of the present accuracy minus the first one, (..., J).

    Positive where later tasks helped earlier ones; 0 after the first step.
    """
    first = np.diagonal(matrix, axis1=-2, axis2=-1)
    return _over_earlier_tasks(matrix - first[..., None, :])


def _over_earlier_tasks(values: Matrix) -> Matrix:
    steps, tasks = values.shape[-2:]
    earlier = np.arange(tasks) < np.arange(steps)[:, None]
    total = np.where(earlier, values, 0).sum(axis=-1)
    means: Matrix = total / np.maximum(earlier.sum(axis=-1), 1)
    return means
