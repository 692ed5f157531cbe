"""A run on a model hub as a folder on this machine, in huggingface_hub's cache.

What comes from a stranger is data only: the files of a run are named here one by one, none of them is code or a
pickle, and a configuration that would make this program look for files is refused. One that would make it import
modules is refused where it is read, of any run (`yaml_files`).
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from huggingface_hub import HfApi

from grounding.clip_backbone import EMBEDDED, RESNETS
from grounding.errors import InputError
from grounding.hub.failures import hub_failures
from grounding.yaml_files import read_yaml

NAME = re.compile(r"(?P<repo>[\w-][\w.-]*/[\w-][\w.-]*)(?:@(?P<revision>[\w./-]+))?")
RUNS = "runs"  # where training puts its runs: a run that is missing there is never looked for elsewhere
PUBLISHED_CLIPS = (EMBEDDED, *RESNETS)


def is_hub_name(name: str) -> bool:
    """Whether a name is that of a run on a hub: "user/name" or "user/name@revision", and nothing that is here.

    Where the folder "user" is here, the name is a path, mistyped perhaps: nobody else's run is fetched in its place.
    """
    match = NAME.fullmatch(name)
    if match is None or Path(name).exists():
        return False
    owner = match["repo"].split("/")[0]
    return owner != RUNS and not Path(owner).exists()


@cache
def fetched(name: str, files: tuple[str, ...]) -> Path:
    """The folder of a run on a hub, downloaded where it is not in the cache; the same one until the program ends.

    Args:
        name: "user/name" or "user/name@revision", a branch, tag or commit.
        files: the only files that are downloaded, the first two of which every run has: its config.yaml and weights.

    Raises:
        InputError: there is no such run, it may not be downloaded, the hub cannot be reached, or the configuration
            asks for more than a run may.
    """
    match = NAME.fullmatch(name)
    assert match is not None  # `is_hub_name` says so
    with hub_failures(name):
        folder = Path(HfApi().snapshot_download(match["repo"], revision=match["revision"], allow_patterns=list(files)))
    missing = [file for file in files[:2] if not (folder / file).is_file()]
    if missing:
        raise InputError(f"{name} on the model hub is no run of this project: it has no {missing[0]}")
    for file in files:
        if file.endswith(".yaml") and (folder / file).is_file():
            refuse_own_files(folder / file, name)
    return folder


def refuse_own_files(path: Path, name: str) -> None:
    """Does nothing where a run's YAML file names no file of this machine as its CLIP.

    Raises:
        InputError: it is damaged, or its `model.clip` is not a published CLIP's name.
    """
    try:
        clip = read_yaml(path).get("model", {}).get("clip", EMBEDDED)
    except (ValueError, AttributeError) as error:
        raise InputError(f"{name} on the model hub has a damaged {path.name}: give another revision") from error
    if clip not in PUBLISHED_CLIPS:
        known = ", ".join(PUBLISHED_CLIPS)
        raise InputError(
            f"{name} on the model hub names the CLIP {str(clip)[:60]!r}: only runs with one of {known} are loaded"
        )
