"""Time in words."""


def duration(seconds: float | None) -> str:
    """Seconds as people say them: 45 s, 12 min, 3.4 h; `?` when unknown."""
    if seconds is None:
        return "?"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
