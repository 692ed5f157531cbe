"""What reads files of strangers, each with right files to begin from and a strategy that spoils them."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from PIL import Image

from grounding import InputError, RefCOCOg
from grounding.clip.text import tokenize
from grounding.data.archives import unpack
from grounding.data.check import check, summary_text
from grounding.data.images import read_image
from grounding.data.unpickle import load_plain_pickle
from grounding.deployment.requests import read_requests, request_lines
from grounding.evaluation.prediction_readers import read_coco, read_csv, read_jsonl
from grounding.evaluation.predictions import Prediction, read_predictions
from grounding.methods.config import ModelConfig
from grounding.methods.load import read_model_config
from grounding.runtime.config_io import plain
from grounding.types import Expression
from reliability.inputs import misplaced, spoilt
from reliability.trying import Trial


@dataclass(frozen=True)
class Reader:
    """What reads files of one kind.

    Attributes:
        trial: that reads an input.
        seeds: right files.
        inputs: spoilt ones.
    """

    trial: Trial
    seeds: tuple[bytes, ...]
    inputs: SearchStrategy[bytes]


def make_readers(folder: Path) -> dict[str, Reader]:
    """All readers by name; what they read they write into `folder` first."""
    made = (_unpickler, _annotations, _images, _configurations, _archives, _predictions, _requests, _phrases)
    readers = [make(folder / make.__name__) for make in made]
    return {reader.trial.name: reader for reader in readers}


def _unpickler(folder: Path) -> Reader:
    values = [_references(), {"a": (1, -2.5, "é", None, True), "b": [[], 10**30, {}]}]
    seeds = tuple(pickle.dumps(value, protocol=protocol) for value in values for protocol in range(6))
    path = _file(folder, "refs.p")
    return Reader(_trial("unpickler", path, lambda: load_plain_pickle(path)), seeds, spoilt(seeds))


def _annotations(folder: Path) -> Reader:
    (folder / "images").mkdir(parents=True)
    refs, instances = folder / "refs(umd).p", folder / "instances.json"
    right = {b"R": pickle.dumps(_references()), b"I": json.dumps(_instances()).encode()}

    def read(data: bytes) -> None:
        """The first byte says which of the two files the rest is; the other one is right."""
        which = data[:1] if data[:1] in right else b"I"
        refs.write_bytes(data[1:] if which == b"R" else right[b"R"])
        instances.write_bytes(data[1:] if which == b"I" else right[b"I"])
        RefCOCOg(folder, "train", group_by="image")

    def read_and_check(data: bytes) -> None:
        """Whatever stops the reading, the check tells of all entries."""
        try:
            read(data)
        finally:
            summary_text(check(folder, images=False))

    seeds = tuple(which + content for which, content in right.items())
    inputs = st.one_of(
        spoilt(seeds),
        misplaced([_references()], lambda value: b"R" + pickle.dumps(value)),
        misplaced([_instances()], lambda value: b"I" + _in_json(value)),
    )
    return Reader(Trial("annotation reader", read_and_check, folder), seeds, inputs)


def _images(folder: Path) -> Reader:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 17, 4), dtype=np.uint8)
    rgb = Image.fromarray(pixels[..., :3])
    exif = Image.Exif()
    exif[0x0112] = 6
    kept: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (rgb, "JPEG", {"exif": exif, "icc_profile": b"no profile"}), (rgb, "JPEG", {"progressive": True}),
        (rgb.convert("CMYK"), "JPEG", {}), (rgb.convert("L"), "JPEG", {}), (Image.fromarray(pixels), "PNG", {}),
        (rgb.convert("P"), "PNG", {"transparency": 3}), (rgb.convert("1"), "PNG", {}),
        (Image.fromarray(pixels[..., 0].astype(np.uint16) * 200), "PNG", {}),
        (rgb, "WEBP", {}), (rgb, "GIF", {"save_all": True, "append_images": [rgb.rotate(90)]}), (rgb, "BMP", {}),
        (rgb, "TIFF", {"compression": "tiff_lzw"}), (rgb, "TIFF", {"save_all": True, "append_images": [rgb]}),
        (rgb.convert("CMYK"), "TIFF", {}), (rgb, "PPM", {}), (rgb.convert("L"), "PPM", {}),
    ]  # fmt: skip
    seeds = []
    for image, form, options in kept:
        file = io.BytesIO()
        image.save(file, form, **options)
        seeds.append(file.getvalue())
    path = _file(folder, "photo")
    return Reader(_trial("image opener", path, lambda: read_image(path)), tuple(seeds), spoilt(seeds))


def _configurations(folder: Path) -> Reader:
    right = {"data": "data/x", "model": plain(ModelConfig(inference_sizes=(320, 448)))}
    anchored = (
        b"base: &base {method: components}\nmodel: {clip: embedded, extraction: *base, decoder: {<<: {width: 32}}}"
    )
    seeds = (yaml.safe_dump(right).encode(), anchored)
    path = _file(folder, "config.yaml")
    inputs = st.one_of(
        spoilt(seeds),
        misplaced([right], lambda value: yaml.dump(value, default_flow_style=None).encode(errors="replace")),
    )
    return Reader(_trial("configuration reader", path, lambda: read_model_config(folder)), seeds, inputs)


def _archives(folder: Path) -> Reader:
    path, target = _file(folder, "archive"), folder / "unpacked"
    seeds = []
    for mode in ("w", "w:gz", "w:bz2", "w:xz"):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode=mode) as tar:
            for name in ("annotations/refs.p", "images/a.jpg"):
                info = tarfile.TarInfo(name)
                info.size = 300
                tar.addfile(info, io.BytesIO(b"content " * 40))
        seeds.append(file.getvalue())
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", compression) as zipped:
            zipped.writestr("annotations/refs.p", b"content " * 40)
            zipped.writestr("images/a.jpg", b"content " * 40)
        seeds.append(file.getvalue())

    def read() -> None:
        shutil.rmtree(target, ignore_errors=True)
        unpack(path, target)

    return Reader(_trial("archives", path, read), tuple(seeds), spoilt(seeds))


def _predictions(folder: Path) -> Reader:
    path = _file(folder, "predictions")
    boxes = ((1.0, 2.0, 30.0, 40.0), (0.0, 0.0, 9.0, 9.0))
    own = Prediction(1, 2, 3, 4, "the red box", boxes[0], boxes, (0.9, 0.1), 3000.0, (5.0, 6.0), 0.5)
    line = json.loads(own.to_json())
    expressions = {4: Expression("the red box", boxes[0], 1, 2, 3, 4, folder / "a.png")}
    table = "sent_id,pred_x1,pred_y1,pred_x2,pred_y2,gt_x1,gt_y1,gt_x2,gt_y2\n4,1,2,30,40,1,2,30,40\n"
    coco = [{"image_id": 4, "bbox": [1, 2, 29, 38], "score": 0.5}]
    ways: dict[bytes, Callable[[], object]] = {
        b"O": lambda: list(read_predictions(path)), b"L": lambda: read_jsonl(path, expressions),
        b"C": lambda: read_csv(path), b"K": lambda: read_coco(path, expressions),
    }  # fmt: skip

    def read(data: bytes) -> None:
        """The first byte says in which form the rest is."""
        path.write_bytes(data[1:])
        ways.get(data[:1], ways[b"O"])()

    seeds = tuple(form + json.dumps(line).encode() + b"\n" for form in (b"O", b"L"))
    seeds += (b"C" + table.encode(), b"K" + json.dumps(coco).encode())
    inputs = st.one_of(
        spoilt(seeds), misplaced([line], lambda value: b"O" + _in_json(value)),
        misplaced([line], lambda value: b"L" + _in_json(value)),
        misplaced([coco], lambda value: b"K" + _in_json(value)),
    )  # fmt: skip
    return Reader(Trial("predictions", read, folder), seeds, inputs)


def _requests(folder: Path) -> Reader:
    path = _file(folder, "requests.jsonl")
    request = {"image": "a.jpg", "phrases": ["the red box", "a car"], "key": "first"}
    seeds = (_in_json(request) + b"\n" + _in_json(request),)
    inputs = st.one_of(spoilt(seeds), misplaced([request], _in_json))

    def read() -> list[Any]:
        return list(read_requests(path, request_lines(path, path.read_bytes())))

    return Reader(_trial("requests in bulk", path, read), seeds, inputs)


def _phrases(folder: Path) -> Reader:
    def read(data: bytes) -> None:
        phrase = data.decode("utf-8", "surrogatepass")
        try:
            tokenize([phrase])
        except InputError as error:  # it names the phrase, and no file holds that
            raise InputError(f"{folder}: {error}") from error

    texts = st.text(st.characters(codec=None), max_size=200) | st.text(
        "ab &;#x<|>$\\\u0301\u200d日\ud800", max_size=12_000
    )
    return Reader(
        Trial("phrases", read, folder), (b"the red cat", b"cat " * 75),
        texts.map(lambda text: text.encode("utf-8", "surrogatepass")),
    )  # fmt: skip


def _trial(name: str, path: Path, read: Callable[[], object]) -> Trial:
    def read_file(data: bytes) -> None:
        path.write_bytes(data)
        read()

    return Trial(name, read_file, path.parent)


def _in_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _file(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True)
    return folder / name


def _references() -> list[dict[str, Any]]:
    return [
        {"ref_id": i, "ann_id": i + 10, "image_id": i // 2, "category_id": 1, "split": "train",
         "sentences": [{"sent_id": i, "sent": "the red box", "raw": "The red box!", "tokens": ["the", "red"],
                        "tags": ["easy"]}]}
        for i in range(4)
    ]  # fmt: skip


def _instances() -> dict[str, Any]:
    return {
        "images": [{"id": i, "file_name": f"photo_{i}.jpg", "width": 60, "height": 50} for i in range(2)],
        "annotations": [{"id": i + 10, "image_id": i // 2, "category_id": 1, "bbox": [1, 2.5, 20, 30], "iscrowd": 0}
                        for i in range(6)],
        "categories": [{"id": 1, "name": "box"}],
    }  # fmt: skip
