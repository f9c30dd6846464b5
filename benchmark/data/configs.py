"""Options of each dataset, typed; light enough to read a grid without importing torch."""

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer

from benchmark.data.pixels.domains import PLANES, Domain
from benchmark.data.pixels.normalization import CIFAR_100, IMAGENET_84, Normalization
from benchmark.data.pixels.rotations import Rotations
from benchmark.machine.frozen import Frozen


class DatasetSection(Frozen):
    """A dataset's options."""

    normalization: ClassVar[Normalization | None] = None
    """Of the pixels in episodes; None: they are in [0, 1]."""

    domains: tuple[Domain, ...] | Literal["planes"] = ()
    """How the images of a task are shown, see `benchmark.data.pixels.domains`; none: as they are."""

    @model_serializer(mode="wrap")
    def _without_empty(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Records from before there were domains stay the same to the last byte."""
        values: dict[str, Any] = dump(self)
        return values if self.domains else {name: value for name, value in values.items() if name != "domains"}

    @property
    def suffix(self) -> str:
        """What the data set's name should be followed by, so that nobody takes it for the one without domains."""
        if not self.domains:
            return ""
        return " (planes)" if self.domains == PLANES else f" ({', '.join(self.domains)})"

    @field_validator("domains")
    @classmethod
    def _domains(cls, value: tuple[Domain, ...] | Literal["planes"]) -> tuple[Domain, ...]:
        named = PLANES if value == "planes" else value
        if len(set(named)) != len(named):
            raise ValueError(f"name each domain once, not {list(named)}")
        if len({domain in PLANES for domain in named}) > 1:
            raise ValueError("first-plane and second-plane have twice the channels; do not mix them with other domains")
        return named


class OmniglotConfig(DatasetSection):
    """See `benchmark.data.omniglot`."""

    name: Literal["omniglot"]
    split: Literal["ht", "lake"] = "ht"
    rotations: Rotations = "per-class"


class GlyphsConfig(DatasetSection):
    """See `benchmark.data.glyphs`."""

    name: Literal["glyphs"]
    train_classes: int = Field(200, ge=2, le=100_000)
    validation_classes: int = Field(50, ge=2, le=100_000)
    test_classes: int = Field(100, ge=2, le=100_000)
    images_per_class: int = Field(20, ge=2, le=10_000)
    seed: int = Field(0, ge=0)
    rotations: Rotations = "none"


class FolderConfig(DatasetSection):
    """See `benchmark.data.folder`."""

    name: Literal["folder"]
    path: Path
    image_size: int = Field(28, ge=8, le=1024)
    colour: bool = False
    min_images: int = Field(1, ge=1)
    validation_fraction: float = Field(0.2, gt=0, lt=1)
    test_fraction: float = Field(0.2, gt=0, lt=1)
    seed: int = Field(0, ge=0)
    rotations: Rotations = "none"


class PhotographsConfig(DatasetSection):
    """Options of `benchmark.data.photographs`.

    augment: whether training images are cropped, coloured and mirrored at random, see
        `benchmark.data.pixels.augmentation`.
    partial: accept files with other numbers of classes or images than the literature's; such numbers compare with
        nothing.
    """

    augment: bool = False
    partial: bool = False


class MiniImageNetConfig(PhotographsConfig):
    """See `benchmark.data.mini_imagenet`."""

    normalization: ClassVar[Normalization | None] = IMAGENET_84

    name: Literal["mini_imagenet"]


class TieredImageNetConfig(PhotographsConfig):
    """See `benchmark.data.tiered_imagenet`."""

    normalization: ClassVar[Normalization | None] = IMAGENET_84

    name: Literal["tiered_imagenet"]


class CIFARFSConfig(PhotographsConfig):
    """See `benchmark.data.cifar_fs`."""

    normalization: ClassVar[Normalization | None] = CIFAR_100

    name: Literal["cifar_fs"]


class FC100Config(PhotographsConfig):
    """See `benchmark.data.fc100`."""

    normalization: ClassVar[Normalization | None] = CIFAR_100

    name: Literal["fc100"]


DatasetConfig = (
    OmniglotConfig
    | GlyphsConfig
    | FolderConfig
    | MiniImageNetConfig
    | TieredImageNetConfig
    | CIFARFSConfig
    | FC100Config
)


class LakeOneshotConfig(DatasetSection):
    """See `benchmark.data.lake_oneshot`: for testing only."""

    name: Literal["lake-oneshot"]


TestDataConfig = DatasetConfig | LakeOneshotConfig
"""What a trained method can be tested on."""
