"""The campaigns' report, as Markdown and as JSON."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from benchmark.machine.files import make_folder, write_text
from benchmark.machine.provenance import code_version, hardware
from tests.campaigns.tally import GOOD, MEANING, Outcome, Tally

NOTES = 12
"""Kept of each campaign; the totals say how many there were."""


def write_report(tallies: list[Tally], folder: Path, seconds: float, seed: int, small_disk: bool) -> None:
    """Write `campaign.json` and `campaign.md`."""
    make_folder(folder)
    commit, changed = code_version()
    outcomes: tuple[Outcome, ...] = get_args(Outcome)
    totals = {outcome: sum(tally.outcomes[outcome] for tally in tallies) for outcome in outcomes}
    about: dict[str, object] = {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "commit": commit,
        "uncommitted_changes": changed,
        "hardware": hardware(),
        "minutes": round(seconds / 60, 1),
        "seed": seed,
        "disk_of_its_own": small_disk,
        "totals": totals,
        "campaigns": [
            {
                "name": tally.campaign,
                "seconds": round(tally.seconds),
                "tried": tally.tried,
                "outcomes": {outcome: tally.outcomes[outcome] for outcome in outcomes},
                "notes": [_shown(note) for note in tally.notes],
            }
            for tally in tallies
        ],
    }
    write_text(folder / "campaign.json", json.dumps(about, indent=1) + "\n")
    write_text(folder / "campaign.md", _markdown(tallies, about, totals))


def _markdown(tallies: list[Tally], about: dict[str, object], totals: dict[Outcome, int]) -> str:
    shown: list[Outcome] = [outcome for outcome in totals if outcome in (*GOOD, "wrong number") or totals[outcome]]
    lines = [
        "# Fault campaign",
        "",
        f"{about['date']}, commit {str(about['commit'])[:12]}, {about['minutes']} minutes, seed {about['seed']};"
        f" {json.dumps(about['hardware'])}."
        " Each attempt does one thing to a small real run, or gives htbench one bad input. `make campaign` repeats it.",
        "",
        f"**{sum(totals.values())} attempts; a wrong number was shown as right {totals['wrong number']} times.**",
        "",
        f"| campaign | tried | {' | '.join(shown)} |",
        f"|---|{'--:|' * (len(shown) + 1)}",
    ]
    lines += [
        f"| {tally.campaign} | {tally.tried} | {' | '.join(str(tally.outcomes[outcome]) for outcome in shown)} |"
        for tally in tallies
    ]
    lines += [f"| all | {sum(totals.values())} | {' | '.join(str(totals[outcome]) for outcome in shown)} |", ""]
    lines += [f"- *{outcome}*: {MEANING[outcome]}" for outcome in shown]
    for tally in tallies:
        if tally.notes:
            lines += ["", f"## {tally.campaign}", ""]
            lines += [f"- {_shown(note).replace('<', '&lt;')}" for note in tally.notes[:NOTES]]
            if len(tally.notes) > NOTES:
                lines.append(f"- and {len(tally.notes) - NOTES} more, in campaign.json")
    return "\n".join(lines) + "\n"


def _shown(note: str) -> str:
    """On one line, without this machine's folders."""
    return re.sub(r"(?:/[\w.+-]+)+/(?=[\w.+-])", "", " ".join(note.split()))
