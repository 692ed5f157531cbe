"""A method by name: a run folder, or a method that needs no training."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from grounding.clip.backbone import EMBEDDED, RESNETS, LoadedCLIP, load_clip
from grounding.clip.encoder import Encoder
from grounding.clip.precision import Precision, number_format, own_mode, usable_device
from grounding.extraction.settings import read_extraction
from grounding.methods.calibration import embedded_calibration, read_calibration
from grounding.methods.config import ModelConfig, read_model_config
from grounding.methods.dense import DenseGrounder
from grounding.methods.gradcam import GradCAMGrounder
from grounding.methods.grounder import EncodingGrounder
from grounding.methods.hub_download import NAME, PREFIX
from grounding.methods.names import (
    DECODER_FILE,
    GRADCAM,
    ON_CROPS,
    ON_PROPOSALS,
    SHIPPED,
    TRAINING_FREE,
    ZERO_SHOT,
    folder_of,
    is_clip,
    maps_of,
    names_of,
    run_folders,
)
from grounding.methods.own import MethodName, own_method
from grounding.methods.proposals import ProposalsConfig, load_proposer
from grounding.methods.yolo_clip import OnProposals, ProposalScorer
from grounding.model.adaptation import EmbeddingAdapters
from grounding.model.decoder import HeatmapDecoder, decoder_for
from grounding.runtime.config_io import RUN_CONFIG
from grounding.runtime.errors import InputError

# Of a CLIP that is named as a method: the size it was trained at sees large objects, larger ones see small objects.
SIZES_OF_A_CLIP = (224, 320, 448)
FAST_SIZE = 256
CLIP_SHA256 = "clip_sha256"  # in the decoder file's metadata


@contextmanager
def _as_alone() -> Iterator[None]:
    """What the program has set has no effect on what is loaded, and stays: new networks draw weights, for example."""
    before = torch.get_default_dtype()
    with own_mode(), torch.random.fork_rng(devices=[]):
        try:
            torch.set_default_dtype(torch.float32)
            yield
        finally:
            torch.set_default_dtype(before)


@_as_alone()
def load(
    name: MethodName | os.PathLike[str],
    *,
    model: ModelConfig | None = None,
    proposals: ProposalsConfig | None = None,
    device: str | torch.device = "cpu",
    precision: Precision = "auto",
    compiled: bool = False,
    fast: bool = False,
) -> EncodingGrounder:
    """A method, ready to ground phrases.

    Args:
        name: the folder of a training run, "refshapes" for the decoder that comes with this package, one of
            `TRAINING_FREE`, "hf://user/name" or "hf://user/name@revision" of a run on a model hub, a CLIP ("RN50" or
            another of `clip.backbone.RESNETS`, or its file) for its zero-shot form at `SIZES_OF_A_CLIP`, or
            "package.module:Class" of a method of one's own (`own.own_method`), which looks at no other argument. With
            "+yolo" after a name, the detector's boxes are the answer where that method's heatmap is highest.
        model: the CLIP and, for "zero-shot", its input size; a run folder brings its own, beside which only
            `trust_checkpoint` may be given.
        proposals: the detector of "yolo-clip", "reclip" and "+yolo".
        device: where the models go: "auto" is a GPU if there is one.
        precision: "float32"; "bfloat16", which saves most of the time where the device multiplies it natively and moves
            heatmaps a little (docs/performance.md); or "auto": the latter where that is so.
        compiled: whether `torch.compile` makes the image tower faster first, by half a minute and a C++ compiler.
        fast: whether a heatmap method sees images once, at `FAST_SIZE` pixels, whatever sizes and mirrored images it is
            configured with: faster, and less exact (docs/performance.md).

    Returns:
        The method; a run's is named like its folder.

    Raises:
        InputError: no such method, folder or device, the folder's files are damaged or do not fit each other, `fast` of
            a method that has no input size to set, or as `hub_download.fetched` or `own.own_method`.

    Example:
        >>> grounding.load("refshapes").name, grounding.load("yolo-clip").name
        ('refshapes', 'yolo-clip')
    """
    own = own_method(name)
    if own is not None:
        return own
    model, proposals = model or ModelConfig(), proposals or ProposalsConfig()
    for what, kind in ((model, ModelConfig), (proposals, ProposalsConfig)):
        if not isinstance(what, kind):
            raise InputError(f"where a {kind.__name__} is expected there is {what!r}: give a {kind.__name__}")
    name, device = os.fspath(name), usable_device(device)  # type: ignore[arg-type]
    if name.endswith(ON_PROPOSALS):
        maps = load(maps_of(name), model=model, device=device, precision=precision, compiled=compiled,
                    fast=fast)  # fmt: skip
        return OnProposals(maps, load_proposer(proposals, device))
    if fast and name in TRAINING_FREE and name != ZERO_SHOT:
        raise InputError(f"fast sets the size at which a heatmap is made, and {name!r} has no such size: leave it out")
    model = _as_seen(model_for(name, model), fast)
    if name == ZERO_SHOT or is_clip(name):
        encoder = make_encoder(model, device, precision=precision, compiled=compiled)
        calibration = embedded_calibration(ZERO_SHOT, model)
        return DenseGrounder(encoder, None, name=names_of(name)[0], model=model, calibration=calibration)
    if name in TRAINING_FREE:
        clip = _clip_of(model, device, precision, compiled)
        if name == GRADCAM:
            return GradCAMGrounder(clip, extraction=model.extraction, calibration=embedded_calibration(GRADCAM, model))
        return ON_CROPS[name](load_proposer(proposals, device), ProposalScorer(clip))
    folder = folder_of(name)
    if not folder.is_dir():
        known = ", ".join((*SHIPPED, *TRAINING_FREE, *RESNETS, "module:Class of a method of your own"))
        hub = f"; a run on a model hub is named {PREFIX}{name}" if NAME.fullmatch(name) else ""
        raise InputError(f"no run folder {name!r}: train one with train.py, or give one of {known}{hub}")
    config = _as_seen(read_model_config(folder, trust_checkpoint=model.trust_checkpoint), fast)
    refuse_other_model(model, config, folder)
    try:
        encoder = make_encoder(config, device, precision=precision, compiled=compiled)
    except InputError as error:
        raise InputError(f"{folder / RUN_CONFIG}, model: {error}") from error
    chosen = read_extraction(folder)
    extraction, quality_head = chosen or (config.extraction, None)
    calibration = read_calibration(folder) if chosen else None  # it was fitted to the boxes that were chosen
    return DenseGrounder(encoder, read_decoder(folder, encoder, config), name=names_of(name)[0],
                         model=replace(config, extraction=extraction), quality_head=quality_head,
                         calibration=calibration)  # fmt: skip


def read_decoder(folder: Path, encoder: Encoder, config: ModelConfig) -> HeatmapDecoder | EmbeddingAdapters:
    """A run's trained decoder or adapters, for the encoder whose CLIP they were trained on, on its device."""
    decoder = decoder_for(encoder, config.decoder)
    path = folder / DECODER_FILE
    if not path.is_file():
        raise InputError(f"{path} is missing: the run has not finished its first epoch, continue it with --resume true")
    try:
        with safe_open(path, framework="pt") as file:
            trained_on = (file.metadata() or {}).get(CLIP_SHA256)
        decoder.load_state_dict(load_file(path))
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} cannot be read as safetensors: train again") from error
    except RuntimeError as error:
        raise InputError(
            f"{path} does not fit the decoder and the CLIP ({config.clip}) that are configured: it belongs to another "
            "architecture, restore the run's own files or train again"
        ) from error
    if trained_on != encoder.clip.sha256:
        raise InputError(f"{path} belongs to another CLIP file than {encoder.clip.weights}: restore it or train again")
    return decoder.to(encoder.device)


