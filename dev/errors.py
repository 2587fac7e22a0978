"""What the commands report to their user as a message, not as a traceback."""


class StackError(Exception):
    """Something the user can put right; the message says what."""
