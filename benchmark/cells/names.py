"""What may be a name: of a grid, of a method, of a folder. Names become parts of paths, table rows and tags."""

import re

LENGTH = 60
RULE = f"letters, digits and any of - + . _, beginning with a letter or digit, at most {LENGTH} characters"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*")


def is_name(text: object, length: int = LENGTH) -> bool:
    """Whether it follows `RULE`; `methods.registry` has the same for methods, as it cannot import from here."""
    return isinstance(text, str) and len(text) <= length and _NAME.fullmatch(text) is not None


def checked_name(text: str) -> str:
    """The name itself.

    Raises:
        ValueError: it breaks the rule.
    """
    if not is_name(text):
        raise ValueError(f"a name should be {RULE}, found {text[:80]!r}")
    return text
