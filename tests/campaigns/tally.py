"""What became of the attempts of a campaign."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["right", "refused", "wrong number", "traceback", "hang", "lost", "outside", "unclear"]

MEANING: dict[Outcome, str] = {
    "right": "the numbers of an undisturbed run, or harmless",
    "refused": "one clear line, nothing shown or lost",
    "wrong number": "a wrong number shown as right",
    "traceback": "a traceback",
    "hang": "no end within the limit",
    "lost": "something finished was lost, or could not be continued by a plain `run`",
    "outside": "something was written outside its folder",
    "unclear": "failed without a line that says what is wrong",
}
GOOD: tuple[Outcome, ...] = ("right", "refused")


@dataclass
class Tally:
    """The outcomes of one campaign, and a line on each that is not good."""

    campaign: str
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, outcome: Outcome, note: str) -> None:
        """Count an attempt; `note` says which, and is kept if the outcome is not good."""
        self.outcomes[outcome] += 1
        if outcome not in GOOD:
            self.notes.append(f"{outcome}: {note}"[:600])

    @property
    def tried(self) -> int:
        """How many attempts."""
        return sum(self.outcomes.values())
