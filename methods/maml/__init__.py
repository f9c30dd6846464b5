"""Optimisation-based meta-learning: a network whose initial weights a few gradient steps turn into a solution."""

from methods.maml.config import ContinualMAMLConfig, MAMLConfig, MAMLLearn2LearnConfig, MAMLPlusPlusConfig
from methods.registry import built_in

LEARNERS = (
    built_in(
        "maml",
        "MAML: an initialisation from which a few gradient steps solve the task",
        MAMLConfig,
        "methods.maml.model:MAML",
        typical=True,
    ),
    built_in(
        "fomaml",
        "MAML without second derivatives",
        MAMLConfig,
        "methods.maml.model:MAML",
        second_order=False,
    ),
    built_in(
        "anil",
        "MAML that adapts the last layer only",
        MAMLConfig,
        "methods.maml.model:MAML",
        adapt="head",
    ),
    built_in(
        "maml++",
        "MAML with a multi-step loss, learned rates and per-step normalisation",
        MAMLPlusPlusConfig,
        "methods.maml.model:MAMLPlusPlus",
    ),
    built_in(
        "maml-l2l",
        "MAML run by learn2learn, one task at a time",
        MAMLLearn2LearnConfig,
        "methods.maml.learn2learn:MAMLLearn2Learn",
    ),
    built_in(
        "maml++-continual",
        "MAML++ on task sequences: the inner loop goes on with each new task",
        ContinualMAMLConfig,
        "methods.maml.continual:ContinualMAML",
    ),
)
