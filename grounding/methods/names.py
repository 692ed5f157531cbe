"""What methods are called: a run by its folder, a CLIP by its name or file, the others by one word."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from grounding.clip.backbone import RESNETS
from grounding.extraction.settings import EXTRACTION_FILE, QUALITY_FILE
from grounding.methods.calibration import CALIBRATION_FILE
from grounding.methods.hub_download import PREFIX, fetched, is_hub_name
from grounding.methods.own import MethodName, MethodNames, own_method
from grounding.methods.reclip import ReCLIPGrounder
from grounding.methods.yolo_clip import YOLOCLIPGrounder
from grounding.runtime.config_io import RUN_CONFIG
from grounding.runtime.errors import InputError, writable

DECODER_FILE = "decoder.safetensors"
RUN_FILES = (RUN_CONFIG, DECODER_FILE, EXTRACTION_FILE, QUALITY_FILE, CALIBRATION_FILE)  # all that loading a run needs
ZERO_SHOT, GRADCAM = "zero-shot", "gradcam"
ON_CROPS = {each.name: each for each in (YOLOCLIPGrounder, ReCLIPGrounder)}
SHIPPED = {"refshapes": Path(__file__).parents[1] / "weights" / "refshapes"}
TRAINING_FREE = (ZERO_SHOT, GRADCAM, *ON_CROPS)
WORDS = (*TRAINING_FREE, *SHIPPED, *RESNETS)  # no folder or file of such a name is the method
ANSWER_SUFFIXES = (".jsonl", ".json")
CLIP_SUFFIXES = (".pt", ".pth", ".bin", ".safetensors")
ON_PROPOSALS = "+yolo"  # after the name of a method whose heatmap is to choose among a detector's boxes


def maps_of(name: str) -> str:
    """The name of the method that makes the heatmaps: `name` itself, without `ON_PROPOSALS`."""
    return name.removesuffix(ON_PROPOSALS)


def folder_of(name: str | os.PathLike[str]) -> Path:
    """The run folder that a name stands for: of the package's own decoder, of a run on a hub, or the name itself."""
    name = maps_of(os.fspath(name))
    return fetched(name, RUN_FILES) if is_hub_name(name) else SHIPPED.get(name, Path(name))


def is_clip(name: str) -> bool:
    """Whether a method's name is that of a CLIP, which then answers zero-shot: a published one, or a file."""
    is_file = Path(name).suffix.lower() in CLIP_SUFFIXES and not is_hub_name(name) and not Path(name).is_dir()
    return name in RESNETS or is_file


def is_answer_file(name: str) -> bool:
    """Whether a method's name is that of a file of boxes which another system has left, rather than of a folder."""
    return name.endswith(ANSWER_SUFFIXES) and not Path(name).is_dir()


def needs_no_training(name: str) -> bool:
    """Whether a method's name is none of a run."""
    name = maps_of(name)
    return name in TRAINING_FREE or is_clip(name)


def run_folders(names: Iterable[object]) -> list[Path]:
    """The folders of those methods that are runs; a folder that is called like another method is none of them."""
    named = [os.fspath(name) for name in names if isinstance(name, str | os.PathLike)]  # and no method of one's own
    return [folder for folder in (folder_of(name) for name in named if not needs_no_training(name)) if folder.is_dir()]


def names_of(method: MethodName | os.PathLike[str]) -> list[str]:
    """What a method may be called in tables and file names, the shortest first: a run by its folder's name, which those
    of the folders above may precede, a file by its stem."""
    own = own_method(method)
    if own is not None:
        return [own.name]
    name = os.fspath(method)  # type: ignore[arg-type]
    if name.endswith(ON_PROPOSALS):
        return [maps + ON_PROPOSALS for maps in names_of(maps_of(name))]
    if name in WORDS:
        return [name]
    if is_hub_name(name):
        repo, _, revision = name.removeprefix(PREFIX).partition("@")
        whole = repo.replace("/", "-")
        return [repo.rpartition("/")[2], whole, f"{whole}-{(revision or 'main').replace('/', '-')}"]
    path = Path(os.path.abspath(name))
    parts = [*path.parent.parts[1:], path.stem if is_answer_file(name) or is_clip(name) else path.name]
    return [writable("-".join(parts[-count:])) for count in range(1, len(parts) + 1)]


def method_names(methods: MethodNames, others: Iterable[str] = ()) -> list[str]:
    """A name for each method, the shortest that no other could have: of two runs in a/run and b/run "a-run", "b-run".

    `others` are names of something else. InputError: none is named, one is named twice, or two have one name.
    """
    if not methods:
        raise InputError("no method is named: give run folders or names, such as zero-shot")
    possible, taken = [names_of(method) for method in methods], [other.casefold() for other in others]
    count = Counter([*taken, *(name.casefold() for each in possible for name in each)])  # on some disks "A" is "a"
    names = [next((name for name in each if count[name.casefold()] == 1), each[-1]) for each in possible]
    count = Counter([*taken, *(name.casefold() for name in names)])
    for each, name in zip(possible, names, strict=True):
        if count[name.casefold()] > 1:
            raise InputError(f"two methods would both be called {each[0]!r}: name each once, and give each method of "
                             "your own another name")  # fmt: skip
    return names


def method_places(names: Sequence[str], methods: MethodNames) -> list[list[str | Path]]:
    """[name, place] of each method: the folder or file where it lies, the class of one's own, or the name again."""
    places: list[str | Path] = []
    for method in methods:
        own, name = own_method(method), str(method)
        places.append(own.origin if own else Path(name) if name not in WORDS and Path(name).exists() else name)
    return [[name, place] for name, place in zip(names, places, strict=True)]
