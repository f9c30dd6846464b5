"""A network taken out of a run answers as the run does, without htbench."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open

from benchmark.errors import UserError
from benchmark.trained.export import SmallNetwork, specialise, write_onnx, write_safetensors, writer
from benchmark.trained.pictures import Support
from benchmark.trained.run import TrainedRun
from methods import Episode, registry
from tests.benchmark.helpers import SCRATCH_METHODS, invoke, main_here
from tests.benchmark.trained_runs import hand_made_folders, noise, train, untrained

RUNS: list[tuple[str, dict[str, Any]]] = [
    ("ht-all", {"query_statistics": "support"}),
    ("ht-logits", {"query_statistics": "support", "activation": "leaky_relu", "channels": 5}),
    (
        "ht-all",
        {
            "query_statistics": "support",
            "generate_bias": True,
            "generate_normalization": True,
            "residual_weights": True,
            "separate_query_normalization": True,
        },
    ),
    ("ht-all", {"query_statistics": "support", "network": "avgpool3", "generate_bias": True}),
    ("ht-all", {"query_statistics": "support", "network": "avgpool4", "kernel_size": 4, "stride": 1}),
    ("ht-logits", {"query_statistics": "support", "kernel_size": 5}),
    ("protonet", {"channels": 6}),
]


def support_of(ways: int = 5, shots: int = 2) -> Support:
    labels = torch.arange(ways).repeat(shots)
    images = torch.from_numpy(noise(ways * shots, 1, 28, 28))
    return Support(images, labels, tuple(f"class {n}" for n in range(ways)), "")


def shaken(run: TrainedRun) -> TrainedRun:
    """With no parameter or statistic at a value that would hide a mistake."""
    state = run.method.state_dict()
    draw = torch.Generator().manual_seed(3)
    for tensor in state.values():
        tensor += 0.1 * torch.rand(tensor.shape, generator=draw)
    return run


def logits_of(run: TrainedRun, support: Support, images: np.ndarray) -> np.ndarray:
    """In float64: what both sides should come close to."""
    query = torch.from_numpy(images).double()
    unknown = torch.zeros(1, len(images), dtype=torch.int64)
    ways = len(support.class_names)
    with torch.no_grad():
        episode = Episode(support.images[None].double(), support.labels[None], query[None], unknown, ways)
        return copy.deepcopy(run.method).double()(episode)[0].numpy()


def run_onnx(path: Path, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"images": images})
    return np.asarray(logits)


def centred(logits: np.ndarray) -> np.ndarray:
    """Without the number per image that changes no probability."""
    return logits - logits.mean(axis=1, keepdims=True)


@pytest.mark.parametrize(("method", "options"), RUNS)
@pytest.mark.parametrize("batch", [1, 9])
def test_onnx_agrees_with_the_method(method: str, options: dict[str, Any], batch: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    run, support = shaken(untrained(method, **options)), support_of()
    path, images = tmp_path / "tiny.onnx", noise(batch, 1, 28, 28, seed=1)
    write_onnx(specialise(run, support), path)
    expected = logits_of(run, support, images)
    assert np.ptp(centred(expected)) > 0.05
    rounding = 3e-5 * np.abs(expected).max()  # float32 against float64: relative to the largest logit
    np.testing.assert_allclose(centred(run_onnx(path, images)), centred(expected), rtol=0, atol=rounding)
    if method != "protonet":
        np.testing.assert_allclose(run_onnx(path, images), expected, rtol=0, atol=rounding)


def test_batch_statistics_become_those_of_the_support_set(tmp_path: Path) -> None:
    torch.manual_seed(0)
    batch, inductive = untrained("ht-all"), untrained("ht-all", query_statistics="support")
    inductive.method.load_state_dict(batch.method.state_dict())
    support, images = support_of(), noise(6, 1, 28, 28, seed=1)
    network = specialise(batch, support)
    assert network.metadata["normalisation"] == "support"
    assert specialise(inductive, support).metadata["normalisation"] == "fixed"
    write_onnx(network, tmp_path / "tiny.onnx")
    np.testing.assert_allclose(
        run_onnx(tmp_path / "tiny.onnx", images), logits_of(inductive, support, images), rtol=1e-4, atol=1e-4
    )


def test_safetensors_hold_what_the_documentation_says(tmp_path: Path) -> None:
    torch.manual_seed(0)
    run, support = shaken(untrained("ht-all", query_statistics="support", activation="leaky_relu")), support_of()
    path, images = tmp_path / "tiny.safetensors", noise(4, 1, 28, 28, seed=2)
    write_safetensors(specialise(run, support), path)
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = {name: json.loads(value) for name, value in file.metadata().items()}
    x = torch.from_numpy(images)
    for n in range(1, 5):
        x = F.conv2d(x, tensors[f"block{n}.kernel"], tensors[f"block{n}.bias"], padding=1)
        x = F.max_pool2d(F.leaky_relu(x, metadata["negative_slope"]), 2)
        x = x * tensors[f"block{n}.scale"][:, None, None] + tensors[f"block{n}.shift"][:, None, None]
    logits = F.linear(x.flatten(1), tensors["linear.weight"], tensors["linear.bias"])
    np.testing.assert_allclose(logits, logits_of(run, support, images), rtol=1e-4, atol=1e-4)
    assert metadata["class_names"] == [f"class {n}" for n in range(5)]
    assert metadata["image_shape"] == [1, 28, 28]
    assert metadata["ink"] == "bright on black"


def test_safetensors_without_pooling(tmp_path: Path) -> None:
    torch.manual_seed(0)
    run, support = shaken(untrained("ht-all", query_statistics="support", network="avgpool3")), support_of()
    path, images = tmp_path / "tiny.safetensors", noise(4, 1, 28, 28, seed=2)
    write_safetensors(specialise(run, support), path)
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = {name: json.loads(value) for name, value in file.metadata().items()}
    assert (metadata["blocks"], metadata["kernel_size"], metadata["max_pool"]) == (3, 3, False)
    x = torch.from_numpy(images)
    for n in range(1, 4):
        x = F.relu(F.conv2d(x, tensors[f"block{n}.kernel"], tensors[f"block{n}.bias"], stride=metadata["stride"]))
        x = x * tensors[f"block{n}.scale"][:, None, None] + tensors[f"block{n}.shift"][:, None, None]
    logits = F.linear(x.mean((2, 3)), tensors["linear.weight"], tensors["linear.bias"])
    np.testing.assert_allclose(logits, logits_of(run, support, images), rtol=1e-4, atol=1e-4)


def test_only_networks_that_exist_can_be_taken_out() -> None:
    registry.load_plugin(SCRATCH_METHODS)
    with pytest.raises(UserError, match="linear-mean does not make one small network per task"):
        specialise(untrained("linear-mean"), support_of())
    with pytest.raises(UserError, match=r"ends in \.onnx or \.safetensors"):
        writer(Path("tiny.pt"))
    assert isinstance(specialise(untrained("protonet"), support_of(ways=3)), SmallNetwork)  # any number of ways


def test_a_network_that_normalises_each_image_by_itself_stays_in() -> None:
    with pytest.raises(UserError, match="query_statistics 'support' or 'batch'"):
        specialise(untrained("ht-all", query_statistics="image"), support_of())


def test_generate_from_pictures(tmp_path: Path) -> None:
    support, _ = hand_made_folders(tmp_path, queries=0)
    folder = train(tmp_path / "cell", "ht-logits", model={"channels": 4})
    path = tmp_path / "new/tiny.onnx"
    done = invoke("generate", folder, "--support", support, "--out", path)
    assert done.exit_code == 0
    assert "5 of 5 inverted" in done.stdout and "statistics of the query batch" in done.stdout
    model = onnx.load(path)
    stored = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert stored["class_names"] == [f"char{n}" for n in range(5)]
    assert [entry.version for entry in model.opset_import] == [17]
    four, _ = hand_made_folders(tmp_path / "four", classes=4, queries=0)
    refused = main_here("generate", folder, "--support", four, "--out", "tiny.onnx", cwd=tmp_path)
    assert refused.returncode == 2
    assert "has 4 class folders, but" in refused.stderr and "trained for exactly 5" in refused.stderr
