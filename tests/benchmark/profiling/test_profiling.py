"""`htbench profile`: operations counted against hand formulas, one small measurement, and what is written of many."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from benchmark.commands.profiling import profile
from benchmark.errors import UserError
from benchmark.profiling import flops, survey
from benchmark.profiling.figures import draw
from benchmark.profiling.measure import Profile, Workload, measure
from benchmark.profiling.survey import Group, Measured
from methods.networks.shared_convolution import convolve_shared

BATCH, TASKS, CHANNELS, OUTPUTS, SIDE = 2, 3, 4, 5, 6


def _profile(workload: Workload, step_ms: float = 40.0) -> Profile:
    return Profile(workload, 1.0, 10.0, 25.0, 2.0, step_ms, 500.0, 0.5, 100.0, 3.0, None)


def test_convolution_and_both_gradients() -> None:
    """A multiplication and an addition per output pixel, output channel and kernel entry, in all three."""
    x = torch.rand(BATCH, TASKS * CHANNELS, SIDE, SIDE, requires_grad=True)
    one = 2 * BATCH * TASKS * SIDE**2 * OUTPUTS * CHANNELS * 9
    grouped = torch.rand(TASKS * OUTPUTS, CHANNELS, 3, 3, requires_grad=True)
    assert flops.count(lambda: F.conv2d(x, grouped, padding=1, groups=TASKS).sum().backward()) == 3 * one
    assert flops.count(lambda: F.conv2d(x.detach(), grouped, padding=1, groups=TASKS).sum().backward()) == 2 * one
    shared = torch.rand(OUTPUTS, CHANNELS, 3, 3, requires_grad=True)
    assert flops.count(lambda: convolve_shared(x, shared, None, TASKS, 1, 1).sum().backward()) == 3 * one


def test_attention() -> None:
    """As many as the products it is made of."""
    query, key, value = (
        torch.rand(2, 3, tokens, width, requires_grad=True) for tokens, width in [(5, 4), (7, 4), (7, 6)]
    )
    by_hand = flops.count(lambda: (query @ key.mT).softmax(-1) @ value)
    assert flops.count(lambda: F.scaled_dot_product_attention(query, key, key)) == 2 * 6 * 5 * 7 * (4 + 4)
    assert by_hand == 2 * 6 * 5 * 7 * (4 + 6)


def test_a_measurement_adds_up() -> None:
    found = measure(Workload("protonet", ways=2, shots=1, queries=1, channels=2, batch=2), seconds=0)
    assert found.classify_ms is not None
    assert min(found.sampling_ms, found.forward_ms, found.optimizer_ms, found.adapt_ms, found.classify_ms) > 0
    # Convolutions of 28, 14, 7 and 3 pixels on four images, in three passes; the first has no gradient of its input.
    first, others = 28**2 * 2 * 9, (14**2 + 7**2 + 3**2) * 4 * 9
    convolutions = 4 * 2 * (2 * first + 3 * others)
    assert convolutions <= found.gflop_per_episode * 1e9 < 1.02 * convolutions
    assert found.episodes_per_s == pytest.approx(2 * 1000 / found.step_ms)


def test_plan_has_every_method_and_width_and_scales_some() -> None:
    groups = survey.plan(Workload("protonet"), ["protonet", "rfs"], [4, 8], [1, 2])
    widths = [(g.workloads[0].method, g.workloads[0].channels) for g in groups if g.axis == "width"]
    assert widths == [("protonet", 4), ("protonet", 8), ("rfs", 4), ("rfs", 8)]
    assert [len(g.workloads) for g in groups if g.axis == "workers"] == [1, 2]
    assert {g.workloads[0].method for g in groups if g.axis != "width"} == {"protonet"}


def test_table_names_what_failed() -> None:
    workload = Workload("protonet", channels=4)
    measured = [
        Measured(Group("width", (workload,)), [_profile(workload)]),
        Measured(Group("width", (Workload("rfs"),)), ["out of memory"]),
    ]
    text = survey.markdown(measured, {"processor": "abacus", "threads_per_process": 1}, 2)
    assert "| protonet | 4 | 400.0 | 1.00 | 10.0 | 25.0 | 2.00 | 40.0 | 0.500 | 200% | 500 | 3.00 | - |" in text
    assert "- rfs, 8 channels: out of memory" in text
    assert "abacus" in text


def test_of_several_passes_each_time_is_the_least() -> None:
    workload = Workload("protonet")
    slow_start = replace(_profile(workload, 40.0), sampling_ms=3.0, peak_gflops=90.0, classify_ms=2.0)
    slow_end = replace(_profile(workload, 60.0), sampling_ms=2.0, peak_gflops=120.0, classify_ms=1.0)
    best = survey.quickest(slow_start, slow_end)
    assert isinstance(best, Profile)
    assert (best.step_ms, best.sampling_ms, best.classify_ms, best.peak_gflops) == (40.0, 2.0, 1.0, 120.0)
    assert survey.quickest("killed", best) == best == survey.quickest(best, "killed")


def test_a_survey_repeats_every_point_once_per_pass(tmp_path: Path) -> None:
    workload = Workload("no-such-method")
    groups = [Group("width", (workload,)), Group("ways", (workload,))]
    told: list[str] = []
    survey.survey(groups, tmp_path, lambda group: told.append(group.axis), passes=2)
    assert told == ["width", "ways"] * 2
    rows = list(csv.DictReader((tmp_path / "profile.csv").read_text().splitlines()))
    assert [row["axis"] for row in rows] == ["width", "ways"]
    assert "least of 2 passes" in (tmp_path / "profile.md").read_text()


def test_what_learns_nothing_from_single_tasks_is_not_surveyed() -> None:
    names = survey.trained_on_tasks()
    assert {"protonet", "ht-all", "maml++", "rfs"} <= set(names)
    assert not {"oracle", "ewc", "ht-continual"} & set(names)
    with pytest.raises(ValueError, match="not trained"):
        measure(Workload("oracle", ways=2, shots=1, queries=1, channels=2, batch=2), seconds=0)


def test_survey_writes_everything_and_survives_a_failure(tmp_path: Path) -> None:
    groups = [Group("width", (Workload("no-such-method"),))]
    survey.survey(groups, tmp_path, lambda group: None)
    (row,) = csv.DictReader((tmp_path / "profile.csv").read_text().splitlines())
    assert "no-such-method" in row["failure"]
    record = json.loads((tmp_path / "profile.json").read_text())
    assert record["hardware"]["cores"] >= 1
    assert "no-such-method" in (tmp_path / "profile.md").read_text()


def test_figure_has_a_panel_per_axis_that_varies(tmp_path: Path) -> None:
    rows = [
        {"axis": axis, "workers": 1, **_profile(Workload("protonet", channels=channels)).facts()}
        for axis, channels in [("width", 4), ("width", 8), ("ways", 8)]
    ]
    draw(rows, tmp_path)
    text = (tmp_path / "speed.svg").read_text()
    assert text.count('id="axes_') == 1
    assert (tmp_path / "speed.png").exists()


def test_an_unknown_method_is_refused_at_once() -> None:
    with pytest.raises(UserError, match="--method protnet"):
        profile(method=["protnet"], device="cpu")


@pytest.mark.parametrize("every", [False, True])
def test_impossible_episodes_are_refused_as_in_a_grid(tmp_path: Path, every: bool) -> None:
    with pytest.raises(
        UserError, match=r"^episodes need 61 images of each class \(1 shots .* of the train split has 20"
    ):
        profile(method=["protonet"], queries=60, device="cpu", every=every, out=tmp_path / "out")
    with pytest.raises(UserError, match="5000 ways are impossible: the train split has 4000 classes"):
        profile(method=["protonet"], ways=5000, device="cpu", every=every, out=tmp_path / "out")
    absurd: tuple[tuple[dict[str, Any], str], ...] = (
        ({"ways": 10**5}, "--ways should be at most 10000"),
        ({"batch": 10**9}, "--batch: "),
    )
    for option, said in absurd:
        with pytest.raises(UserError, match=said) as caught:
            profile(method=["protonet"], device="cpu", every=every, out=tmp_path / "out", **option)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="episodes need 61 images"):
        measure(Workload("protonet", ways=2, queries=60), seconds=0)


@pytest.mark.parametrize("method", ["ht-logits", "maml", "rfs"])
def test_other_methods_can_be_measured(method: str) -> None:
    found = measure(Workload(method, ways=2, shots=1, queries=2, channels=2, batch=2), seconds=0)
    assert found.gflop_per_episode > 0
    assert found.adapt_ms > 0
    assert found.classify_ms is None  # each by itself: no network apart, or one that needs the other queries
