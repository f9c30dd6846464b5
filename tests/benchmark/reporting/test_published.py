"""Published numbers beside measured ones."""

import pytest

from benchmark.cells.config import CellConfig
from benchmark.reporting.published import all_published, find_published
from benchmark.statistics import Interval


def cell(method: str, channels: int, shots: int = 1, ways: int = 20, **model: str) -> CellConfig:
    return CellConfig.model_validate(
        {
            "dataset": {"name": "omniglot"},
            "episodes": {"ways": ways, "shots": shots},
            "method": method,
            "model": {"channels": channels, **model},
            "train": {"steps": 1},
        }
    )


def measured(mean: float, half_width: float) -> Interval:
    return Interval(mean, mean - half_width, mean + half_width, "seeds x episodes", 3, 600, 0.0)


def test_the_hypertransformer_paper_table_1() -> None:
    accuracies = [find_published(cell("ht-all", c), None)[0].published.accuracy for c in (8, 16, 32, 48, 64)]
    assert accuracies == [87.2, 93.7, 95.5, 95.7, 96.2]


def test_other_papers_and_other_tasks() -> None:
    assert find_published(cell("protonet", 64, ways=5), None)[0].published.accuracy == 98.8
    assert find_published(cell("protonet", 8), None) == []
    assert find_published(cell("ht-all", 8, ways=10), None) == []


@pytest.mark.parametrize("method", ["ht-logits", "maml++"])
def test_queries_normalised_by_the_support_set_are_another_protocol(method: str) -> None:
    assert (
        find_published(cell(method, 8, query_statistics="batch"), None) == find_published(cell(method, 8), None) != []
    )
    assert find_published(cell(method, 8, query_statistics="support"), None) == []


def test_every_number_is_a_percentage_with_a_source() -> None:
    for one in all_published():
        assert 20 < one.accuracy < 100
        assert one.paper
        assert one.ways in (5, 20)
        assert one.shots in (1, 5)


def test_the_surest_reading_comes_first() -> None:
    order = [match.published.confidence for match in find_published(cell("ht-all", 8, shots=5), None)]
    assert order == ["high", "medium"]


@pytest.mark.parametrize(
    ("mean", "half_width", "verdict"),
    [
        (0.870, 0.004, "inside"),
        (0.865, 0.004, "within a point"),
        (0.880, 0.001, "within a point"),
        (0.80, 0.01, "outside"),
        (0.870, 0.06, "undecided"),
    ],
)
def test_the_verdict(mean: float, half_width: float, verdict: str) -> None:
    match = find_published(cell("ht-all", 8), measured(mean, half_width))[0]
    assert match.verdict == verdict
    assert match.difference == pytest.approx(mean - 0.872)


def test_tasks_in_domains_have_no_published_numbers_and_a_name_of_their_own() -> None:
    plain = CellConfig.model_validate(
        {
            "method": "ht-all",
            "dataset": {"name": "omniglot"},
            "episodes": {"ways": 20, "shots": 1},
            "model": {"channels": 8},
            "train": {"steps": 1},
        }
    )
    planes = CellConfig.model_validate(
        {**plain.model_dump(), "dataset": {"name": "omniglot", "domains": "planes"}, "train": {"steps": 1}}
    )
    assert find_published(plain, None) and not find_published(planes, None)
    assert (plain.data_name, planes.data_name) == ("omniglot", "omniglot (planes)")
