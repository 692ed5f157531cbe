"""What the commands of visualize.py ask: their settings, and images with phrases as sheets, each to be one picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import NonNegativeInt, PositiveInt

from grounding.clip.precision import Precision
from grounding.data.dataset import NOWHERE, GroundingDataset
from grounding.data.images import images_in, read_image
from grounding.data.open_dataset import open_dataset
from grounding.data.pairs import ImagePhrasePairs
from grounding.errors import InputError
from grounding.extraction import ExtractionConfig
from grounding.methods.config import ModelConfig
from grounding.methods.own import MethodNames, given_by_name
from grounding.methods.proposals import ProposalsConfig
from grounding.methods.yolo_clip import ScoringConfig
from grounding.runtime.config_io import refuse_wrong_values
from grounding.types import Example, Expression

ROWS = 6  # examples of a data set that share a picture


@dataclass(frozen=True)
class VisualizeConfig:
    """Draw what methods answer: about images of yours, a list of images with phrases, or a split of a data set.

    Attributes:
        methods: folders of training runs, "refshapes", "zero-shot", "gradcam", "yolo-clip", "reclip", CLIPs ("RN50",
            a file), or "package.module:Class" of a method of your own.
        output: folder for the pictures.
        image: one image file, or a folder: all images in it are asked `phrases`.
        phrases: what to look for in `image`: one phrase, or several as '["the red car", "a dog"]'.
        pairs: table of images with phrases, CSV or JSON Lines (`data.pairs`): all of them.
        data: a data set, a folder or a table (docs/data.md): `count` expressions, each of another image, at random.
        split_by: who made the split: "umd" or "google" (RefCOCOg), "unc" (RefCOCO, RefCOCO+).
        split: split that they are drawn from.
        count: how many.
        seed: of the draw.
        format: of the pictures: "png", or "svg" or "pdf" for print.
        show: open each picture with the system's viewer as well.
        extraction: how boxes are made from heatmaps, in place of the methods' own ways.
        model: the CLIP and its input size for training-free methods where no method is a run; the first run's else.
        proposals: the detector of "yolo-clip" and "reclip".
        scoring: how CLIP looks at proposals.
        device: "auto" (a GPU if there is one) or "cpu".
        precision: "float32", "bfloat16", or "auto": the latter where the device multiplies it natively.
    """

    methods: MethodNames
    output: Path
    image: Path | None = None
    phrases: list[str] | str = field(default_factory=list)
    pairs: Path | None = None
    data: Path | None = None
    split_by: str = "umd"
    split: str = "test"
    count: PositiveInt = 6
    seed: NonNegativeInt = 0
    format: Literal["png", "svg", "pdf"] = "png"
    show: bool = False
    extraction: ExtractionConfig | None = None
    model: ModelConfig = field(default_factory=ModelConfig)
    proposals: ProposalsConfig = field(default_factory=ProposalsConfig)
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    device: Literal["auto", "cpu"] = "auto"
    precision: Precision = "auto"


@dataclass(frozen=True)
class Sheet:
    """One picture to come.

    Attributes:
        name: of its file, without suffix.
        examples: each reads an image with its expressions; where nobody knows the box, it is NaN.
    """

    name: str
    examples: tuple[Callable[[], Example], ...]


def sheets(config: VisualizeConfig) -> list[Sheet]:
    """All pictures that the configuration asks for; images are read later, one sheet at a time.

    Raises:
        InputError: not exactly one source is given, or it cannot be used, or an image has no phrases.
    """
    refuse_wrong_values(replace(config, methods=given_by_name(config.methods)))
    sources = [name for name in ("image", "pairs", "data") if getattr(config, name) is not None]
    if len(sources) != 1:
        said = " and ".join(f"--{name}" for name in sources) or "nothing"
        raise InputError(
            f"{said} given to look at: give one of --image FILE with --phrases, --pairs FILE, or --data ROOT"
        )
    if config.phrases and config.image is None:
        raise InputError(f"--phrases goes with --image: --{sources[0]} brings phrases of its own")
    if config.image is not None:
        return _of_images(config.image, [config.phrases] if isinstance(config.phrases, str) else config.phrases)
    if config.pairs is not None:
        return _of_pairs(ImagePhrasePairs(config.pairs))
    assert config.data is not None
    dataset = open_dataset(config.data, config.split, split_by=config.split_by, group_by="sentence")
    return _of_data(dataset, f"{config.data.absolute().stem}_{config.split}", count=config.count, seed=config.seed)


def _of_images(path: Path, phrases: list[str]) -> list[Sheet]:
    if not phrases:
        raise InputError('--image needs something to look for: add --phrases "the red car"')
    return [Sheet(name, (partial(_example, file, phrases),)) for name, file in named(images_in(path))]


def _example(path: Path, phrases: list[str]) -> Example:
    expressions = [Expression(phrase, NOWHERE, 0, index, index, index, path) for index, phrase in enumerate(phrases)]
    return Example(read_image(path), tuple(expressions))


def _of_pairs(pairs: ImagePhrasePairs) -> list[Sheet]:
    pairs.check_images()
    paths = [pairs.expressions_of(index)[0].image_path for index in range(len(pairs))]
    return [Sheet(name, (partial(pairs.__getitem__, index),)) for index, (name, _) in enumerate(named(paths))]


def _of_data(dataset: GroundingDataset, name: str, *, count: int, seed: int) -> list[Sheet]:
    drawn: dict[int, int] = {}
    for index in np.random.default_rng(seed).permutation(len(dataset)):
        drawn.setdefault(dataset.expressions[index].image_id, int(index))
        if len(drawn) == count:
            break
    examples = [partial(dataset.__getitem__, index) for index in drawn.values()]
    groups = [tuple(examples[start : start + ROWS]) for start in range(0, len(examples), ROWS)]
    return [Sheet(f"{name}_{number}" if len(groups) > 1 else name, group) for number, group in enumerate(groups, 1)]


def named(paths: list[Path]) -> list[tuple[str, Path]]:
    """A name for each file's picture: its stem, and a number where another one has that already."""
    named: dict[str, tuple[str, Path]] = {}
    for path in paths:
        name, number = path.stem, 2
        while name.casefold() in named:  # on some disks "A.png" and "a.png" are one file
            name, number = f"{path.stem}_{number}", number + 1
        named[name.casefold()] = name, path
    return list(named.values())
