"""A terminal that text from elsewhere cannot command, and that any encoding can show."""

import re
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters but tab and line feed, and those that turn the direction of writing."""

_PLAIN = str.maketrans(
    {
        "±": "+-",
        "\N{MULTIPLICATION SIGN}": "x",
        "·": ".",
        "\N{EN DASH}": "-",
        "—": "-",
        "\N{MINUS SIGN}": "-",
        "…": "...",
        "†": "+",
        "‡": "++",
        "↑": "^",
        "→": "->",
        "←": "<-",
        "≤": "<=",
        "≥": ">=",
        "≈": "~",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{LEFT SINGLE QUOTATION MARK}": "'",
        "“": '"',
        "”": '"',
        "\N{NO-BREAK SPACE}": " ",
    }
)


def harmless(text: str) -> str:
    """The text with control characters spelt out, so that none reaches the terminal."""
    return _CONTROL.sub(lambda found: repr(found.group())[1:-1], text)


def encodable(text: str, encoding: str) -> str:
    """The text as a terminal of that encoding can show it: signs in ASCII, other letters spelt out."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(encoding, "backslashreplace").decode(encoding)
    except LookupError:
        return text.translate(_PLAIN).encode("ascii", "backslashreplace").decode("ascii")
    return text


class Terminal(Console):
    """Rich's console, whose own styles are the only escape codes that reach the terminal."""

    def shown(self, text: str) -> str:
        """The text as it will be shown; what is to be aligned should be this text."""
        return encodable(harmless(text), self.encoding)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Rich's own, with harmless text."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else self.shown(segment.text)
            yield segment if text == segment.text else Segment(text, segment.style)
