"""A result belongs to what it was made from: options, plugin, data, code."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmark import data
from benchmark.cells import source
from benchmark.cells.config import CellConfig
from benchmark.cells.folder import CellFolder, ExperimentFolder
from benchmark.cells.identity import Standing, data_today, differences, origin_today, standing
from benchmark.cells.result import Origin
from benchmark.data.files.places import data_folder
from benchmark.execution.cell import run
from benchmark.grid import Grid, read_grid
from benchmark.reporting.adopt import adopt
from benchmark.reporting.record import collect
from methods import Method, registry
from tests.benchmark.data.conftest import cache_home

__all__ = ["cache_home"]

PLUGIN = '''
"""A method."""
from dataclasses import dataclass

import torch
from torch import nn

from methods import Method, register


@register("identity-toy", "a test's own")
class Toy(Method):
    @dataclass(frozen=True)
    class Config:
        scale: float = 1.0

    def __init__(self, config, setting):
        super().__init__()
        self.scale = config.scale
        self.embed = nn.Flatten(2)

    def forward(self, episode):
        support, query = self.embed(episode.support_images), self.embed(episode.query_images)
        belongs = nn.functional.one_hot(episode.support_labels, episode.ways).to(support)
        return -self.scale * torch.cdist(query, belongs.mT @ support / belongs.sum(1)[..., None])

    def solver_parameters(self, ways):
        return 0
'''

GRID = """\
name: mine
dataset: {name: folder, path: pictures}
episodes: {ways: 2, shots: 1, queries: 2}
train: {steps: 2, batch: 2, validate_every: 2, validation_episodes: 4}
test: {episodes: 10}
plugins: [plug.py]
method: identity-toy
"""


def write_pictures(folder: Path, shade: int = 0) -> None:
    """Eight classes of four grey squares."""
    for number in range(8):
        for drawing in range(4):
            path = folder / f"c{number}" / f"{drawing}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), number * 20 + drawing * 3 + shade).save(path)


def place(folder: Path, plugin: str = PLUGIN, shade: int = 0) -> Grid:
    """The grid with its pictures and its plugin, in a folder of its own."""
    write_pictures(folder / "pictures", shade)
    (folder / "plug.py").write_text(plugin)
    (folder / "grid.yaml").write_text(GRID)
    return read_grid(folder / "grid.yaml")


@pytest.fixture
def experiment(tmp_path: Path) -> ExperimentFolder:
    """The grid, run."""
    experiment = ExperimentFolder(tmp_path / "runs" / "mine")
    (config,) = place(tmp_path / "first").cells
    store = experiment.cell(config)
    store.create(config)
    assert run(store, "cpu").state == "done"
    return experiment


def seen(grid: Grid, experiment: ExperimentFolder) -> Standing:
    (config,) = grid.cells
    return standing(config, experiment.cell(config))


def test_what_did_not_change_is_done(experiment: ExperimentFolder, tmp_path: Path) -> None:
    """Also elsewhere, and with a comment and a docstring more."""
    assert seen(read_grid(tmp_path / "first" / "grid.yaml"), experiment) == Standing("done")
    elsewhere = place(tmp_path / "second", "# mine\n" + PLUGIN.replace('"""A method."""', '"""A learner."""'))
    assert seen(elsewhere, experiment) == Standing("done")


@pytest.mark.parametrize(
    ("old", "new", "note"),
    [
        ("-self.scale", "-2 * self.scale", "its plugin was edited since"),
        ("scale: float = 1.0", "scale: float = 2.0", "option scale was 1.0 and is now 2.0"),
    ],
)
def test_an_edited_plugin_outdates(experiment: ExperimentFolder, tmp_path: Path, old: str, new: str, note: str) -> None:
    grid = place(tmp_path / "second", PLUGIN.replace(old, new))
    now = seen(grid, experiment)
    assert now.state == "outdated" and note in now.note
    (cell,) = collect(grid, experiment).cells
    assert (cell.state, cell.result) == ("outdated", None)  # no report prints its number
    (config,) = grid.cells
    aside = experiment.cell(config).set_aside(planned=experiment.cell(config).record())
    assert aside is not None and CellFolder(aside).result() is not None
    assert seen(grid, experiment).state == "missing"
    assert experiment.cells() == []


def test_pictures_are_known_by_their_content(experiment: ExperimentFolder, tmp_path: Path) -> None:
    (first,) = read_grid(tmp_path / "first" / "grid.yaml").cells
    (copied,) = place(tmp_path / "second").cells
    assert copied.dataset != first.dataset and copied.key == first.key
    changed = place(tmp_path / "third", shade=1)
    assert changed.cells[0].key != first.key
    assert seen(changed, experiment).state == "missing"
    assert seen(read_grid(tmp_path / "first" / "grid.yaml"), experiment).state == "done"


def test_adopted_cells_count_for_the_same_pictures_elsewhere(experiment: ExperimentFolder, tmp_path: Path) -> None:
    record = collect(read_grid(tmp_path / "first" / "grid.yaml"), experiment)
    record.save(tmp_path / "results")
    other = ExperimentFolder(tmp_path / "other" / "mine")
    assert len(adopt(record.load(tmp_path / "results"), other)) == 1
    assert seen(place(tmp_path / "second"), other) == Standing("done")


def test_without_its_pictures_a_cell_is_still_found(experiment: ExperimentFolder, tmp_path: Path) -> None:
    grid = place(tmp_path / "first")
    shutil.rmtree(tmp_path / "first" / "pictures")
    (config,) = read_grid(tmp_path / "first" / "grid.yaml").cells
    assert config.content is None
    assert experiment.recalled([config]) == grid.cells


def rewrite(experiment: ExperimentFolder, **origin: Any) -> None:
    """As if the cell had been made from something else."""
    (store,) = experiment.cells()
    result = store.result()
    assert result is not None
    changed = result.model_copy(update={"origin": result.origin.model_copy(update=origin)})
    store.write_result(changed, store.test_accuracy())


def test_other_built_in_code_is_told_and_counts(experiment: ExperimentFolder, tmp_path: Path) -> None:
    grid = read_grid(tmp_path / "first" / "grid.yaml")
    rewrite(experiment, code="0" * 64)
    assert seen(grid, experiment) == Standing("done", "with older code", stale=True)
    assert [cell.note for cell in collect(grid, experiment).cells] == ["with older code"]
    rewrite(experiment, code=None)
    assert seen(grid, experiment) == Standing("done", "code not recorded")


def test_an_option_added_since_changes_nothing(experiment: ExperimentFolder, tmp_path: Path) -> None:
    rewrite(experiment, options={})
    assert seen(read_grid(tmp_path / "first" / "grid.yaml"), experiment) == Standing("done")


def test_an_interrupted_cell_is_continued_with_what_it_began_with_only(
    experiment: ExperimentFolder, tmp_path: Path
) -> None:
    (store,) = experiment.cells()
    store.last_checkpoint.write_bytes(b"here")
    store.forget_result()
    assert seen(read_grid(tmp_path / "first" / "grid.yaml"), experiment) == Standing("interrupted")
    edited = place(tmp_path / "second", PLUGIN.replace("-self.scale", "self.scale"))
    assert seen(edited, experiment).state == "outdated"


def built_in(**changes: Any) -> CellConfig:
    return CellConfig.model_validate(
        {"dataset": {"name": "glyphs"}, "method": "protonet", "train": {"steps": 5}, **changes}
    )


def told(
    was: CellConfig, origin: Origin, config: CellConfig, sha256: str | None = None
) -> list[tuple[str, bool, bool]]:
    return [(d.text, d.outdates, d.stale) for d in differences(was, origin, sha256, config)]


def test_a_changed_default_of_a_built_in_outdates() -> None:
    config = built_in()
    today = origin_today(config)
    assert today.plugin is None and today.options["channels"] == 8
    assert told(config, today, config) == []
    older = today.model_copy(update={"options": {"channels": 16, "gone": 1}})
    assert told(config, older, config) == [("option channels was 16 and is now 8", True, True)]
    was = built_in(train={"steps": 5, "batch": 4})  # as a record would say, had 4 been the default
    assert told(was, today, config) == [("setting train.batch was 4 and is now 16", True, True)]
    unused = built_in(train={"steps": 5, "momentum": 0.5})  # Adam has none
    assert told(unused, today, config) == []


def test_another_archive_is_told() -> None:
    config = built_in(dataset={"name": "omniglot"})
    if not (data_folder() / "omniglot").is_dir():
        pytest.skip("Omniglot is not here")
    here = data.load(config.dataset).sha256
    assert data_today(config.dataset) == here
    assert told(config, origin_today(config), config, sha256=here) == []
    assert told(config, origin_today(config), config, sha256="0" * 64) == [("with other data", False, True)]


def test_data_that_are_not_here_are_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTBENCH_DATA", str(tmp_path))
    assert data_today(built_in(dataset={"name": "fc100"}).dataset) is None
    assert list(tmp_path.iterdir()) == []


def test_a_method_that_is_not_here_differs_in_nothing() -> None:
    config = built_in(method="somebody-elses")
    assert told(config, Origin(code="0"), config) == []


def test_a_plugin_may_not_take_a_built_in_name() -> None:
    class Mine(Method):
        pass

    for name in ("protonet", "maml++"):
        with pytest.raises(ValueError, match="is a built-in method"):
            registry.register(name, "mine")(Mine)
    protonet = registry.get("protonet").learner
    with pytest.raises(ValueError, match="is a built-in method"):
        registry.register("protonet", "with other options", channels=2)(protonet)
    assert registry.get("protonet").fixed == {}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("x = 1", "x  =  1  # one\n", True),
        ("def f(x):\n    'Says.'\n    return x", "def f(x):\n\n    return (x)", True),
        ("class C:\n    'Says.'\n    x = 1", "class C:\n    x = 1", True),
        ("x = 1", "x = 2", False),
        ("x = 1", "x = 1.0", False),
        ("x = 1", "x = True", False),
        ("x = 'a'", "x = b'a'", False),
        ("f(x)\n'text'", "f(x)", False),
        ("x = 0.1 + 0.2", "x = 0.2 + 0.1", False),
    ],
)
def test_code_is_compared_not_text(one: str, other: str, same: bool) -> None:
    assert (source.normalised(one) == source.normalised(other)) == same


def test_code_that_a_number_depends_on() -> None:
    """A method's own modules and those they import, and the rooms that make numbers; not the rooms that show them."""
    hashes = {name: source.built_in_sha256(registry.get(name).where, ("glyphs",)) for name in registry.built_in_names()}
    assert len({hashes[name] for name in ("protonet", "ht-all", "maml", "maml++", "replay", "ewc")}) == 6
    assert hashes["ht-all"] == hashes["ht-logits"]  # one class: what the names fix is told as options
    files = {
        str(path.relative_to(source.ROOT)) for path in source.built_in_files("methods.protonet.model", ("glyphs",))
    }
    assert "methods/compiled/block.cpp" in files
    used = {
        "methods/protonet/model.py",
        "methods/protonet/config.py",
        "methods/networks/conv4.py",
        "methods/method.py",
        "benchmark/data/glyphs.py",
    }
    assert used | {"benchmark/scoring/scoring.py", "benchmark/training/trainer.py"} <= files
    rooms = {name.split("/")[1] for name in files if name.startswith("benchmark/")}
    assert rooms == {"data", "episodes", "scoring", "training"}
    assert not [name for name in files if "maml" in name or "registry" in name]


