"""A run on a model hub as a folder on this machine, in huggingface_hub's cache.

What comes from a stranger is data only: the files of a run are named one by one, none of them is code or a pickle, and
a configuration that names a file as its CLIP is refused here, one that names modules where it is read (`config_io`).
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from huggingface_hub import HfApi, errors

from grounding.clip.backbone import EMBEDDED, RESNETS
from grounding.methods.config import read_model_config
from grounding.runtime.errors import InputError

NAME = re.compile(r"(?P<repo>[\w-][\w.-]*/[\w-][\w.-]*)(?:@(?P<revision>[\w./-]+))?")
PREFIX = "hf://"  # without it a name is a folder: a mistyped one must not become a download
PUBLISHED_CLIPS = (EMBEDDED, *RESNETS)


def is_hub_name(name: str) -> bool:
    """Whether a name is that of a run on a hub: "hf://user/name" or "hf://user/name@revision"."""
    return name.startswith(PREFIX)


@cache
def fetched(name: str, files: tuple[str, ...]) -> Path:
    """The folder of a run on a hub, downloaded where it is not in the cache; the same one until the program ends.

    Of the run only `files` are downloaded, the first two of which every run has: its config.yaml and weights.
    InputError: there is no such run, it may not be downloaded, the hub cannot be reached, or the configuration is
    damaged or names a file of this machine as its CLIP.
    """
    match = NAME.fullmatch(name.removeprefix(PREFIX))
    no_name = InputError(f"{name!r} is no name on a model hub: give hf://user/name[@revision]")
    if match is None:
        raise no_name
    repo, revision = match.groups()
    try:
        folder = Path(HfApi().snapshot_download(repo, revision=revision, allow_patterns=list(files)))
    except errors.HFValidationError as error:
        raise no_name from error
    except (errors.HTTPError, errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        # Where nothing is in the cache either, the library says so, and keeps the reason as the cause.
        cause = error.__cause__ or error if isinstance(error, errors.LocalEntryNotFoundError) else error
        reason = " ".join(f"{type(cause).__name__}: {cause}".split())
        raise InputError(
            f"{name} cannot be had from the model hub ({reason}): check name and revision, log in with `hf auth login` "
            "if it is private or gated, or connect and try again"
        ) from error
    missing = [file for file in files[:2] if not (folder / file).is_file()]
    if missing:
        raise InputError(f"{name} on the model hub is no run of this project: it has no {missing[0]}")
    clip = read_model_config(folder).clip
    if clip not in PUBLISHED_CLIPS:
        raise InputError(
            f"{name} on the model hub names the CLIP {clip[:60]!r}: only runs with one of {', '.join(PUBLISHED_CLIPS)} "
            "are loaded"
        )
    return folder
