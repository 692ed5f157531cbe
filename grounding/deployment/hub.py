"""`python -m grounding.deployment.hub push`: a run to a model hub, its files and a model card in one commit."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path, PureWindowsPath

import yaml
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, ModelCard, ModelCardData
from jsonargparse import auto_cli

from grounding.clip.backbone import ADDRESSES
from grounding.clip.text import CONTEXT_LENGTH
from grounding.errors import InputError
from grounding.methods.config import read_model_config
from grounding.methods.dense import DenseGrounder
from grounding.methods.hub_download import NAME, PREFIX, PUBLISHED_CLIPS, hub_failures
from grounding.methods.load import load
from grounding.methods.names import CONFIG_FILE, DECODER_FILE, RUN_FILES, folder_of
from grounding.runtime.cli import exit_on_input_error
from grounding.runtime.config_io import plain, read_yaml

CARD_FILE = "README.md"
CARD_TEMPLATE = Path(__file__).with_name("model_card.md")
PROJECT = "clip-visual-grounding"
TASK = "zero-shot-object-detection"  # of the hub's tasks, the one that takes a phrase and gives boxes
PATHS = ("data", "validation_data", "output", "start_from")  # settings that say where things are on one machine


def push(run: str | os.PathLike[str], repo: str, *, private: bool = False, licence: str = "mit") -> str:
    """Upload a run to a model hub, in place of what an earlier upload put there.

    Args:
        run: the run's folder, or "refshapes".
        repo: user/name on the hub, with or without "hf://"; made where it is not there.
        private: whether others may not see it.
        licence: of the weights, by the hub's name for it.

    Returns:
        The address of the commit.

    Raises:
        InputError: there is no such run or it cannot be loaded elsewhere, or the hub refuses.

    Example:
        >>> grounding.push("runs/demo", "user/my-grounder")  # doctest: +SKIP
        'https://.../user/my-grounder/commit/...'
    """
    repo = repo.removeprefix(PREFIX)
    name = NAME.fullmatch(repo)
    if name is None or name["revision"]:
        raise InputError(f"{repo!r} is no name on a model hub: give user/name")
    content = _content(run, repo, licence)
    api = HfApi()
    with hub_failures(repo):
        api.create_repo(repo, private=private, exist_ok=True)
        info = api.model_info(repo)
        there = {each.rfilename for each in info.siblings or ()} - {".gitattributes"}
        if private and not info.private:
            raise InputError(f"{repo} is there already and public: make it private on its page, or give another --repo")
        if there and DECODER_FILE not in there:
            raise InputError(f"{repo} holds {min(there)}, which is no run of this project: give another --repo")
        stale = there & set(RUN_FILES) - set(content)
        operations = [CommitOperationAdd(name, data) for name, data in content.items()]
        deletions = [CommitOperationDelete(name) for name in sorted(stale)]
        try:
            commit = api.create_commit(repo, [*operations, *deletions], commit_message="A run, with its model card")
        except ValueError as error:  # of the card's metadata, the licence's name in the first place
            raise InputError(f"the model hub refuses the card of {repo} ({' '.join(str(error).split())})") from error
    return str(commit.commit_url)


def _content(run: str | os.PathLike[str], repo: str, licence: str) -> dict[str, bytes]:
    """File name -> content of all that is uploaded.

    Raises:
        InputError: there is no such run, or its CLIP is a file that no published name stands for.
    """
    grounder = load(run)
    if not isinstance(grounder, DenseGrounder) or grounder.decoder is None:
        raise InputError(f"{os.fspath(run)!r} has no trained decoder to upload: give the folder of a run")
    folder, clip = folder_of(run), grounder.encoder.clip
    model = plain(read_model_config(folder))
    if model["clip"] not in PUBLISHED_CLIPS:
        published = [name for name in PUBLISHED_CLIPS if f"/{clip.sha256}/" in ADDRESSES.get(name, "")]
        if not published:
            raise InputError(
                f"{folder / CONFIG_FILE}, model.clip: {model['clip']} is a file that is not uploaded and nobody could "
                f"fetch; only runs with one of {', '.join(PUBLISHED_CLIPS)} can be shared"
            )
        [model["clip"]] = published
    config = read_yaml(folder / CONFIG_FILE) | {"model": model}
    # The last name of each: Windows' paths are split at both kinds of slash.
    config |= {name: PureWindowsPath(config[name]).name for name in PATHS if config.get(name)}
    content = {name: (folder / name).read_bytes() for name in RUN_FILES if (folder / name).is_file()}
    content[CONFIG_FILE] = yaml.safe_dump(config, sort_keys=False).encode()
    parameters = sum(each.numel() for each in grounder.decoder.parameters())
    facts = {
        "CLIP, its own weights frozen": f"{model['clip']}, sha256 {clip.sha256[:12]}...",
        "decoder": f"{parameters:,} parameters, sha256 {hashlib.sha256(content[DECODER_FILE]).hexdigest()[:12]}...",
        "boxes from heatmaps by": f"`{grounder.extraction.method}`",
        "trained on": f"{config.get('data')}, split {config.get('split')} ({config.get('split_by')})",
        "supervision": "no boxes" if model["decoder"]["kind"] == "adapters" else "boxes",
        "input sizes": ", ".join(map(str, model["inference_sizes"] or [model["model_size"]])),
        "licence of the weights": licence,
    }
    title = repo.partition("/")[2]
    metadata = ModelCardData(language="en", license=licence, library_name=PROJECT, pipeline_tag=TASK, model_name=title,
                             tags=["visual-grounding", "referring-expression-comprehension", "clip"])  # fmt: skip
    card = ModelCard.from_template(metadata, template_path=str(CARD_TEMPLATE), title=title, repo=repo, project=PROJECT,
                                   facts=facts, data=config.get("data"), context_length=CONTEXT_LENGTH)  # fmt: skip
    return content | {CARD_FILE: str(card).encode()}


def push_command(run: str, repo: str, private: bool = False, licence: str = "mit") -> None:
    """Upload a run and a model card; `hf auth login` comes first.

    Args:
        run: the run's folder, or "refshapes" for the decoder that comes with this package.
        repo: user/name on the hub, with or without "hf://"; made where it is not there.
        private: whether others may not see it.
        licence: of the weights, by the hub's name for it.
    """
    address = push(run, repo, private=private, licence=licence)
    print(f'{address}\nload it with grounding.load("{PREFIX}{repo.removeprefix(PREFIX)}")')


if __name__ == "__main__":
    with exit_on_input_error():
        auto_cli({"push": push_command}, args=sys.argv[1:], as_positional=False, parser_mode="json")
