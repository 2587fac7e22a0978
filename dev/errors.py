"""The error that a command shows as a message, without a traceback."""


class StackError(Exception):
    """Something that the user can put right; the message says how."""
