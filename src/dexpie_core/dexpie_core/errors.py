"""The two errors that end a command: one line each, naming what is wrong and what to do."""


class DexpieError(Exception):
    """The work could not be done (exit status 1). The message is one line."""


class UsageError(DexpieError):
    """The command was used wrongly (exit status 2); nothing was changed. The message is one line."""
