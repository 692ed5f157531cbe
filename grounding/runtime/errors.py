"""What a user's mistake raises, and texts of strangers as they can be shown and written."""

MOST_LETTERS = 1000
KEPT_AT_THE_END = 300  # where the remedy stands
LEFT_OUT = " ... "


class InputError(ValueError):
    """Input that cannot be used: the message is one sentence naming the file or field and the remedy.

    The scripts print it as ``error: ...`` and exit with code 2; inside another program it is caught
    like any ``ValueError``. What a file holds may be part of the sentence, so that a line end or what a terminal would
    obey rather than show becomes its escape, and of a very long one the middle is left out.

    Example:
        >>> try:
        ...     grounding.load("refshapes").ground("scene.jpg", [""])
        ... except grounding.InputError as error:
        ...     print(str(error)[:19])
        the phrase is empty
    """

    def __init__(self, sentence: str) -> None:
        sentence = visible(sentence)
        if len(sentence) > MOST_LETTERS:
            beginning = sentence[: MOST_LETTERS - KEPT_AT_THE_END - len(LEFT_OUT)]
            sentence = f"{beginning}{LEFT_OUT}{sentence[-KEPT_AT_THE_END:]}"
        super().__init__(sentence)


class SettingsError(InputError):
    """Values of settings that cannot be used, alone or together, or with which training does not converge.

    With other values the same files would do: a search counts this, and no other `InputError`, against the values.
    """


class SharedError(InputError):
    """What has ended all processes of a launch, in another one than the main one, which says it for all."""


def visible(text: str) -> str:
    """The text with every letter that cannot be printed, such as a line end, by its escape."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def writable(text: str) -> str:
    """The text with half characters, which no file and no picture can hold, by their escapes.

    They are in a file's name that is no UTF-8, for example; other texts are the same.
    """
    return text.encode("utf-8", "backslashreplace").decode()
