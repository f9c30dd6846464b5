"""The oracle: no few-shot learner, but a reference for them."""

from methods.oracle.config import OracleConfig
from methods.registry import built_in

LEARNERS = (
    built_in(
        "oracle",
        "no few-shot learner: an ordinary network trained on all other images of each task's classes",
        OracleConfig,
        "methods.oracle.model:Oracle",
        every_image=True,
    ),
)
