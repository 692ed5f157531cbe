"""What methods are called: a run by its folder, a CLIP by its name or file, the others by one word."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from grounding.clip.backbone import RESNETS
from grounding.errors import writable
from grounding.extraction.settings import EXTRACTION_FILE, QUALITY_FILE
from grounding.methods.calibration import CALIBRATION_FILE
from grounding.methods.chance import CentredBoxGrounder, WholeImageGrounder
from grounding.methods.hub_download import fetched, is_hub_name
from grounding.methods.reclip import ReCLIPGrounder
from grounding.methods.yolo_clip import YOLOCLIPGrounder
from grounding.runtime.config_io import RUN_CONFIG

CONFIG_FILE = RUN_CONFIG
DECODER_FILE = "decoder.safetensors"
RUN_FILES = (CONFIG_FILE, DECODER_FILE, EXTRACTION_FILE, QUALITY_FILE, CALIBRATION_FILE)  # all that loading a run needs
ZERO_SHOT, GRADCAM = "zero-shot", "gradcam"
YOLO_CLIP, RECLIP = YOLOCLIPGrounder.name, ReCLIPGrounder.name
BLIND = {each.name: each for each in (WholeImageGrounder, CentredBoxGrounder)}
SHIPPED = {"refshapes": Path(__file__).parents[1] / "weights" / "refshapes"}
TRAINING_FREE = (ZERO_SHOT, GRADCAM, YOLO_CLIP, RECLIP, *BLIND)
ANSWER_SUFFIXES = (".jsonl", ".json")
CLIP_SUFFIXES = (".pt", ".pth", ".bin", ".safetensors")


def folder_of(name: str | os.PathLike[str]) -> Path:
    """The run folder that a name stands for: that of a decoder that comes with this package, of a run on a model hub,
    or the name itself.

    Raises:
        InputError: as `hub_download.fetched`.
    """
    name = os.fspath(name)
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
    return name in TRAINING_FREE or is_clip(name)


def run_name(name: str | os.PathLike[str]) -> str:
    """What a method is called in tables and file names: the last part of a run's folder, or of its name on a model hub;
    a CLIP's file without its suffix."""
    name = os.fspath(name)
    if is_hub_name(name):
        return name.partition("@")[0].rpartition("/")[2]
    return writable(Path(name).stem if is_clip(name) else Path(name).resolve().name)


def run_folders(names: Iterable[object]) -> list[Path]:
    """The folders of those methods that are runs; a folder that is called like another method is none of them.

    Raises:
        InputError: as `folder_of`.
    """
    named = [os.fspath(name) for name in names if isinstance(name, str | os.PathLike)]  # and no method of one's own
    return [folder for folder in (folder_of(name) for name in named if not needs_no_training(name)) if folder.is_dir()]
