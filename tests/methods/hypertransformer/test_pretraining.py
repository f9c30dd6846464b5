"""Pre-training the shared extractor, and starting with that of another model."""

import pytest
import torch
import torch.nn.functional as F

from tests.methods.helpers import gradients, random_episode
from tests.methods.hypertransformer.test_options import build


def test_pretraining_is_of_the_shared_extractor_and_its_classifier_alone():
    model, episode = build(pretrain=0.25), random_episode(unlabelled=1)
    for progress in (0.0, 0.2499):
        found = gradients(model, episode, progress)
        moving = {name for name, gradient in found.items() if gradient is not None}
        assert moving == {name for name in found if name.startswith(("shared.", "class_head."))}
        assert all(found[name].abs().max() > 0 for name in moving)
    assert episode.classes is not None
    logits = model.class_head(model._solve(episode).shared)
    losses = [
        F.cross_entropy(logits[task, image], episode.classes[task, label])
        for task, labels in enumerate(episode.support_labels)
        for image, label in enumerate(labels)
        if label >= 0
    ]
    torch.testing.assert_close(model.loss(episode, 0.0).total, torch.stack(losses).mean())


def test_after_pretraining_comes_ordinary_training_as_if_from_its_start():
    episode = random_episode()
    pretrained, plain = build(pretrain=0.25, warmup=0.5), build(warmup=0.5)
    plain.load_state_dict({n: w for n, w in pretrained.state_dict().items() if not n.startswith("class_head")})
    for progress in (0.0, 0.3, 0.8):
        later = pretrained.loss(episode, 0.25 + 0.75 * progress)
        torch.testing.assert_close(later.total, plain.loss(episode, progress).total, rtol=1e-9, atol=1e-12)
    found = gradients(pretrained, episode, 0.9)
    assert found["shared.convolutions.0.kernel"].abs().max() > 0  # not frozen
    assert found["class_head.weight"] is None  # class_loss is 0


def test_restoring_the_shared_extractor():
    source, model = build(channels=6), build(network="avgpool3")
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with torch.no_grad():
        for parameter in source.parameters():
            parameter += 1
    model.restore_shared(source.state_dict())
    for name, weight in model.state_dict().items():
        expected = source.state_dict()[name] if name.startswith("shared.") else before[name]
        assert torch.equal(weight, expected), name
    assert gradients(model, random_episode())["shared.convolutions.0.kernel"].abs().max() > 0


@pytest.mark.parametrize(("options", "message"), [
    ({"shared_normalization": False}, r"shared\.scales\.0 is absent, and here \(6,\)"),
    ({"shared_layers": 2}, r"convolutions\.2\.kernel is absent, and here \(6, 6, 3, 3\)"),
    ({"shared_features": 5}, r"\.0\.kernel is \(5, 1, 3, 3\), and here \(6, 1, 3, 3\)"),
    ({"shared_layers": 0}, "is absent, and here"),
])  # fmt: skip
def test_a_shared_extractor_of_another_shape_is_not_restored(options, message):
    model = build()
    with pytest.raises(ValueError, match=message):
        model.restore_shared(build(**options).state_dict())
    with pytest.raises(ValueError, match="neither there nor here"):
        build(shared_layers=0).restore_shared({})
