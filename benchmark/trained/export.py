"""One task's network, taken out: a small CNN that knows its classes and runs without htbench and without PyTorch.

The network is Conv4: four times [3x3 convolution, zero padding 1 -> (leaky) ReLU -> 2x2 max-pool -> times a scale, plus
a shift, per channel], flatten, linear; or another of `methods.networks.conv4.Architecture`, without padding and
pooling, and averaged over pixels in front of the linear layer. The normalisation is in those scales and shifts, with
fixed statistics: the method's own if it has them, else those of the support pictures, since a network alone has no
batch to ask.

Both kinds of file hold the class names and how to prepare an image, as JSON strings in their metadata:
`class_names`, `image_shape` [C, H, W], `image_range` [0, 1], `image_mean` and `image_std` by channel to normalise it
with then (absent: leave it), `ink` ("bright on black", or "as photographed"), `method`, `normalisation` ("fixed" or
"support"), and the architecture: `blocks`, `kernel_size`, `stride`, `max_pool` (true: with
padding and pooling), and `negative_slope` of the activation.

ONNX: input `images` (batch, C, H, W) float32, output `logits` (batch, N); opset 17.
safetensors: `block{1..blocks}.kernel` (Cout, Cin, k, k), `.bias`, `.scale`, `.shift` (Cout,); `linear.weight` (N, D),
`linear.bias` (N,), D in the order (channel, row, column).
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmark.errors import UserError
from benchmark.machine.files import write_whole
from benchmark.scoring.sound import UnsoundError
from benchmark.trained.pictures import INK_DATASETS, Support
from benchmark.trained.run import TrainedRun
from methods import registry
from methods.capabilities import WritesNetworks
from methods.episode import Episode
from methods.networks.architecture import Architecture
from methods.networks.conv4 import NORM_EPS, NetworkWeights, activate, group_tasks, normalise
from methods.networks.normalisation import statistics

OPSET = 17
IR_VERSION = 8
"""Of the ONNX file; the one that came with opset 17, so that runtimes since 2022 read it."""


@dataclass(frozen=True)
class SmallNetwork:
    """A network for one task: its tensors under the names above, its architecture, and its metadata."""

    tensors: dict[str, Tensor]
    architecture: Architecture
    metadata: dict[str, object]

    @property
    def parameters(self) -> int:
        """Numbers in it."""
        return sum(tensor.numel() for tensor in self.tensors.values())


@torch.inference_mode()
def specialise(run: TrainedRun, support: Support) -> SmallNetwork:
    """The network that tells the support set's classes apart.

    Raises:
        UserError: the run's method does not classify with such a network.
    """
    if not isinstance(run.method, WritesNetworks):
        raise UserError(
            f"{run.config.method} does not make one small network per task, so there is nothing to take out;"
            f" use a run of {', '.join(registry.names_with(WritesNetworks))},"
            " or htbench predict, which works with every method"
        )
    normalization = run.config.dataset.normalization
    queries = support.images[:0]
    ways = len(support.class_names)
    episode = Episode(support.images[None], support.labels[None], queries[None], support.labels[None, :0], ways)
    weights = run.method.solver(episode)
    if any(block.statistics == "image" for block in weights.blocks):
        raise UserError(
            f"{run.folder} normalises each image by itself (query_statistics: image), but a network to take out has"
            " fixed scales and shifts; use a run with query_statistics 'support' or 'batch'"
        )
    fixed = _with_fixed_statistics(weights, episode.support_images)
    tensors: dict[str, Tensor] = {}
    for number, block in enumerate(fixed.blocks, start=1):
        assert block.statistics is not None and block.statistics != "image"
        scale = block.scale[0] * torch.rsqrt(block.statistics.variance + NORM_EPS)
        bias = torch.zeros_like(scale) if block.bias is None else block.bias[0]
        shift = block.offset[0] - block.statistics.mean * scale
        parts = {"kernel": block.kernel[0], "bias": bias, "scale": scale, "shift": shift}
        tensors |= {f"block{number}.{name}": tensor for name, tensor in parts.items()}
    tensors |= {"linear.weight": fixed.linear.weight[0], "linear.bias": fixed.linear.bias[0]}
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise UnsoundError(
                f"{run.folder}: the network's {name} is not finite for these pictures; nothing is written"
            )
    return SmallNetwork(
        {name: tensor.detach().contiguous() for name, tensor in tensors.items()},
        weights.architecture,
        {
            "class_names": list(support.class_names),
            "image_shape": list(run.setting.image_shape),
            "image_range": [0, 1],
            **({} if normalization is None else {"image_mean": normalization.mean, "image_std": normalization.std}),
            "ink": "bright on black" if run.config.dataset.name in INK_DATASETS else "as photographed",
            "method": run.config.method,
            "normalisation": "support" if weights.blocks[0].statistics is None else "fixed",
            **asdict(weights.architecture),
        },
    )


def writer(path: Path) -> Callable[[SmallNetwork, Path], None]:
    """How to write a file with such an ending.

    Raises:
        UserError: neither .onnx nor .safetensors.
    """
    known = {".onnx": write_onnx, ".safetensors": write_safetensors}
    if path.suffix not in known:
        raise UserError(f"--out {path}: write a file that ends in {' or '.join(known)}")
    return known[path.suffix]


def write_safetensors(network: SmallNetwork, path: Path) -> None:
    """Write the tensors, with the metadata as strings of JSON."""
    from safetensors.torch import save

    write_whole(path, lambda file: file.write(save(network.tensors, _metadata(network))))


def write_onnx(network: SmallNetwork, path: Path) -> None:
    """Write the network as a graph of standard operators; any number of images may be in a batch."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    constants = {name: tensor.numpy() for name, tensor in network.tensors.items()}
    architecture = network.architecture
    slope, size = architecture.negative_slope, [architecture.kernel_size] * 2
    convolution: dict[str, Any] = {"kernel_shape": size, "strides": [architecture.stride] * 2}
    convolution["pads"] = [architecture.padding] * 4
    nodes: list[onnx.NodeProto] = []

    def then(operator: str, output: str, *inputs: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    x = "images"
    for block in (f"block{number}" for number in range(1, architecture.blocks + 1)):
        for name in (f"{block}.scale", f"{block}.shift"):
            constants[name] = constants[name][:, None, None]
        x = then("Conv", f"{block}.convolved", x, f"{block}.kernel", f"{block}.bias", **convolution)
        x = then("LeakyRelu", f"{block}.active", x, alpha=slope) if slope else then("Relu", f"{block}.active", x)
        if architecture.max_pool:
            x = then("MaxPool", f"{block}.pooled", x, kernel_shape=[2, 2], strides=[2, 2])
        x = then("Mul", f"{block}.scaled", x, f"{block}.scale")
        x = then("Add", f"{block}.normalised", x, f"{block}.shift")
    if not architecture.max_pool:
        x = then("GlobalAveragePool", "averaged", x)
    x = then("Flatten", "features", x)
    then("Gemm", "logits", x, "linear.weight", "linear.bias", transB=1)
    ways = len(constants["linear.bias"])
    shape = network.metadata["image_shape"]
    assert isinstance(shape, list)
    graph = helper.make_graph(
        nodes,
        "htbench",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", *shape])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", ways])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(
        graph, producer_name="htbench", ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)]
    )
    helper.set_model_props(model, _metadata(network))
    onnx.checker.check_model(model, full_check=True)
    write_whole(path, lambda file: file.write(model.SerializeToString()))


def _with_fixed_statistics(weights: NetworkWeights, images: Tensor) -> NetworkWeights:
    """The same networks, with the statistics of images (T, S, C, H, W) in the blocks that have none."""
    x = group_tasks(images)
    blocks = []
    for block in weights.blocks:
        x = activate(x, block, weights.architecture)
        known = block.statistics or statistics(x)
        x = normalise(x, block.scale, block.offset, known)
        blocks.append(replace(block, statistics=known))
    return replace(weights, blocks=blocks)


def _metadata(network: SmallNetwork) -> dict[str, str]:
    return {name: json.dumps(value, ensure_ascii=False) for name, value in network.metadata.items()}
