"""Bars of running cells, in every width."""

import io

import pytest
from rich.console import Console

from benchmark.cells.now import Now
from benchmark.execution.bars import progress_bars, short_names

CELLS = {
    "ht-all-8ch-seed0": Now(phase="training", step=1200, steps=5000, loss=0.51234, accuracy=0.8125,
                            episodes_per_second=213.4, seconds_left=150),
    "protonet-16ch-seed11": Now(phase="testing", step=5000, steps=5000, accuracy=0.9, scored=40, to_score=600),
    "maml-8ch-seed0": Now(),
}  # fmt: skip


def drawn(width: int, cells: dict[str, Now] = CELLS) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width).print(progress_bars(cells, width))
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", range(40, 160))
def test_no_line_is_too_long_and_the_steps_are_always_there(width: int) -> None:
    lines = drawn(width)
    assert all(len(line) <= width for line in lines)
    assert len(lines) in (3, 6)
    text = "\n".join(lines)
    for said in (*CELLS, "step 1,200/5,000", "testing  40/600", "starting"):
        assert said in text
    assert "…" not in text


def test_what_matters_most_stays_longest() -> None:
    """Wider screens show more, in one order, and never less again."""
    order = ["2 min left", "val 81.2%", "loss 0.512", "213 episodes/s"]
    shown = [[said in "\n".join(drawn(width)) for said in order] for width in range(40, 160)]
    assert all(one == sorted(one, reverse=True) for one in shown)
    counts = [sum(one) for one in shown]
    assert counts == sorted(counts) and counts[0] < 2 and counts[-1] == 4


@pytest.mark.parametrize(("done", "blocks"), [(0, 0), (25, 10), (50, 20), (100, 40)])
def test_a_bar_is_as_full_as_the_training(done: int, blocks: int) -> None:
    """Without colours the part that is not done is not drawn; the widest bar has forty characters."""
    (line,) = drawn(100, {"cell": Now(phase="training", step=done, steps=100)})
    assert line.count("━") == blocks
    assert f"step {done:>3}/100" in line


def test_names_are_short_where_they_stay_different() -> None:
    one, other, third = "a-seed0-0123456789ab", "a-seed0-ba9876543210", "b-seed0-0123456789ab"
    assert short_names([one, third]) == {one: "a-seed0", third: "b-seed0"}
    assert short_names([one, other, third]) == {one: one, other: other, third: "b-seed0"}
