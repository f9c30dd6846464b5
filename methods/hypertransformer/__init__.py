"""HyperTransformer: a transformer reads the support set and writes the weights of the network that solves the task."""

from methods.hypertransformer.config import HyperTransformerConfig
from methods.hypertransformer.continual_config import ContinualConfig
from methods.registry import built_in

LEARNERS = (
    built_in(
        "ht",
        "HyperTransformer: a transformer writes the network that solves the task",
        HyperTransformerConfig,
        "methods.hypertransformer.model:HyperTransformer",
    ),
    built_in(
        "ht-logits",
        "HyperTransformer that writes the last layer only",
        HyperTransformerConfig,
        "methods.hypertransformer.model:HyperTransformer",
        typical=True,
        generated_layers="logits",
    ),
    built_in(
        "ht-all",
        "HyperTransformer that writes all layers",
        HyperTransformerConfig,
        "methods.hypertransformer.model:HyperTransformer",
        typical=True,
        generated_layers="all",
    ),
    built_in(
        "ht-static",
        "control for ht-all: its convolutions are written from learned constants, the same for every task",
        HyperTransformerConfig,
        "methods.hypertransformer.model:HyperTransformer",
        generated_layers="all",
        convolution_tokens="learned",
    ),
    built_in(
        "ht-continual",
        "HyperTransformer on task sequences: it is fed the weights it wrote for the task before",
        ContinualConfig,
        "methods.hypertransformer.continual:ContinualHyperTransformer",
    ),
    built_in(
        "ht-merged",
        "HyperTransformer that keeps all support images and starts anew with each task of a sequence",
        ContinualConfig,
        "methods.hypertransformer.continual:MergedHyperTransformer",
    ),
)
