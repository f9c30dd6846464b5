"""Prototypical networks, and what they make of unlabelled images and of task sequences."""

from methods.protonet.config import ProtoNetConfig, SemiProtoNetConfig
from methods.registry import built_in

LEARNERS = (
    built_in(
        "protonet",
        "nearest class mean in a learned embedding",
        ProtoNetConfig,
        "methods.protonet.model:ProtoNet",
        typical=True,
    ),
    built_in(
        "protonet-soft-kmeans",
        "prototypes refined by soft k-means on unlabelled images",
        SemiProtoNetConfig,
        "methods.protonet.semi_supervised:SemiProtoNet",
        refinement="soft-kmeans",
    ),
    built_in(
        "protonet-soft-kmeans-cluster",
        "prototypes refined by soft k-means with a cluster for distractors",
        SemiProtoNetConfig,
        "methods.protonet.semi_supervised:SemiProtoNet",
        refinement="soft-kmeans-cluster",
    ),
    built_in(
        "protonet-masked",
        "prototypes refined by soft k-means that masks distractors",
        SemiProtoNetConfig,
        "methods.protonet.semi_supervised:SemiProtoNet",
        refinement="masked",
    ),
    built_in(
        "protonet-semi-inference",
        "a ProtoNet whose prototypes are refined by soft k-means once trained",
        SemiProtoNetConfig,
        "methods.protonet.semi_supervised:SemiProtoNet",
        refinement="soft-kmeans",
        refine_in_training=False,
    ),
    built_in(
        "protonet-continual",
        "nearest running class mean in one learned embedding for all tasks",
        ProtoNetConfig,
        "methods.protonet.continual:ContinualProtoNet",
    ),
)
