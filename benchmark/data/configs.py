"""Options of each dataset, typed; light enough to read a grid without importing torch."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from benchmark.data.pixels.domains import PLANES, View
from benchmark.data.pixels.normalization import CIFAR_100, IMAGENET_84, Normalization
from benchmark.data.pixels.rotations import Rotations
from benchmark.machine.frozen import Grown


class DatasetSection(Grown):
    """A dataset's options."""

    if TYPE_CHECKING:
        name: str

    normalization: ClassVar[Normalization | None] = None
    """Of the pixels in episodes; None: they are in [0, 1]."""

    domains: tuple[View, ...] | Literal["planes"] = ()
    """How the images of a task are shown, see `benchmark.data.pixels.domains`; none: as they are."""

    @property
    def domain_names(self) -> tuple[str, ...]:
        """Of the domains that a task may have, in their order; none if all tasks are of one kind."""
        return tuple(self.domains)

    def in_domain(self, name: str) -> Self:
        """The same with all tasks in one of the domains, which are then other tasks than those of the whole.

        Raises:
            ValueError: it has none of that name.
        """
        self._check_domain(name)
        return self.model_copy(update={"domains": (name,)})

    def _check_domain(self, name: str) -> None:
        if name not in self.domain_names:
            raise ValueError(f"no domain {name!r}; there are {', '.join(self.domain_names) or 'none'}")

    left_out = frozenset({"domains"})

    @property
    def names(self) -> tuple[str, ...]:
        """Of the data sets that its images are from, its own first: each has a file in `benchmark.data`."""
        return (self.name,)

    @property
    def suffix(self) -> str:
        """What the data set's name should be followed by, so that nobody takes it for the one without domains."""
        if not self.domains:
            return ""
        return " (planes)" if self.domains == PLANES else f" ({', '.join(self.domains)})"

    @field_validator("domains")
    @classmethod
    def _domains(cls, value: tuple[View, ...] | Literal["planes"]) -> tuple[View, ...]:
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


PartConfig = OmniglotConfig | GlyphsConfig | MiniImageNetConfig | TieredImageNetConfig | CIFARFSConfig | FC100Config
"""What a mixture can be made of: everything but a user's own pictures and another mixture."""


PartName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9+._-]*$", max_length=60)]


class MixtureConfig(DatasetSection):
    """See `benchmark.data.mixture`.

    of: the data sets by the names they have here, which are those of data sets unless their options say `name`.
    weights: how often each is trained on, 1 unless given; a part of weight 0 is only tested.
    image_size: the side of all images, in pixels.
    colour: whether they are RGB, or grey.
    """

    name: Literal["mixture"]
    of: dict[PartName, Annotated[PartConfig, Field(discriminator="name")]]
    weights: dict[str, Annotated[int, Field(ge=0, le=1_000)]] = Field({})
    image_size: int = Field(28, ge=8, le=1024)
    colour: bool = False

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    @field_validator("of", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        """The parts by name, in alphabetical order, so that the order in a file does not count."""
        if not isinstance(value, dict):
            return value
        parts = {name: {} if part is None else part for name, part in sorted(value.items())}
        return {name: {"name": name, **part} if isinstance(part, dict) else part for name, part in parts.items()}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.domains:
            raise ValueError("a mixture's domains are its parts; give 'domains' to one of these")
        if not self.of:
            raise ValueError("'of' should name the data sets, such as 'of: {omniglot: {}, glyphs: {}}'")
        for name, part in self.of.items():
            if getattr(part, "augment", False):
                raise ValueError(f"of.{name}.augment: images of a mixture are not augmented")
        unknown = [name for name in self.weights if name not in self.of]
        if unknown:
            raise ValueError(f"weights: no part is called {unknown[0]!r}; there are {', '.join(self.of)}")
        if not any(self.weight(name) for name in self.of):
            raise ValueError("weights: at least one part should be trained on")
        if len({part.domains == PLANES for part in self.of.values()}) > 1:
            raise ValueError("planes have twice the channels; show all parts in planes, or none")
        return self

    def weight(self, part: str) -> int:
        """How often a part is trained on, compared with the others."""
        return self.weights.get(part, 1)

    @property
    def views(self) -> dict[str, tuple[str, View]]:
        """By the name of each domain, its part and how the images are shown."""
        return dict(self._views())

    def _views(self) -> Iterator[tuple[str, tuple[str, View]]]:
        as_it_is: View = "identity"
        for name, part in self.of.items():
            if not part.domains:
                yield name, (name, as_it_is)
            views = PLANES if part.domains == "planes" else part.domains
            for view in views:
                yield f"{name} ({view})", (name, view)

    @property
    def domain_names(self) -> tuple[str, ...]:
        """Those of the parts, and of the ways to show their images."""
        return tuple(self.views)

    def in_domain(self, name: str) -> Self:
        """As in `DatasetSection`: a mixture of one."""
        self._check_domain(name)
        part, view = self.views[name]
        one = self.of[part]
        changed = {part: one.model_copy(update={"domains": (view,)}) if one.domains else one}
        return self.model_copy(update={"of": changed, "weights": {}})

    @property
    def names(self) -> tuple[str, ...]:
        """As in `DatasetSection`."""
        return (self.name, *sorted({part.name for part in self.of.values()}))

    @property
    def suffix(self) -> str:
        """Its parts, with what is special about their part in training."""
        said = {0: " untrained", 1: ""}
        named = [f"{name}{part.suffix}" for name, part in self.of.items()]
        weights = [said.get(weight, f" x{weight}") for weight in map(self.weight, self.of)]
        return f" ({', '.join(name + weight for name, weight in zip(named, weights, strict=True))})"


DatasetConfig = PartConfig | FolderConfig | MixtureConfig


class LakeOneshotConfig(DatasetSection):
    """See `benchmark.data.lake_oneshot`: for testing only."""

    name: Literal["lake-oneshot"]


TestDataConfig = DatasetConfig | LakeOneshotConfig
"""What a trained method can be tested on."""
