"""What can go wrong between here and a model hub, in one sentence each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from grounding.errors import InputError


@contextmanager
def hub_failures(name: str) -> Iterator[None]:
    """Turns what huggingface_hub raises inside the block into an `InputError` about the repository `name`."""
    try:
        yield
    except HFValidationError as error:
        raise InputError(f"{name!r} is no name on a model hub: give user/name or user/name@revision") from error
    except (HTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        # Where nothing is in the cache either, the library says so, and keeps the reason as the cause.
        cause = error.__cause__ if isinstance(error, LocalEntryNotFoundError) and error.__cause__ else error
        raise InputError(_sentence(name, cause)) from error


def _sentence(name: str, error: BaseException) -> str:
    if isinstance(error, GatedRepoError):
        return f"{name} is gated: ask for access on its page, then log in with `hf auth login`"
    if isinstance(error, RevisionNotFoundError):
        return f"{name} has no such revision on the model hub: give a branch, a tag or a commit that it has"
    if isinstance(error, RepositoryNotFoundError):
        return (
            f"{name} is neither a folder here nor a repository on the model hub that you may see: check the name, "
            "or log in with `hf auth login` if it is private"
        )
    if isinstance(error, HfHubHTTPError) and error.response.status_code in (401, 403):
        return f"no permission for {name} on the model hub: log in with `hf auth login` and a token that allows it"
    if isinstance(error, HfHubHTTPError):
        return f"the model hub answered {error.response.status_code} for {name}: try again later"
    if isinstance(error, OfflineModeIsEnabled):
        return f"{name} needs the model hub, and HF_HUB_OFFLINE is set: unset it and connect once"
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return f"the model hub cannot be reached for {name} ({reason}): connect and try again"