def model_for(name: str, given: ModelConfig) -> ModelConfig:
    """The given model, or where the name is that of a CLIP, this one, at several sizes unless sizes are given."""
    name = maps_of(name)
    if not is_clip(name):
        return given
    if given.clip not in (EMBEDDED, name):
        raise InputError(f"the method {name!r} is a CLIP, and model.clip is {given.clip!r}: leave one of them out")
    return replace(given, clip=name, inference_sizes=given.inference_sizes or SIZES_OF_A_CLIP)


def _as_seen(model: ModelConfig, fast: bool) -> ModelConfig:
    return replace(model, inference_sizes=(FAST_SIZE,), inference_flip=False) if fast else model


def refuse_other_model(given: ModelConfig, own: ModelConfig, folder: Path) -> None:
    """Does nothing, unless settings of a model are given beside a run that has others, which the run would ignore."""
    for name in (each.name for each in fields(ModelConfig) if each.name != "trust_checkpoint"):
        if getattr(given, name) not in (getattr(ModelConfig(), name), getattr(own, name)):
            raise InputError(
                f"model.{name} is given, but {folder / RUN_CONFIG} has another one: a run brings its own model, so "
                f"leave --model.{name} out"
            )


def shared_model(names: Iterable[MethodName], given: ModelConfig) -> ModelConfig:
    """The first run's model, so that methods without training see the same CLIP at the same size; else that of the
    first CLIP which is named as a method; else the given one."""
    names = list(names)
    runs = run_folders(names)
    if not runs:
        return model_for(next((name for name in names if isinstance(name, str) and is_clip(maps_of(name))), ""), given)
    own = read_model_config(runs[0], trust_checkpoint=given.trust_checkpoint)
    refuse_other_model(given, own, runs[0])
    return own


def make_encoder(
    config: ModelConfig, device: str | torch.device, *, precision: Precision = "float32", compiled: bool = False
) -> Encoder:
    """The frozen CLIP that a configuration names, dense; `precision` and `compiled` as for `load`."""
    clip = _clip_of(config, device, precision, compiled)
    return Encoder(clip, model_size=config.model_size, output_stride=config.output_stride)


def _clip_of(config: ModelConfig, device: str | torch.device, precision: Precision, compiled: bool) -> LoadedCLIP:
    return load_clip(config.clip, device, precision=number_format(precision, device), compiled=compiled,
                     trust_checkpoint=config.trust_checkpoint)  # fmt: skip
