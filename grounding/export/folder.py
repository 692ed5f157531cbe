"""The folder that an export writes: three ONNX files, tokenizer.json, and export.json, which says how to use them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim
from tqdm import tqdm

from grounding.clip_backbone import CONTEXT_LENGTH, tokenize
from grounding.digest import sha256_of
from grounding.errors import InputError
from grounding.export.networks import FEATURES, HEATMAPS, PHRASES, Decoder, ImageTower, TextTower
from grounding.export.settings import SETTINGS_FILE, settings_of
from grounding.export.to_onnx import to_onnx
from grounding.grounder import DenseGrounder
from grounding.loading import DECODER_FILE, folder_of, load, read_model_config
from grounding.lock import locked
from grounding.whole_file import flush_file, flush_folder

TOKENIZER_FILE = "tokenizer.json"
OLDEST_TORCH = "2.10"  # whose exporter understands that phrases and their lengths differ
NETWORKS = ("image_tower.onnx", "text_tower.onnx", "decoder.onnx")
TRACED_PHRASES = ["the red ring left of the star", "the ring", "a large blue cross"]


def export_run(run: str, output: Path) -> dict[str, Any]:
    """Write a run's networks and what a program needs to use them, all of it or nothing.

    Args:
        run: as for `grounding.load`: a run's folder, "refshapes", or a run on a model hub.
        output: folder to make.

    Returns:
        What export.json holds: see `settings_of`.

    Raises:
        InputError: there is no such run, `run` has no decoder, `output` is there already, another process exports
            to it, PyTorch is too old, or a package that the export needs is not installed.
    """
    if torch.__version__ < OLDEST_TORCH:
        raise InputError(f"the export needs PyTorch {OLDEST_TORCH} or newer, this is {torch.__version__}: update it")
    output = output.resolve()
    _refuse_existing(output)
    lock_file = output.with_name(output.name + ".lock")
    with locked(lock_file, "export"):
        try:
            _refuse_existing(output)  # another process may have made it before this one had the lock
            return _export(run, output)
        finally:
            lock_file.unlink(missing_ok=True)


def _refuse_existing(output: Path) -> None:
    if output.exists():
        raise InputError(f"{output} is there already: remove it, or give a new --output")


def _export(run: str, output: Path) -> dict[str, Any]:
    try:
        from grounding.export.tokenizer import clip_to_tokenizers
    except ImportError as error:
        raise InputError(
            f"the export needs another package ({error}): pip install -r requirements-export.txt"
        ) from error
    grounder = load(run, precision="float32")
    if not isinstance(grounder, DenseGrounder) or grounder.decoder is None:
        raise InputError(f"{run!r} has no trained decoder to export: give the folder of a run")
    folder = folder_of(run)
    decoder_sha256 = sha256_of(folder / DECODER_FILE)
    settings = settings_of(read_model_config(folder), grounder, decoder_sha256=decoder_sha256)

    unfinished = output.with_name(output.name + ".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    try:
        contents = tqdm(_contents(grounder), total=len(NETWORKS), desc="exporting", unit="network")
        for name, content in zip(NETWORKS, contents, strict=True):
            (unfinished / name).write_bytes(content)
        clip_to_tokenizers().save(str(unfinished / TOKENIZER_FILE), pretty=False)
        (unfinished / SETTINGS_FILE).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        for path in unfinished.iterdir():
            flush_file(path)
        unfinished.rename(output)
        flush_folder(output.parent)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return settings


def _contents(grounder: DenseGrounder) -> Iterator[bytes]:
    """The contents of `NETWORKS`, in their order; batches, input sizes, phrases and their lengths are dynamic."""
    assert grounder.decoder is not None
    dense, model = grounder.encoder.dense, grounder.encoder.clip.model
    images, phrases, length = Dim("images", min=1), Dim("phrases", min=1), Dim("length", min=1, max=CONTEXT_LENGTH)

    image_tower = ImageTower(dense)
    size = grounder.encoder.model_size
    squares = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    sides = {0: images, 1: Dim.DYNAMIC, 2: Dim.DYNAMIC}
    yield to_onnx(image_tower, (squares,), inputs=["squares"], outputs=FEATURES, dynamic=(sides,))

    text_tower = TextTower(model)
    ids = tokenize(TRACED_PHRASES)
    ids = ids[:, : int(ids.argmax(dim=-1).max()) + 1]
    yield to_onnx(text_tower, (ids,), inputs=["ids"], outputs=PHRASES, dynamic=({0: phrases, 1: length},))

    decoder = Decoder(grounder.decoder, output_stride=dense.output_stride)
    arguments = (*image_tower(squares), *text_tower(ids), torch.tensor([0, 1, 0]))
    map_of_images = {0: images, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    of_phrases = ({0: phrases}, {0: phrases, 1: length}, {0: phrases, 1: length}, {0: phrases})
    dynamic = (*(map_of_images,) * len(FEATURES), *of_phrases)
    yield to_onnx(decoder, arguments, inputs=[*FEATURES, *PHRASES, "image_index"], outputs=[HEATMAPS], dynamic=dynamic)
