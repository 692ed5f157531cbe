"""What goes wrong in a handler, told to the user in one sentence."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from grounding.errors import InputError
from grounding.webapp.markup import refused

UNEXPECTED = "that did not work, through no fault of yours: the terminal that serves this page says why"
Values = dict[Any, Any]  # of components, by component


def in_words(handler: Callable[..., Values], status: Any) -> Callable[..., Values]:
    """The handler, with mistakes told in the component `status`; all other components stay as they are."""

    @wraps(handler)
    def explaining(*arguments: Any) -> Values:
        try:
            return handler(*arguments)
        except InputError as error:
            return {status: told(error)}
        except Exception:  # a page that other people use has to go on
            logging.getLogger(__name__).exception("%s failed", handler.__name__)
            return {status: told(InputError(UNEXPECTED))}

    return explaining


def told(error: InputError) -> str:
    """The line of status for an error: a sentence, whose first word may be a file's name or a setting's."""
    message = str(error).rstrip(".")
    named = "." in message.split(maxsplit=1)[0]
    return refused(f"{message if named else message[0].upper() + message[1:]}.")
