"""Sequential fine-tuning, and two ways of forgetting less."""

from methods.finetune.config import EWCConfig, FineTuningConfig, ReplayConfig
from methods.registry import built_in

LEARNERS = (
    built_in(
        "finetune",
        "supervised training, then gradient steps on task after task",
        FineTuningConfig,
        "methods.finetune.model:FineTuning",
    ),
    built_in(
        "replay",
        "finetune that keeps some images of each class and learns them again with each new task",
        ReplayConfig,
        "methods.finetune.model:Replay",
    ),
    built_in(
        "ewc",
        "finetune that holds on to weights that mattered for earlier tasks",
        EWCConfig,
        "methods.finetune.model:EWC",
    ),
)
