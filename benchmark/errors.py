"""Errors that are the user's to mend."""


class UserError(Exception):
    """What is wrong, where, and what would be right, in one message; the command line exits with status 2."""
