"""A published data set of four images, its archives, and the check that all of it was arranged."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
import zipfile

from grounding.data.download import PublishedDataset

IMAGES = {f"COCO_train2014_{i:012}.jpg": f"jpeg {i}".encode() for i in range(1, 5)}
REFS = [
    {"ref_id": i, "ann_id": i, "image_id": i, "split": split, "sentences": [{"sent_id": i, "sent": "a cat"}]}
    for i, split in enumerate(["train", "train", "val", "test"], start=1)
]
INSTANCES = {
    "images": [{"id": i, "file_name": name, "width": 9, "height": 9} for i, name in enumerate(IMAGES, start=1)],
    "annotations": [{"id": i, "image_id": i, "bbox": [0, 0, 4, 4], "category_id": 1} for i in range(1, 5)],
}
ANNOTATIONS = {
    "refs(umd).p": pickle.dumps(REFS, protocol=2),
    "refs(google).p": pickle.dumps(REFS[:2], protocol=2),
    "instances.json": json.dumps(INSTANCES).encode(),
}
COURSE_FILES = {f"refcocog/annotations/{name}": content for name, content in ANNOTATIONS.items()}
COURSE_FILES |= {f"refcocog/images/{name}": content for name, content in IMAGES.items()}
TINY = PublishedDataset(
    "refcocog", "umd", {"train": 2, "val": 1, "test": 1}, 4, "http://nowhere.invalid", drive_id="the-id"
)


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def assert_complete(root):
    assert {path.name: path.read_bytes() for path in (root / "annotations").iterdir()} == ANNOTATIONS
    assert {path.name: path.read_bytes() for path in (root / "images").iterdir()} == IMAGES
    assert sorted(path.name for path in root.iterdir()) == ["annotations", "downloads", "images"]
