"""A method by name: a run folder, or a method that needs no training."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from grounding.clip.backbone import EMBEDDED, RESNETS, LoadedCLIP, load_clip
from grounding.clip.encoder import Encoder
from grounding.clip.precision import Precision, number_format
from grounding.errors import InputError
from grounding.extraction.settings import read_extraction
from grounding.methods.calibration import Calibration, embedded_calibration, read_calibration
from grounding.methods.config import ModelConfig
from grounding.methods.dense import DenseGrounder, Grounder
from grounding.methods.gradcam import GradCAMGrounder
from grounding.methods.hub_download import PREFIX, could_be_hub_name
from grounding.methods.names import (
    BLIND,
    CONFIG_FILE,
    DECODER_FILE,
    GRADCAM,
    SHIPPED,
    TRAINING_FREE,
    YOLO_CLIP,
    ZERO_SHOT,
    folder_of,
    is_clip,
    needs_no_training,
    run_folders,
    run_name,
)
from grounding.methods.own import MethodName, own_method
from grounding.methods.proposals import ProposalsConfig, load_proposer
from grounding.methods.recipe import remembers_its_call
from grounding.methods.reclip import ReCLIPGrounder
from grounding.methods.yolo_clip import ProposalScorer, ScoringConfig, YOLOCLIPGrounder
from grounding.model.adaptation import EmbeddingAdapters
from grounding.model.build import decoder_for
from grounding.model.decoder import HeatmapDecoder
from grounding.runtime.config_io import from_plain, read_yaml

# Of a CLIP that is named as a method: the size it was trained at sees large objects, larger ones see small objects.
SIZES_OF_A_CLIP = (224, 320, 448)
CLIP_SHA256 = "clip_sha256"  # in the decoder file's metadata


@remembers_its_call
def load(
    name: MethodName | os.PathLike[str],
    *,
    model: ModelConfig | None = None,
    proposals: ProposalsConfig | None = None,
    scoring: ScoringConfig | None = None,
    device: str | torch.device = "cpu",
    precision: Precision = "auto",
    compiled: bool = False,
) -> Grounder:
    """A method, ready to ground phrases.

    Args:
        name: the folder of a training run, "refshapes" for the decoder that comes with this package, one of
            `TRAINING_FREE`, "hf://user/name" or "hf://user/name@revision" of a run on a model hub, a CLIP ("RN50" or
            another of `clip.backbone.RESNETS`, or its file) for its zero-shot form at `SIZES_OF_A_CLIP`, or
            "package.module:Class" of a method of one's own (`own.own_method`), which looks at no other argument.
        model: the CLIP and, for "zero-shot", its input size; a run folder brings its own, beside which only
            `trust_checkpoint` may be given.
        proposals: the detector of "yolo-clip" and "reclip".
        scoring: how CLIP looks at their proposals.
        device: where the models go: "auto" is a GPU if there is one.
        precision: "float32"; "bfloat16", which saves most of the time where the device multiplies it natively and moves
            heatmaps a little (docs/performance.md says both); or "auto", which is the latter where that is so.
        compiled: whether dense features come from kernels that `torch.compile` makes for this machine: half a minute
            once, and a C++ compiler, for a part of every image's time that docs/performance.md gives.

    Returns:
        The method; a run's is named like its folder.

    Raises:
        InputError: no such method, folder or device, the folder's files are damaged or do not fit each other, or as
            `hub_download.fetched` or `own.own_method`.

    Example:
        >>> grounding.load("refshapes").name, grounding.load("yolo-clip").name
        ('refshapes', 'yolo-clip')
    """
    own = own_method(name)
    if own is not None:
        return own
    name = os.fspath(name)  # type: ignore[arg-type]
    if name in BLIND:
        return BLIND[name]()
    model = model_for(name, model or ModelConfig())
    if needs_no_training(name):
        clip = _clip_of(model, device, precision=precision, compiled=compiled)
        if name == ZERO_SHOT or is_clip(name):
            return zero_shot(_encoder_of(clip, model), model, name=run_name(name))
        if name == GRADCAM:
            return gradcam(clip, model)
        proposer = load_proposer(proposals or ProposalsConfig(), device)
        scorer = ProposalScorer(clip, scoring or ScoringConfig())
        return (YOLOCLIPGrounder if name == YOLO_CLIP else ReCLIPGrounder)(proposer, scorer)
    folder = folder_of(name)
    if not folder.is_dir():
        names = ", ".join((*SHIPPED, *TRAINING_FREE, *RESNETS, "module:Class of a method of your own"))
        hub = f"; a run on a model hub is named {PREFIX}{name}" if could_be_hub_name(name) else ""
        raise InputError(f"no run folder {name!r}: train one with train.py, or give one of {names}{hub}")
    config = read_model_config(folder, trust_checkpoint=model.trust_checkpoint)
    refuse_other_model(model, config, folder)
    try:
        encoder = make_encoder(config, device, precision=precision, compiled=compiled)
    except InputError as error:
        raise InputError(f"{folder / CONFIG_FILE}, model: {error}") from error
    decoder = read_decoder(folder, encoder, config)
    chosen = read_extraction(folder)
    extraction, quality_head = chosen or (config.extraction, None)
    calibration = read_calibration(folder) if chosen else None  # it was fitted to the boxes that were chosen
    return DenseGrounder(encoder, decoder, extraction=extraction, quality_head=quality_head,
                         name=run_name(name), sizes=config.inference_sizes, flip=config.inference_flip,
                         spatial_rules=config.spatial_rules, calibration=calibration)  # fmt: skip


def read_decoder(folder: Path, encoder: Encoder, config: ModelConfig) -> HeatmapDecoder | EmbeddingAdapters:
    """A run's trained decoder or adapters, on the encoder's device.

    Args:
        folder: of the run.
        encoder: the CLIP that the decoder was trained on, dense.
        config: what the decoder looks like.

    Raises:
        InputError: there is no decoder yet, its file is damaged, or it is of another architecture or another CLIP.
    """
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
        raise InputError(
            f"{path} was trained on another CLIP file than {encoder.clip.weights}: restore that file or train again"
        )
    return decoder.to(encoder.device)


def model_for(name: str, given: ModelConfig) -> ModelConfig:
    """The given model, or where the method's name is that of a CLIP, this one, at several sizes unless sizes are given.

    Raises:
        InputError: another CLIP is given beside it.
    """
    if not is_clip(name):
        return given
    if given.clip not in (EMBEDDED, name):
        raise InputError(f"the method {name!r} is a CLIP, and model.clip is {given.clip!r}: leave one of them out")
    return replace(given, clip=name, inference_sizes=given.inference_sizes or SIZES_OF_A_CLIP)


def refuse_other_model(given: ModelConfig, own: ModelConfig, folder: Path) -> None:
    """Does nothing, unless settings of a model are given beside a run that has others.

    Raises:
        InputError: they are; the run would ignore them.
    """
    default = ModelConfig()
    for each in fields(ModelConfig):
        value = getattr(given, each.name)
        allowed = (getattr(default, each.name), getattr(own, each.name))
        if each.name != "trust_checkpoint" and value not in allowed:
            raise InputError(
                f"model.{each.name} is given, but {folder / CONFIG_FILE} has another one: a run brings its own model, "
                f"so leave --model.{each.name} out"
            )


def shared_model(names: Iterable[MethodName], given: ModelConfig) -> ModelConfig:
    """The first run's model, so that methods without training see the same CLIP at the same size; else that of the
    first CLIP which is named as a method; else the given one.

    Raises:
        InputError: settings of a model are given beside a run that has others, or as `read_model_config`.
    """
    names = list(names)
    runs = run_folders(names)
    if not runs:
        return model_for(next((name for name in names if isinstance(name, str) and is_clip(name)), ""), given)
    own = read_model_config(runs[0], trust_checkpoint=given.trust_checkpoint)
    refuse_other_model(given, own, runs[0])
    return own


def make_encoder(
    config: ModelConfig, device: str | torch.device, *, precision: Precision = "float32", compiled: bool = False
) -> Encoder:
    """The frozen CLIP that a configuration names, dense; `precision` and `compiled` as for `load`."""
    return _encoder_of(_clip_of(config, device, precision=precision, compiled=compiled), config)


def _clip_of(config: ModelConfig, device: str | torch.device, *, precision: Precision, compiled: bool) -> LoadedCLIP:
    return load_clip(config.clip, device, precision=number_format(precision, device), compiled=compiled,
                     trust_checkpoint=config.trust_checkpoint)  # fmt: skip


def _encoder_of(clip: LoadedCLIP, config: ModelConfig) -> Encoder:
    return Encoder(clip, model_size=config.model_size, output_stride=config.output_stride)


def zero_shot(encoder: Encoder, config: ModelConfig, *, name: str = ZERO_SHOT) -> DenseGrounder:
    """The training-free form: the similarity map itself is the heatmap."""
    return DenseGrounder(encoder, None, extraction=config.extraction, name=name, sizes=config.inference_sizes,
                         flip=config.inference_flip, spatial_rules=config.spatial_rules,
                         calibration=_embedded_calibration(ZERO_SHOT, config))  # fmt: skip


def gradcam(clip: LoadedCLIP, config: ModelConfig) -> GradCAMGrounder:
    """Grad-CAM on the configuration's CLIP, which is given loaded."""
    return GradCAMGrounder(clip, extraction=config.extraction, calibration=_embedded_calibration(GRADCAM, config))


def _embedded_calibration(name: str, config: ModelConfig) -> Calibration | None:
    return embedded_calibration(name, clip=config.clip, extraction=config.extraction, rules=config.spatial_rules)


def read_model_config(folder: Path, *, trust_checkpoint: bool = False) -> ModelConfig:
    """The `model` section of a run's config.yaml.

    Args:
        folder: of the run.
        trust_checkpoint: the permission of that name, which is the user's to give and not the file's.

    Raises:
        InputError: the file is missing, is no YAML, or holds a field or value that no model has.
    """
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise InputError(f"{folder} is no run folder: it has no {CONFIG_FILE}; give the folder that train.py wrote")
    try:
        content = read_yaml(path)
        section = content.get("model") if isinstance(content, dict) else None
        model = from_plain(section, ModelConfig, "model")
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error}): restore it or train again") from error
    return replace(model, trust_checkpoint=trust_checkpoint)
