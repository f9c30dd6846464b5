"""What only a GPU can show; skipped without one."""

import pytest
import torch

from benchmark.cells.config import CellConfig, EpisodesConfig
from benchmark.data import load
from benchmark.episodes.sampling import sample
from benchmark.training.build import build
from benchmark.training.trainer import Trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


def configure(method: str, **train: object) -> CellConfig:
    return CellConfig.model_validate(
        {
            "dataset": {"name": "glyphs", "train_classes": 40, "validation_classes": 20, "test_classes": 20},
            "episodes": {"ways": 5, "shots": 1, "queries": 3},
            "method": method,
            "train": {"batch": 4, "steps": 10, **train},
        }
    )


def test_episodes_are_those_of_the_cpu() -> None:
    images = load(configure("protonet").dataset).splits["train"]
    shape = EpisodesConfig(ways=5, shots=2, queries=3, unlabelled=1)
    here = sample(images, shape, 7, 100, 6, train=True)
    there = sample(images.to(torch.device("cuda")), shape, 7, 100, 6, train=True)
    for name in ("support_images", "support_labels", "query_images", "query_labels", "classes"):
        assert torch.equal(getattr(here, name), getattr(there, name).cpu())


@pytest.mark.parametrize("method", ["protonet", "ht-logits", "ht-all", "maml++"])
def test_a_step_does_not_make_the_gpu_wait(method: str) -> None:
    config, device = configure(method), torch.device("cuda")
    dataset = load(config.dataset)
    splits = [dataset.splits[name].to(device) for name in ("train", "validation")]
    trainer = Trainer(config, build(config, dataset).to(device), *splits)
    trainer.train_step()  # which makes what is kept
    torch.cuda.set_sync_debug_mode("error")
    try:
        trainer.train_step()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_the_batch_that_fits_stays_within_memory() -> None:
    config, device = configure("protonet", batch="auto", memory_gib=0.25), torch.device("cuda")
    dataset = load(config.dataset)
    splits = [dataset.splits[name].to(device) for name in ("train", "validation")]
    trainer = Trainer(config, build(config, dataset).to(device), *splits)
    torch.cuda.reset_peak_memory_stats()
    trainer.decide()
    assert trainer.progress.batch > 1
    assert torch.cuda.max_memory_allocated() < 0.25 * 2**30
