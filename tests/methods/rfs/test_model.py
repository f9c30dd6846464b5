"""RFS against plain computations, and its training across the generations of self-distillation."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression

from benchmark import data
from benchmark.cells.config import CellConfig
from benchmark.cells.metrics import MetricsLine
from benchmark.training.build import build
from benchmark.training.trainer import Trainer
from methods.registry import get
from methods.rfs.config import RFSConfig
from methods.rfs.model import RFS, distillation, with_shifted
from tests.methods.helpers import (
    gradients,
    keep_queries,
    random_episode,
    relabel,
    reorder_support,
    setting_for,
)

EPISODE = random_episode(tasks=2, ways=3, shots=2, queries=2)
CLASSIFIERS = ["logistic-regression", "nearest-mean"]


def trained(**options: Any) -> Any:
    """An RFS in eval mode whose running statistics have seen some images."""
    torch.manual_seed(0)
    model = RFS(RFSConfig(channels=4, **options), setting_for(EPISODE)).double()
    for seed in range(3):
        model.loss(random_episode(seed=seed + 1), 0.0)
    return model.eval()


def unit_features(model: Any, images: torch.Tensor) -> torch.Tensor:
    embedded = model.network.embedding(images)
    return embedded / embedded.norm(dim=-1, keepdim=True)


def test_a_task_is_solved_as_scikit_learn_would():
    model = trained(C=10.0)
    with torch.inference_mode():
        found = model(EPISODE).softmax(-1)
        support, query = (unit_features(model, x) for x in (EPISODE.support_images, EPISODE.query_images))
    for task in range(2):
        oracle = LogisticRegression(C=10.0, tol=1e-10, max_iter=10_000)
        oracle.fit(support[task].numpy(), EPISODE.support_labels[task].numpy())
        expected = torch.from_numpy(oracle.predict_proba(query[task].numpy()))
        torch.testing.assert_close(found[task], expected, rtol=0, atol=1e-5)


def test_nearest_mean_by_hand():
    model = trained(classifier="nearest-mean")
    support, query = (unit_features(model, x) for x in (EPISODE.support_images, EPISODE.query_images))
    logits = model(EPISODE)
    for task, way in [(0, 0), (1, 2)]:
        members = [support[task, i] for i in range(6) if EPISODE.support_labels[task, i] == way]
        mean = torch.stack(members).mean(0)
        for q in range(6):
            cosine = F.cosine_similarity(query[task, q], mean, dim=0)
            torch.testing.assert_close(logits[task, q, way], cosine)


def test_the_loss_is_that_of_a_classifier_of_all_training_classes():
    """Images one by one into a list, normalised together; the classes are looked up one by one."""
    episode = random_episode(tasks=2, unlabelled=1)
    assert episode.classes is not None
    model = trained().train()
    images, classes = [], []
    for task in range(2):
        for pixels, labels in [
            (episode.support_images, episode.support_labels),
            (episode.query_images, episode.query_labels),
        ]:
            for image, label in zip(pixels[task], labels[task].tolist(), strict=True):
                if label >= 0:
                    images.append(image)
                    classes.append(int(episode.classes[task, label]))
    x = torch.stack(images)
    for block in model.network.embedding:
        x = F.conv2d(x, block.convolution.weight, block.convolution.bias, padding="same")
        x = F.batch_norm(x, None, None, block.scale, block.offset, training=True)
        x = F.max_pool2d(F.relu(x), 2)
    logits = F.linear(x.flatten(1), model.network.classes.weight, model.network.classes.bias)
    expected = torch.stack([-logits[i].log_softmax(0)[c] for i, c in enumerate(classes)]).mean()
    torch.testing.assert_close(model.loss(episode, 0.5).total, expected)


def test_training_needs_the_classes():
    with pytest.raises(ValueError, match=r"Episode\.classes"):
        trained().loss(replace(EPISODE, classes=None), 0.0)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_order_and_labels_are_arbitrary(classifier):
    model, permutation = trained(classifier=classifier), torch.tensor([2, 0, 1])
    logits = model(EPISODE).softmax(-1)
    reordered = model(reorder_support(EPISODE, torch.tensor([3, 1, 5, 0, 2, 4])))
    relabelled = model(relabel(EPISODE, permutation))[..., permutation]
    torch.testing.assert_close(logits, reordered.softmax(-1), rtol=0, atol=1e-6)
    torch.testing.assert_close(logits, relabelled.softmax(-1), rtol=0, atol=1e-6)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_once_trained_tasks_and_queries_are_independent(classifier):
    """In training the statistics are shared by all images on purpose: see the test of the loss."""
    model = trained(classifier=classifier, support_augmentations=2)
    logits = model(EPISODE)
    for task in range(2):
        torch.testing.assert_close(logits[task : task + 1], model(EPISODE[task : task + 1]), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(logits[:, :2], model(keep_queries(EPISODE, 2)), rtol=1e-9, atol=1e-9)
    noise = torch.rand_like(EPISODE.support_images[1:])
    other = replace(EPISODE, support_images=torch.cat([EPISODE.support_images[:1], noise]))
    changed = model(other)
    torch.testing.assert_close(logits[0], changed[0], rtol=1e-9, atol=1e-9)
    assert not torch.allclose(logits[1], changed[1])
    query = EPISODE.query_images.clone().requires_grad_()
    model(replace(EPISODE, query_images=query))[0].square().sum().backward()
    assert query.grad is not None and query.grad[0].abs().max() > 0
    assert query.grad[1].abs().max() == 0


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_unlabelled_images_are_ignored(classifier):
    model, episode = trained(classifier=classifier), random_episode(unlabelled=2)
    noise = torch.rand_like(episode.support_images)
    hidden = (episode.support_labels == -1)[..., None, None, None]
    altered = replace(episode, support_images=torch.where(hidden, noise, episode.support_images))
    torch.testing.assert_close(model(episode), model(altered))


def test_shifted_copies():
    image = torch.arange(28 * 28.0).reshape(1, 1, 1, 28, 28)
    images, labels = with_shifted(image.expand(2, 3, 1, 28, 28), torch.tensor([[0, 1, -1], [1, 0, -1]]), copies=5)
    assert images.shape == (2, 18, 1, 28, 28)
    assert labels[1].tolist() == [1, 0, -1] * 6
    right, down_right = images[0, 3, 0], images[0, 15, 0]
    assert torch.equal(right[:, 2:], image[0, 0, 0, :, :-2])
    assert torch.equal(right[:, 0], image[0, 0, 0, :, 0])
    assert torch.equal(down_right[2:, 2:], image[0, 0, 0, :-2, :-2])


def test_copies_are_examples():
    model = trained(support_augmentations=1)
    support = EPISODE.support_images
    moved = torch.cat([support[..., :1], support[..., :-1]], dim=-1)
    labels = torch.cat([EPISODE.support_labels] * 2, dim=1)
    doubled = replace(EPISODE, support_images=torch.cat([support, moved], dim=1), support_labels=labels)
    torch.testing.assert_close(model(EPISODE), trained()(doubled))


def test_every_parameter_but_the_cancelled_biases_learns():
    for name, gradient in gradients(trained().train(), EPISODE).items():
        assert gradient is not None
        cancelled = name.endswith("convolution.bias")  # batch normalisation subtracts the bias in front of it
        assert (gradient.abs().max() < 1e-10) == cancelled, name


def test_distillation_by_hand():
    student, teacher = torch.tensor([[0.0, 4.0], [0.0, 0.0]]), torch.tensor([[8.0, 0.0], [0.0, 0.0]])
    p, q = torch.tensor([2.0, 0.0]).softmax(0), torch.tensor([0.0, 1.0]).softmax(0)
    divergence = p[0] * (p[0] / q[0]).log() + p[1] * (p[1] / q[1]).log()
    torch.testing.assert_close(distillation(student, teacher), 16 * divergence / 2)


def test_the_next_generation_learns_from_the_last():
    model = trained(generations=2).train()
    assert float(model.loss(EPISODE, 0.2).parts["distillation"]) == 0
    with torch.no_grad():
        old = copy.deepcopy(model.network)
    loss = model.loss(EPISODE, 0.4)
    assert all(torch.equal(a, b) for a, b in zip(old.parameters(), model.teacher.parameters(), strict=True))
    assert not torch.equal(old.classes.weight, model.network.classes.weight)
    assert model.network.embedding[0].running_mean.abs().max() < old.embedding[0].running_mean.abs().max()
    half = 0.5 * loss.parts["cross_entropy"] + 0.5 * loss.parts["distillation"]
    torch.testing.assert_close(loss.total, half)

    teacher, student = (copy.deepcopy(x.state_dict()) for x in (model.teacher, model.network))
    loss.total.backward()
    assert all(parameter.grad is None for parameter in model.teacher.parameters())
    model.train().loss(EPISODE, 0.6)  # the same generation: both stay, and the teacher sees no statistics
    assert all(torch.equal(value, teacher[name]) for name, value in model.teacher.state_dict().items())
    assert all(torch.equal(value, student[name]) for name, value in model.network.named_parameters())
    model.loss(EPISODE, 0.7)
    assert torch.equal(model.teacher.classes.weight, student["classes.weight"])


class Notebook:
    """Keeps the state after each step."""

    def __init__(self) -> None:
        self.states: dict[int, dict[str, Any]] = {}

    def log(self, line: MetricsLine) -> None:
        pass

    def keep_best(self, step: int, weights: dict[str, Any]) -> None:
        pass

    def keep_member(self, step: int, weights: dict[str, Any]) -> None:
        pass

    def keep_last(self, state: dict[str, Any]) -> None:
        self.states[state["progress"]["step"]] = copy.deepcopy(state)


def glyph_trainer() -> Trainer:
    """Three generations of ten steps on small glyphs."""
    glyphs = {"name": "glyphs", "train_classes": 12, "validation_classes": 5, "test_classes": 5, "images_per_class": 6}
    config = CellConfig.model_validate(
        {
            "dataset": glyphs,
            "episodes": {"ways": 3, "shots": 1, "queries": 2},
            "method": "rfs",
            "model": {"channels": 4, "generations": 2},
            "train": {"ways": 10, "batch": 1, "steps": 30, "validate_every": 15, "validation_episodes": 4},
        }
    )
    dataset = data.load(config.dataset)
    return Trainer(config, build(config, dataset), dataset.splits["train"], dataset.splits["validation"])


def test_interrupted_distillation_goes_on_as_if_it_had_not_been():
    whole, notes = glyph_trainer(), Notebook()
    whole.run(notes, checkpoint_seconds=0)
    expected = whole.method.state_dict()
    assert int(expected["generation"]) == 2
    for step in (9, 10, 11):  # around the end of the first generation
        torch.manual_seed(99)
        rest = glyph_trainer()
        rest.restore(notes.states[step])
        rest.run(Notebook())
        assert all(torch.equal(value, expected[name]) for name, value in rest.method.state_dict().items())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"C": 0}, "C is positive, not 0"),
        ({"support_augmentations": 9}, "support_augmentations is 0 to 8, not 9"),
        ({"generations": -1}, "generations is at least 0, not -1"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        RFSConfig(**options)


def test_registered_and_sized():
    model = get("rfs").build({}, setting_for(random_episode(image_shape=(1, 28, 28))))
    distilled: Any = get("rfs-distill").build({}, setting_for(EPISODE))
    assert distilled.config.generations == 2
    # kernels and biases of 1 -> 8 -> 8 -> 8 -> 8 channels, and 20 classes of 8 weights and a bias
    assert model.solver_parameters(20) == (72 + 8) + 3 * (576 + 8) + 20 * 9
    assert model(random_episode(ways=5, image_shape=(1, 28, 28)).to(dtype=torch.float32)).shape == (3, 10, 5)
