"""The named ways a training split can use rotations by 90 degrees."""

from typing import Literal

Rotations = Literal["none", "classes", "per-class"]
"""Validation and test are never rotated; classes are split before any rotation.

- `none`: no rotation.
- `classes`: each rotation of a class is a class of its own, so there are four times as many (Vinyals et al. 2016).
- `per-class`: each class of an episode is rotated by one random multiple of 90 degrees, support and query alike, so
  two rotations of one class never meet (the HyperTransformer's training scripts).
"""
