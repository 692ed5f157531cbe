"""The one exception that a user's mistake raises."""


class InputError(ValueError):
    """Input that cannot be used: the message is one sentence naming the file or field and the remedy.

    The scripts print it as ``error: ...`` and exit with code 2; inside another program it is caught
    like any ``ValueError``.
    """