def test_a_face_only_names_what_others_define() -> None:
    """The list of a family's learners is no code of any of them, but what is imported through it is."""
    built_in = source.built_in_files("methods.rfs.model", ("glyphs",))
    assert source.ROOT / "methods/rfs/logistic_regression.py" in built_in  # from methods.rfs import ...
    faces = {source.ROOT.joinpath("methods", family, "__init__.py") for family in registry.FAMILIES}
    assert not built_in & {*faces, source.ROOT / "methods/__init__.py"}


def test_what_a_plugin_takes_from_a_face_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "identity_faces.py").write_text("from methods import Method\nfrom methods.maml import MAMLConfig\n")
    __import__("identity_faces")
    files = {str(path.relative_to(source.ROOT)) for path in source.built_in_files("identity_faces", ("glyphs",))}
    assert {"methods/method.py", "methods/episode.py", "methods/maml/config.py"} <= files
    assert (
        not {"methods/__init__.py", "methods/maml/__init__.py", "methods/registry.py", "methods/maml/model.py"} & files
    )


def test_what_a_plugin_imports_from_its_folder_belongs_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "identity_helper.py").write_text("x = 1\n")
    (tmp_path / "identity_main.py").write_text("import json\nimport identity_helper\n")
    __import__("identity_main")
    before = source.plugin_sha256("identity_main")
    (tmp_path / "identity_helper.py").write_text("x = 2\n")
    for cached in (source.plugin_sha256, source._digest, source._names, source._tree):
        cached.cache_clear()
    assert source.plugin_sha256("identity_main") != before
    assert source.plugin_sha256("methods.protonet.model") is None
