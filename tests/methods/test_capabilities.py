"""What methods can do, as the harness asks for it."""

import pytest

from methods import registry
from methods.capabilities import GeneratesWeights, HasSharedExtractor, WritesNetworks
from methods.sequences import ContinualMethod

HYPERTRANSFORMERS = {"ht", "ht-logits", "ht-all"}
CONTINUAL = {"ht-continual", "ht-merged"}
PROTONETS = {"protonet", "protonet-masked", "protonet-semi-inference", "protonet-soft-kmeans"}


@pytest.mark.parametrize(
    ("capability", "some", "others"),
    [
        (WritesNetworks, HYPERTRANSFORMERS | PROTONETS, {"maml", "rfs", "oracle", "ht-continual"}),
        (GeneratesWeights, HYPERTRANSFORMERS | CONTINUAL, {"maml", "protonet", "oracle"}),
        (HasSharedExtractor, HYPERTRANSFORMERS | CONTINUAL, {"maml", "protonet", "oracle"}),
        (ContinualMethod, CONTINUAL | {"protonet-continual", "finetune", "maml++-continual"}, {"ht", "maml"}),
    ],
)
def test_who_has_it(capability: type, some: set[str], others: set[str]) -> None:
    having = registry.names_with(capability)
    assert having == sorted(having)
    assert some <= set(having)
    assert not others & set(having)


def test_typical_methods_are_trained_on_single_tasks() -> None:
    typical = [registry.get(name).learner for name in registry.typical_names()]
    assert typical
    assert not any(issubclass(learner, ContinualMethod) or learner.every_image for learner in typical)
