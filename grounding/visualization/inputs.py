"""What the commands of visualize.py ask: their settings, and images with phrases as sheets, each to be one picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import NonNegativeInt, PositiveInt

from grounding.clip.precision import Precision
from grounding.data.images import SUFFIXES, read_image
from grounding.data.pairs import NOWHERE, ImagePhrasePairs
from grounding.data.refcocog import RefCOCOg
from grounding.errors import InputError
from grounding.extraction import ExtractionConfig
from grounding.methods.config import ModelConfig
from grounding.methods.own import MethodNames
from grounding.methods.proposals import ProposalsConfig
from grounding.methods.yolo_clip import ScoringConfig
from grounding.types import Example, Expression

ROWS = 6  # examples of a data set that share a picture


@dataclass(frozen=True)
class VisualizeConfig:
    """Draw what methods answer: about images of yours, a list of images with phrases, or a split of a data set.

    Attributes:
        methods: folders of training runs, "refshapes", "zero-shot", "gradcam", "yolo-clip", "reclip", or
            "package.module:Class" of a method of your own.
        output: folder for the pictures.
        image: one image file, or a folder: all images in it are asked `phrases`.
        phrases: what to look for in `image`: one phrase, or several as '["the red car", "a dog"]'.
        pairs: JSON-lines file of images with phrases (`data.pairs`).
        data: root folder of a data set in RefCOCOg's layout: `count` expressions, each of another image, at random.
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
    dataset = RefCOCOg(config.data, config.split, split_by=config.split_by)
    return _of_data(dataset, f"{config.data.absolute().name}_{config.split}", count=config.count, seed=config.seed)


def _of_images(path: Path, phrases: list[str]) -> list[Sheet]:
    if not phrases:
        raise InputError('--image needs something to look for: add --phrases "the red car"')
    paths = [path]
    if path.is_dir():
        # Hidden files are other programs' notes: macOS leaves "._photo.png" beside a photo.png.
        visible = (file for file in path.iterdir() if not file.name.startswith("."))
        paths = sorted(file for file in visible if file.suffix.lower() in SUFFIXES)
        if not paths:
            raise InputError(f"{path} holds no image: its files end in none of {', '.join(sorted(SUFFIXES))}")
    return [Sheet(name, (partial(_example, file, phrases),)) for name, file in _named(paths)]


def _example(path: Path, phrases: list[str]) -> Example:
    expressions = [Expression(phrase, NOWHERE, 0, index, index, index, path) for index, phrase in enumerate(phrases)]
    return Example(read_image(path), tuple(expressions))


def _of_pairs(pairs: ImagePhrasePairs) -> list[Sheet]:
    pairs.check_images()
    paths = [pairs.expressions_of(index)[0].image_path for index in range(len(pairs))]
    return [Sheet(name, (partial(pairs.__getitem__, index),)) for index, (name, _) in enumerate(_named(paths))]


def _of_data(dataset: RefCOCOg, name: str, *, count: int, seed: int) -> list[Sheet]:
    drawn: dict[int, int] = {}
    for index in np.random.default_rng(seed).permutation(len(dataset)):
        drawn.setdefault(dataset.expressions[index].image_id, int(index))
        if len(drawn) == count:
            break
    examples = [partial(dataset.__getitem__, index) for index in drawn.values()]
    groups = [tuple(examples[start : start + ROWS]) for start in range(0, len(examples), ROWS)]
    return [Sheet(f"{name}_{number}" if len(groups) > 1 else name, group) for number, group in enumerate(groups, 1)]


def _named(paths: list[Path]) -> list[tuple[str, Path]]:
    """A name for each file's picture: its stem, and a number where another one has that already."""
    named: dict[str, tuple[str, Path]] = {}
    for path in paths:
        name, number = path.stem, 2
        while name.casefold() in named:  # on some disks "A.png" and "a.png" are one file
            name, number = f"{path.stem}_{number}", number + 1
        named[name.casefold()] = name, path
    return list(named.values())
