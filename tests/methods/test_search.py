"""What the built-in methods offer to tuning."""

import dataclasses
import itertools
from typing import Any

import pytest

from methods import registry
from methods.search import Range, Space, spaces

SEARCHED = [name for name in registry.built_in_names() if spaces(registry.get(name).config)]


def ends(space: Space) -> tuple[object, ...]:
    return (space.low, space.high) if isinstance(space, Range) else space


@pytest.mark.parametrize("name", SEARCHED)
def test_every_corner_of_a_search_space_is_a_valid_setting(name: str) -> None:
    method = registry.get(name)
    found = {option: space for option, space in spaces(method.learner.Config).items() if option not in method.fixed}
    for corner in itertools.product(*map(ends, found.values())):
        options = {**dict(zip(found, corner, strict=True)), **method.fixed}
        config = method.learner.Config(**options)
        assert options.items() <= dataclasses.asdict(config).items()


@pytest.mark.parametrize("name", SEARCHED)
def test_defaults_lie_in_the_search_space(name: str) -> None:
    config = registry.get(name).learner.Config
    defaults: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(config)}
    for option, space in spaces(config).items():
        inside = space.low <= defaults[option] <= space.high if isinstance(space, Range) else defaults[option] in space
        assert inside, option


def test_the_families_have_something_to_search() -> None:
    assert {"ht-all", "ht-logits", "maml", "maml++", "anil", "maml-l2l", "rfs"} <= set(SEARCHED)
