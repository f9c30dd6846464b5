"""Options of the HyperTransformer."""

from dataclasses import dataclass
from typing import Literal

from methods.networks.architecture import Architecture
from methods.search import Range, searched

Activation = Literal["relu", "gelu", "leaky_relu"]


@dataclass(frozen=True)
class HyperTransformerConfig:
    """Options; the defaults are those of the original Omniglot script (google-research, `omniglot_1shot_v1.sh`), but
    for the shared extractor: the script has `shared_layers` 4 without normalisation (see `HyperTransformer`).

    The generated network:
        channels: width of its convolutions.
        network: four convolutions with 2x2 max-pooling, flattened ("maxpool4"), or three or four without padding and
            pooling, averaged over pixels ("avgpool3", "avgpool4": the original's `3-layer` and `4-layer`).
        kernel_size: of its convolutions, in pixels; odd if there is max-pooling, as they then pad to the same size.
        stride: of its convolutions; None: 1 with max-pooling, 2 without (four of 3x3 then need 31x31 pixels).
        activation: ReLU, or leaky ReLU with slope 0.01 (the original's choice for ImageNet images).
        generated_layers: which layers the transformers write, besides the last linear one. "logits": none, the
            convolutions are ordinary trained ones; "all": all of them; n > 0: the last n; n < 0: the first |n|.
        allocation: what one weight token becomes: a filter ("output"), or one kernel position of all filters
            ("spatial").
        generate_bias: generated convolutions get a generated bias (otherwise no convolution has one).
        generate_normalization: generated convolutions get generated normalisation scales and offsets.
        residual_weights: weights are the generated ones plus trained ones.
        query_statistics: queries are normalised with the statistics of the query images ("batch", as the original;
            a prediction then depends on the other queries) or of the support images ("support", inductive), or every
            image, support or query, with its own over channels and pixels ("image", inductive: layer normalisation).
        separate_query_normalization: the query pass has its own trained normalisation scales and offsets.

    Transformers, one per generated layer; D is the token width:
        convolution_tokens: the sample tokens that the convolutions' transformers read: one per support image
            ("support"), or as many learned constants as there are ways ("learned"), and then the generated
            convolutions are the same for every task. The linear layer's are of the support images either way.
        generator: "encoder" reads weight and sample tokens together; "encoder-decoder" adds a decoder over the same
            tokens; "separate" encodes the sample tokens and decodes the weight tokens.
        transformer_layers, heads: size of each encoder and decoder.
        key_query_width, value_width, inner_width: widths of keys and queries, values, and the feed-forward layer, as a
            fraction of D, or in numbers when above 3; rounded up to a multiple of `heads`. inner_width 0: no
            feed-forward layers.
        attention: weights over tokens by softmax, or elementwise sigmoid.
        transformer_activation: of the feed-forward layers (slope of the leaky ReLU: 0.1).
        linear_last_layer: the feed-forward layer of the last encoder (or decoder) layer has no activation.
        embedding: width of label and weight embeddings.

    Features of a support image:
        shared_layers: convolutions of the extractor whose features all layers share; 0: no shared features.
        shared_features: how many.
        shared_padding: of those convolutions; "valid" needs at least 7, 15 or 31 pixels for 2, 3 or 4 of them.
        shared_normalization: normalise after each of them, if any.
        shared_statistics: with the statistics of the task's support images ("support"), of each image by itself over
            channels and pixels ("image"), of the support images of all tasks of a step in training and their running
            averages in evaluation ("batch": ordinary batch normalisation), or with mean 0 and variance 1 ("fixed": an
            affine map, as the authors' `3-layer-bn`, whose moving statistics are never updated).
        local_features: filters of the extractor in front of each generated layer; None: as many as the larger of the
            layer's input and output channels; 0: only shared features.
        logits_features: the last layer's local features: extracted ("default"), the flattened activations
            themselves ("passthrough"), or both ("mix"); only "default" without max-pooling.
        nonlinear_logits_features: average the last layer's features after a ReLU instead of before.

    Regularisation, all 0 in the original scripts:
        dropout, local_dropout, shared_dropout, logits_dropout: in the transformers, on local features, on shared
            features, in front of the linear layer.
        label_smoothing: of every cross-entropy.
        weight_penalty: times the sum of squares of a task's kernels and linear weights.
        variation_penalty: times, per layer, the sum of squares of generated over that of trained residual kernels.
        drop_labelled, drop_unlabelled: training hides each labelled (unlabelled) support image from the transformers
            with a probability drawn anew for each task, uniformly between 0 and this.

    Auxiliary losses:
        class_loss: weight of classifying support images among all training classes by their shared features.
        pretrain: fraction of training, at its start, in which only that is trained, with weight 1: the shared extractor
            and its classifier, nothing else. They go on from there with the rest, as in the original after
            `pretrain_shared_feature` and `restore_shared_features_from`.
        warmup: fraction of training after `pretrain` in which linear classifiers on all blocks but the last are trained
            one after the other, before the network itself (the original's `warmup_steps`).

    Raises:
        ValueError: for options that contradict each other or would have no effect.
    """

    channels: int = 8
    network: Literal["maxpool4", "avgpool3", "avgpool4"] = "maxpool4"
    kernel_size: int = 3
    stride: int | None = None
    activation: Literal["relu", "leaky_relu"] = "relu"
    generated_layers: Literal["logits", "all"] | int = "all"
    allocation: Literal["output", "spatial"] = "output"
    generate_bias: bool = False
    generate_normalization: bool = False
    residual_weights: bool = False
    query_statistics: Literal["batch", "support", "image"] = "batch"
    separate_query_normalization: bool = False

    convolution_tokens: Literal["support", "learned"] = "support"
    generator: Literal["encoder", "encoder-decoder", "separate"] = "encoder"
    transformer_layers: int = searched(3, Range(1, 4))
    heads: int = 2
    key_query_width: float = 1.0
    value_width: float = 1.0
    inner_width: float = 1.0
    attention: Literal["softmax", "sigmoid"] = "softmax"
    transformer_activation: Activation = "relu"
    linear_last_layer: bool = False
    embedding: int = 32

    shared_layers: Literal[0, 2, 3, 4] = 3
    shared_features: int = searched(32, (16, 32, 64))
    shared_padding: Literal["same", "valid"] = "same"
    shared_normalization: bool = True
    shared_statistics: Literal["support", "image", "batch", "fixed"] = "support"
    local_features: int | None = None
    logits_features: Literal["default", "passthrough", "mix"] = "default"
    nonlinear_logits_features: bool = False

    dropout: float = searched(0.0, (0.0, 0.1))
    local_dropout: float = 0.0
    shared_dropout: float = 0.0
    logits_dropout: float = 0.0
    label_smoothing: float = 0.0
    weight_penalty: float = 0.0
    variation_penalty: float = 0.0
    drop_labelled: float = 0.0
    drop_unlabelled: float = 0.0

    class_loss: float = 0.0
    pretrain: float = 0.0
    warmup: float = 0.0

    def __post_init__(self) -> None:
        for wrong, message in self._contradictions():
            if wrong:
                raise ValueError(message)

    @property
    def architecture(self) -> Architecture:
        """The generated network's."""
        max_pool = self.network == "maxpool4"
        stride = (1 if max_pool else 2) if self.stride is None else self.stride
        slope = 0.01 if self.activation == "leaky_relu" else 0.0
        return Architecture(int(self.network[-1]), self.kernel_size, stride, max_pool, slope)

    @property
    def generated_blocks(self) -> tuple[bool, ...]:
        """Which of the convolutions are generated, first to last."""
        blocks = self.architecture.blocks
        count = {"logits": 0, "all": blocks}.get(str(self.generated_layers), self.generated_layers)
        assert isinstance(count, int)
        if count < 0:
            return tuple(block < -count for block in range(blocks))
        return tuple(block >= blocks - count for block in range(blocks))

    def _contradictions(self) -> list[tuple[bool, str]]:
        layers, most = self.generated_layers, self.architecture.blocks - 1
        if layers not in ("logits", "all") and (not isinstance(layers, int) or not 0 < abs(layers) <= most):
            return [(True, f"generated_layers is 'logits', 'all', 1..{most} or -{most}..-1, not {layers!r}")]
        convolutions = any(self.generated_blocks)
        spatial = self.allocation == "spatial"
        only_generated = all(self.generated_blocks) and self.generate_normalization and not self.residual_weights
        widths = (self.key_query_width, self.value_width, self.inner_width)
        return [
            (min(self.kernel_size, self.architecture.stride) < 1, "kernel_size and stride are at least 1"),
            (
                self.architecture.max_pool and self.kernel_size % 2 == 0,
                "network 'maxpool4' needs an odd kernel_size; an even one goes with 'avgpool3' or 'avgpool4'",
            ),
            (
                not self.architecture.max_pool and self.logits_features != "default",
                f"logits_features {self.logits_features!r} needs network 'maxpool4'; the others average activations",
            ),
            (self.generate_bias and not convolutions, "generate_bias needs generated convolutions"),
            (self.generate_normalization and not convolutions, "generate_normalization needs generated convolutions"),
            (spatial and not convolutions, "allocation 'spatial' needs generated convolutions"),
            (
                self.convolution_tokens == "learned" and not convolutions,
                "convolution_tokens 'learned' needs generated convolutions",
            ),
            (spatial and self.generate_bias, "generate_bias needs allocation 'output'"),
            (spatial and self.generate_normalization, "generate_normalization needs allocation 'output'"),
            (
                self.separate_query_normalization and only_generated,
                "separate_query_normalization needs trained normalisation: unset generate_normalization or set "
                "residual_weights",
            ),
            (
                self.separate_query_normalization and self.local_features == 0 and self.logits_features == "default",
                "separate_query_normalization needs local_features or logits_features 'passthrough': otherwise nothing"
                " reads what the support pass normalises",
            ),
            (
                self.variation_penalty > 0 and not (self.residual_weights and convolutions),
                "variation_penalty needs residual_weights and generated convolutions",
            ),
            (
                any(width > 3 and width % self.heads for width in widths),
                f"a width in numbers (above 3) must be a multiple of heads ({self.heads})",
            ),
            (self.linear_last_layer and self.inner_width == 0, "linear_last_layer needs inner_width > 0"),
            (
                self.local_features == 0 and self.shared_layers == 0,
                "local_features 0 needs shared_layers: there would be no features at all",
            ),
            (
                self.local_features == 0 and (self.logits_features == "mix" or self.nonlinear_logits_features),
                "logits_features 'mix' and nonlinear_logits_features need local_features",
            ),
            (
                self.nonlinear_logits_features and self.logits_features == "passthrough",
                "nonlinear_logits_features needs logits_features 'default' or 'mix'",
            ),
            (
                self.shared_statistics != "support" and not (self.shared_normalization and self.shared_layers),
                f"shared_statistics {self.shared_statistics!r} needs shared_layers and shared_normalization",
            ),
            (self.shared_dropout > 0 and self.shared_layers == 0, "shared_dropout needs shared_layers"),
            (self.class_loss > 0 and self.shared_layers == 0, "class_loss needs shared_layers"),
            (self.pretrain > 0 and self.shared_layers == 0, "pretrain needs shared_layers"),
            (not 0 <= self.pretrain < 1, "pretrain is a fraction of training: 0 or more, less than 1"),
            (
                self.generator == "separate" and (self.drop_labelled > 0 or self.drop_unlabelled > 0),
                "drop_labelled and drop_unlabelled need generator 'encoder' or 'encoder-decoder'",
            ),
        ]
