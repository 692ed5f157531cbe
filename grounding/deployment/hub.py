"""`python -m grounding.deployment.hub push`: a run to a model hub, its files and a model card in one commit."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path, PureWindowsPath
from typing import Any

import yaml
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from jsonargparse import auto_cli
from safetensors import safe_open

from grounding.clip.package import clip
from grounding.deployment.model_card import model_card, read_measured
from grounding.errors import InputError
from grounding.extraction.settings import QUALITY_FILE
from grounding.methods.dense import DenseGrounder
from grounding.methods.hub_download import NAME, PREFIX, PUBLISHED_CLIPS, hub_failures
from grounding.methods.load import CLIP_SHA256, load, read_model_config
from grounding.methods.names import CONFIG_FILE, DECODER_FILE, RUN_FILES, folder_of
from grounding.runtime.cli import exit_on_input_error
from grounding.runtime.config_io import plain, read_yaml

CARD_FILE = "README.md"
FOLDERS = ("data", "validation_data", "output")  # settings that say where things are on one machine


def push(
    run: str | os.PathLike[str],
    repo: str,
    *,
    private: bool = False,
    results: str | os.PathLike[str] | None = None,
    licence: str = "mit",
) -> str:
    """Upload a run to a model hub, in place of what an earlier upload put there.

    Args:
        run: the run's folder, or "refshapes".
        repo: user/name on the hub, with or without "hf://"; made where it is not there.
        private: whether others may not see it.
        results: results.json of `evaluate.py compare` that measured this run; None for a card without numbers.
        licence: of the weights, by the hub's name for it.

    Returns:
        The address of the commit.

    Raises:
        InputError: there is no such run or it cannot be loaded elsewhere, the results are not of this run, or the hub
            refuses.

    Example:
        >>> grounding.push("runs/demo", "user/my-grounder")  # doctest: +SKIP
        'https://.../user/my-grounder/commit/...'
    """
    repo = repo.removeprefix(PREFIX)
    name = NAME.fullmatch(repo)
    if name is None or name["revision"]:
        raise InputError(f"{repo!r} is no name on a model hub: give user/name")
    content = _content(run, repo, Path(results) if results is not None else None, licence)
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


def _content(run: str | os.PathLike[str], repo: str, results: Path | None, licence: str) -> dict[str, bytes]:
    """File name -> content of all that is uploaded."""
    grounder = load(run)
    if not isinstance(grounder, DenseGrounder) or grounder.decoder is None:
        raise InputError(f"{os.fspath(run)!r} has no trained decoder to upload: give the folder of a run")
    folder = folder_of(run)
    config = neutral_config(folder)
    model = config["model"]
    content = {name: (folder / name).read_bytes() for name in RUN_FILES if (folder / name).is_file()}
    content[CONFIG_FILE] = yaml.safe_dump(config, sort_keys=False).encode()
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
    made_from = {"decoder": hashes[DECODER_FILE], "extraction": plain(grounder.extraction),
                 "model": plain(read_model_config(folder))}  # fmt: skip
    if grounder.calibration is not None:
        made_from["calibration"] = plain(grounder.calibration)
    if grounder.quality_head is not None:
        made_from["box_quality"] = hashes[QUALITY_FILE]
    measured = read_measured(results, made_from) if results is not None else None
    data = config.get("data", "unknown")
    parameters = sum(each.numel() for each in grounder.decoder.parameters())
    facts = {
        "CLIP, its own weights frozen": f"{model['clip']}, sha256 {grounder.encoder.clip.sha256[:12]}...",
        "decoder": f"{parameters:,} parameters, sha256 {hashes[DECODER_FILE][:12]}...",
        "boxes from heatmaps by": f"`{grounder.extraction.method}`",
        "trained on": f"{data}, split {config.get('split', 'unknown')} ({config.get('split_by', 'unknown')})",
        "supervision": "no boxes" if model["decoder"]["kind"] == "adapters" else "boxes",
        "input sizes": ", ".join(map(str, model.get("inference_sizes") or [model["model_size"]])),
        "licence of the weights": licence,
    }
    content[CARD_FILE] = model_card(repo, facts, measured, trained_on=data, licence=licence).encode()
    return content


def neutral_config(folder: Path) -> dict[str, Any]:
    """A run's config.yaml as it may leave this machine: folders by their last name, the CLIP by a published one.

    Raises:
        InputError: the run's CLIP is a file that no published name stands for.
    """
    config: dict[str, Any] = read_yaml(folder / CONFIG_FILE)
    config["model"] = plain(read_model_config(folder))
    clip_name = config["model"]["clip"]
    config = {name: _last_name(value) if name in FOLDERS else _nowhere(value) for name, value in config.items()}
    model = config["model"]
    if clip_name not in PUBLISHED_CLIPS:
        with safe_open(folder / DECODER_FILE, framework="pt") as file:
            sha256 = file.metadata()[CLIP_SHA256]
        published = {url.split("/")[-2]: name for name, url in clip.clip._MODELS.items() if name in PUBLISHED_CLIPS}
        if sha256 not in published:
            raise InputError(
                f"{folder / CONFIG_FILE}, model.clip: {clip_name} is a file that is not uploaded and nobody could "
                f"fetch; only runs with one of {', '.join(PUBLISHED_CLIPS)} can be shared"
            )
        model["clip"] = published[sha256]
    return config


def _nowhere(value: Any) -> Any:
    """A setting with every absolute path in it cut down to its last name."""
    if isinstance(value, dict):
        return {name: _nowhere(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_nowhere(item) for item in value]
    if isinstance(value, str) and (value.startswith(("/", "~")) or PureWindowsPath(value).is_absolute()):
        return _last_name(value)
    return value


def _last_name(path: str | None) -> str | None:
    return PureWindowsPath(path).name if path else path  # it splits at both kinds of slash


def push_command(run: str, repo: str, private: bool = False, results: Path | None = None, licence: str = "mit") -> None:
    """Upload a run and a model card; `hf auth login` comes first.

    Args:
        run: the run's folder, or "refshapes" for the decoder that comes with this package.
        repo: user/name on the hub, with or without "hf://"; made where it is not there.
        private: whether others may not see it.
        results: results.json of `evaluate.py compare` that measured this run; without it the card has no numbers.
        licence: of the weights, by the hub's name for it.
    """
    address = push(run, repo, private=private, results=results, licence=licence)
    print(f'{address}\nload it with grounding.load("{PREFIX}{repo.removeprefix(PREFIX)}")')


if __name__ == "__main__":
    with exit_on_input_error():
        auto_cli({"push": push_command}, args=sys.argv[1:], as_positional=False, parser_mode="json")
