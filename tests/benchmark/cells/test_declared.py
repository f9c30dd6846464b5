"""What methods declare about themselves, and what follows for a cell: its key, its folder, its size."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from benchmark.cells.declared import fixed_option, is_reference, size, size_axis
from benchmark.cells.folder import ExperimentFolder
from benchmark.cells.options import resolve_options
from benchmark.grid import read_grid
from methods import Episode, Method, Setting, register, registry

GRID = """name: widths
dataset: {name: glyphs}
train: {steps: 1}
grid: {method: [declares-width, declares-nothing, protonet]}
"""


@register("declares-nothing", "no width")
class Constant(Method):
    """The same for every query."""

    @dataclass(frozen=True)
    class Config:
        """No width."""

        depth: int = 2

    def __init__(self, config: Config, setting: Setting) -> None:
        super().__init__()

    def forward(self, episode: Episode) -> Tensor:
        """Zeros."""
        return episode.query_images.new_zeros(*episode.query_labels.shape, episode.ways)

    def solver_parameters(self, ways: int) -> int:
        """None."""
        return 0


@register("declares-width", "a width of another name")
class Wide(Constant):
    """Its width has a name of its own."""

    @dataclass(frozen=True)
    class Config(Constant.Config):
        """With a width."""

        width: int = 16
        channels: int = 3

    size_axis = "width"


def test_only_the_width_is_kept_where_it_repeats_the_default() -> None:
    assert resolve_options(registry.get("declares-width"), {"channels": 3, "depth": 2}) == {"width": 16}
    assert resolve_options(registry.get("declares-nothing"), {"depth": 2}) == {}
    assert resolve_options(registry.get("protonet"), {}) == {"channels": 8}


def test_folders_are_named_after_the_width(tmp_path: Path) -> None:
    (tmp_path / "grid.yaml").write_text(GRID)
    cells = read_grid(tmp_path / "grid.yaml").cells
    names = [ExperimentFolder(tmp_path).cell(cell).folder.name for cell in cells]
    starts = ("declares-width-16wi-seed0-", "declares-nothing-seed0-", "protonet-8ch-seed0-")
    assert all(name == start + cell.key for name, start, cell in zip(names, starts, cells, strict=True))
    assert [size(cell) for cell in cells] == [16, None, 8]


def test_a_method_that_is_not_here_declares_nothing() -> None:
    assert size_axis("somebodys-own") == "channels"
    assert not is_reference("somebodys-own")
    assert fixed_option("somebodys-own", "generated_layers") is None


def test_references_are_those_tested_with_every_image() -> None:
    assert [name for name in registry.names() if is_reference(name)] == ["oracle"]
