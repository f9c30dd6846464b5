"""Errors that are the user's to mend."""


class UserError(Exception):
    """What is wrong, where, and what would be right, in one message; the command line exits with status 2."""


class MachineError(UserError):
    """No space, no memory, a folder that went away: nothing is wrong with what was asked, so it can be tried again."""
