"""The documentation builds strictly, needs nothing from the network, and says what the code has."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.grid import read_grid
from methods import registry
from methods.method import Setting
from tests.methods.helpers import random_episode

pytest.importorskip("mkdocs", reason="pip install -r requirements-test.txt")

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def blocks(page: str) -> list[str]:
    """The indented blocks of a page."""
    text = (ROOT / "docs" / page).read_text()
    found = re.findall(r"(?:^    .*\n|^\n(?=    ))+", text, flags=re.MULTILINE)
    return [textwrap.dedent(block).strip("\n") + "\n" for block in found]


def test_every_method_option_key_and_dataset_has_its_row(site: Path) -> None:
    from benchmark.cells.config import TrainConfig
    from benchmark.cells.options import option_names

    methods, grids, datasets = ((site / f"{name}.html").read_text() for name in ("methods", "grids", "datasets"))
    for name in registry.built_in_names():
        assert f"<code>{name}</code>" in methods
        for option in option_names(registry.get(name)):
            assert f"<td><code>{option}</code></td>" in methods, (name, option)
    for key in TrainConfig.model_fields:
        assert f"<td><code>{key}</code></td>" in grids
    for name in ("omniglot", "glyphs", "folder", "mini_imagenet", "tiered_imagenet", "cifar_fs", "fc100", "mixture"):
        assert f"<code>{name}</code>" in datasets
    # A meaning is the one of the code: this is a line of MAML's Config.
    assert "until this fraction of training, gradients are first-order" in " ".join(methods.split())


def test_every_option_has_a_meaning() -> None:
    """In its row, or in the text above the table, if a Config has its options in one sentence."""
    from docs.site import reference

    sections = re.split(r"^## ", reference.methods(), flags=re.MULTILINE)[1:]
    assert len(sections) > 10
    for section in sections:
        text, found, table = section.rpartition("| option | values | default | meaning |")
        without = re.findall(r"^\| (`\w+`) \|.*\|  \|$", table, flags=re.MULTILINE)
        assert found and all(name in text or "as of the same names" in text for name in without), section


def test_a_key_without_a_meaning_stops_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    from docs.site import reference

    monkeypatch.setattr("docs.site.reference.TOP_LEVEL", ("colour", *reference.meanings()["grid file"]))
    with pytest.raises(reference.IncompleteError, match=r"grid file: colour$"):
        reference.meanings()


def test_nothing_is_fetched_from_the_network(site: Path) -> None:
    loaded = re.compile(
        r"""<(?:script|img|iframe|link rel=["']?stylesheet)\b[^>]*?\b(?:src|href)=["']?(?:https?:)?//"""
    )
    pages = [path for path in site.rglob("*.html") if path.name != "404.html"]
    assert len(pages) > 20
    assert [path for path in pages if loaded.search(path.read_text())] == []
    styles = [path.read_text() for path in site.rglob("*.css")]
    assert styles and not any(re.search(r"(?:@import|url\()\s*[\"']?https?:", style) for style in styles)


def test_results_are_those_of_the_repository(site: Path) -> None:
    """Written once: the page is results/README.md, and what it links to is there too."""
    page = (site / "results" / "index.html").read_text()
    assert "Does a HyperTransformer help small networks?" in page
    for target in ("omniglot-table1/table.html", "omniglot-table1/pairs.csv", "omniglot-table1/report.html"):
        assert f'href="{target}"' in page and (site / "results" / target).is_file()
    assert "larger of own and pooled" in (site / "statistics.html").read_text()


def test_grids_that_are_shown_resolve(tmp_path: Path) -> None:
    shown = [block for page in ("index.md", "grids.md") for block in blocks(page) if block.startswith("name: ")]
    cells = []
    for text in shown:
        (tmp_path / "grid.yaml").write_text(text)
        cells.append(len(read_grid(tmp_path / "grid.yaml").cells))
    assert cells == [3 * 2 * 3, 3 * 4 * 3 - 3]


def test_the_method_that_is_shown_is_one(tmp_path: Path) -> None:
    (source,) = [block for block in blocks("add.md") if block.startswith("from dataclasses")]
    (tmp_path / "pixel_mean.py").write_text(source)
    registry.load_plugin(tmp_path / "pixel_mean.py")
    method: Any = registry.get("pixel-mean").build({"features": 8}, Setting(3, 2, (1, 16, 16), 10))
    episode = random_episode(ways=3, shots=2, queries=4, tasks=2).to(dtype=torch.float32)
    logits = method(episode)
    assert logits.shape == (2, 12, 3)
    support, query = method.embed(episode.support_images)[1], method.embed(episode.query_images)[1, 0]
    for way in range(3):
        mean = support[episode.support_labels[1] == way].mean(0)
        assert torch.isclose(logits[1, 0, way], -(query - mean).square().sum(), rtol=1e-4)


def test_every_command_that_is_shown_exists() -> None:
    from typer.main import get_command

    from benchmark.cli import app

    known = set(get_command(app).commands)  # type: ignore[attr-defined]
    text = "\n".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    named = set(re.findall(r"(?:^    |`)htbench (\w+)", text, flags=re.MULTILINE))
    assert named and named <= known, named - known
