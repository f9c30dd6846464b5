"""Options of each dataset, typed; light enough to read a grid without importing torch."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from benchmark.data.rotations import Rotations


class DatasetSection(BaseModel):
    """A dataset's options: immutable, unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class OmniglotConfig(DatasetSection):
    """See `benchmark.data.omniglot`."""

    name: Literal["omniglot"]
    split: Literal["ht", "lake"] = "ht"
    rotations: Rotations = "per-class"


class GlyphsConfig(DatasetSection):
    """See `benchmark.data.glyphs`."""

    name: Literal["glyphs"]
    train_classes: int = Field(200, ge=2)
    validation_classes: int = Field(50, ge=2)
    test_classes: int = Field(100, ge=2)
    images_per_class: int = Field(20, ge=2)
    seed: int = Field(0, ge=0)
    rotations: Rotations = "none"


class FolderConfig(DatasetSection):
    """See `benchmark.data.folder`."""

    name: Literal["folder"]
    path: Path
    image_size: int = Field(28, ge=8)
    colour: bool = False
    validation_fraction: float = Field(0.2, gt=0, lt=1)
    test_fraction: float = Field(0.2, gt=0, lt=1)
    seed: int = Field(0, ge=0)
    rotations: Rotations = "none"


DatasetConfig = OmniglotConfig | GlyphsConfig | FolderConfig
