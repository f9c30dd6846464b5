"""RFS: a linear classifier on the features of ordinary supervised training."""

from methods.registry import built_in
from methods.rfs.config import RFSConfig

LEARNERS = (
    built_in(
        "rfs",
        "a linear classifier on the features of ordinary supervised training",
        RFSConfig,
        "methods.rfs.model:RFS",
    ),
    built_in(
        "rfs-distill",
        "RFS after two generations of self-distillation",
        RFSConfig,
        "methods.rfs.model:RFS",
        generations=2,
    ),
)
