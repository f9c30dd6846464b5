"""How figures look, and what their SVG tells."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from matplotlib.figure import Figure

from benchmark import figure_style
from benchmark.figure_style import colour_and_marker, drawing, looks, save, tell, tell_legend
from methods import registry

TABLE = yaml.safe_load(Path(figure_style.__file__).with_suffix(".yaml").read_text())


def test_every_method_has_a_look_of_its_own() -> None:
    assert set(registry.built_in_names()) <= set(TABLE["methods"])
    pairs = [tuple(pair) for pair in TABLE["methods"].values()]
    assert len(set(pairs)) == len(pairs)
    assert len({colour for colour, _ in pairs}) == 8


def test_a_method_has_its_colour_whatever_stands_beside_it() -> None:
    alone = looks({"protonet": ("protonet", "")})["protonet"]
    crowd = looks({name: (name, "") for name in ("mine", "ht-all", "maml", "protonet")})
    assert crowd["protonet"] == alone
    assert len({(look.color, look.marker) for look in crowd.values()}) == 4


def test_dashes_belong_to_the_mode() -> None:
    lines = {f"{m} ({mode})": (m, mode) for m in ("maml++", "ht-all") for mode in ("batch", "support")}
    found = looks(lines)
    assert found["maml++ (batch)"].linestyle == found["ht-all (batch)"].linestyle
    assert found["maml++ (support)"].linestyle == found["ht-all (support)"].linestyle
    assert found["maml++ (batch)"].linestyle != found["maml++ (support)"].linestyle
    assert found["maml++ (batch)"].color == found["maml++ (support)"].color == colour_and_marker("maml++")[0]


def test_many_variants_of_a_method_fade_and_differ_in_dashes() -> None:
    found = [*looks({f"x {rate}": ("x", f"rate {rate}") for rate in range(5)}).values()]
    assert len({str(look.linestyle) for look in found}) == 5
    assert len({look.color for look in found}) == 5
    assert found[0].color == colour_and_marker("x")[0]


@pytest.mark.parametrize("count", [2, 30])
def test_unknown_methods_get_looks_of_their_own(count: int) -> None:
    found = looks({f"plugin-{i}": (f"plugin-{i}", "") for i in range(count)})
    assert len({(look.color, look.marker) for look in found.values()}) == count
    assert looks({"plugin-1": ("plugin-1", "")})["plugin-1"].color in TABLE["others"]["colours"]


def test_the_svg_tells_series_and_numbers(tmp_path: Path) -> None:
    name = 'a <b> & "c"'
    with drawing():
        figure = Figure()
        axes = figure.subplots()
        (line,) = axes.plot([1, 2, 3], [4, 5, 6], "o-", label=name)
        tell(line, name, [f"{name}: {y}" for y in (4, 5, 6)])
        (other,) = axes.plot([1, 2], [2, 2], "s")
        tell(other, "other")
        (text,) = figure.legend([line], [name]).get_texts()
        tell_legend(text, name)
        save(figure, tmp_path, "told")
    root = ElementTree.fromstring((tmp_path / "told.svg").read_text())
    space = {"svg": "http://www.w3.org/2000/svg"}
    (group,) = [one for one in root.iter() if one.get("data-series") == name]
    titles = [use.findtext("svg:title", namespaces=space) for use in group.iter(f"{{{space['svg']}}}use")]
    assert titles == [f"{name}: {y}" for y in (4, 5, 6)]
    assert len([one for one in root.iter() if one.get("data-legend") == name]) == 1
    (untitled,) = [one for one in root.iter() if one.get("data-series") == "other"]
    assert untitled.find(".//svg:title", space) is None
    assert not re.search(f"id=[\"'](series|legend){figure_style._SIGN}", (tmp_path / "told.svg").read_text())
