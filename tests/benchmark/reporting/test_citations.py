"""What to cite, read by another BibTeX parser than ours."""

from pathlib import Path

import yaml
from pybtex.database import parse_string

from benchmark.grid.axes import _DATASETS
from benchmark.reporting.citations import bibtex, cited, entries
from methods import registry
from tests.benchmark.helpers import SCRATCH_METHODS, invoke, write_grid
from tests.benchmark.trained_runs import configure

ROOT = Path(__file__).parents[3]
OWN = {"dataset:folder", "dataset:mixture"}
"""What is not from a paper itself: a user's own pictures, and data sets of others."""


def built_in() -> set[str]:
    datasets = {f"dataset:{name}" for name in (*_DATASETS, "lake-oneshot")}
    return {f"method:{name}" for name in registry.built_in_names()} | datasets - OWN


def test_every_built_in_method_and_dataset_has_its_entries() -> None:
    told = [subject for entry in entries() for subject in entry.of]
    assert set(told) == built_in()


def test_another_parser_reads_all_of_it() -> None:
    source = (ROOT / "benchmark" / "reporting" / "citations.bib").read_text()
    read = parse_string(source, "bibtex").entries
    assert list(read) == [entry.key for entry in entries()] and len(read) > 15
    for key, entry in read.items():
        assert entry.persons["author"] and entry.fields["title"] and 1990 < int(entry.fields["year"]) < 2030, key
        venue = {"inproceedings": "booktitle", "article": "journal", "techreport": "institution", "misc": "note"}
        assert entry.fields[venue[entry.type]], key
        assert key == "htbench" or entry.fields["year"] in key


def test_a_grid_cites_what_it_uses_and_names_what_has_no_entry(tmp_path: Path) -> None:
    registry.load_plugin(SCRATCH_METHODS)
    cells = [configure("anil"), configure("linear-mean")]
    used, missing = cited(cells)
    assert [entry.key for entry in used] == ["htbench", "finn2017model", "raghu2020rapid"]
    assert missing == ["method:linear-mean"]
    text = bibtex(cells)
    assert set(parse_string(text, "bibtex").entries) == {"htbench", "finn2017model", "raghu2020rapid"}
    assert "% method anil\n@inproceedings{finn2017model," in text and "keywords" not in text
    assert "% method linear-mean has no entry here; it is a plugin" in text
    shown = invoke("cite", write_grid(tmp_path))
    assert shown.exit_code == 0 and "% dataset glyphs\n@misc{htbench," in shown.stdout
    committed = invoke("cite", ROOT / "results" / "omniglot-semi")
    assert (
        "@inproceedings{zhmoginov2022hypertransformer," in committed.stdout
        and "@article{lake2015human," in committed.stdout
    )


def test_the_citation_file_is_of_this_version() -> None:
    import tomllib

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation["version"] == project["version"] and citation["license"] == project["license"]
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()


def test_a_mixture_is_cited_as_what_it_is_made_of() -> None:
    mixed = {"name": "mixture", "of": {"glyphs": {}, "omniglot": {}}}
    used, missing = cited([configure("protonet", dataset=mixed)])
    assert [entry.key for entry in used] == [entry.key for entry in cited([configure("protonet")])[0]] + [
        entry.key for entry in entries() if "dataset:omniglot" in entry.of
    ] and not missing
