"""The annotations of Flickr30k Entities from their authors' repository, arranged as the reader takes them, and counted.

The photographs are given out by a form only.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from grounding.data.archives import unpack
from grounding.data.flickr30k import PUBLISHED_IMAGES
from grounding.data.flickr30k_files import (
    ANNOTATIONS,
    IMAGES,
    IMAGES_FORM,
    SENTENCES,
    UNRELATED,
    annotation_files,
    image_ids,
)
from grounding.errors import InputError
from grounding.runtime.download import fetch
from grounding.runtime.files import locked

ADDRESS = "https://github.com/BryanPlummer/flickr30k_entities/raw/master"
ARCHIVE = "annotations.zip"
LISTS = tuple(f"{split}.txt" for split in PUBLISHED_IMAGES)


def download(root: Path, address: str = ADDRESS) -> bool:
    """Get lists, captions and boxes, and return whether anything had to be done; killed at any time, it can go on.

    The files that were fetched stay in `root/downloads`.

    Args:
        root: folder of the data set.
        address: of the folder with `annotations.zip`, the lists and UNRELATED_CAPTIONS.

    Raises:
        InputError: a download fails, the archive is damaged or unsafe, another process downloads to the root, or
            something is not as published.
        OSError: the disk is full or not writable.
    """
    try:
        verify(root, "")
        return False
    except InputError:
        downloads = root / "downloads"
    with locked(downloads / ".lock", "download", "--root"):
        for name in (*LISTS, UNRELATED):
            shutil.copyfile(fetch(f"{address}/{name}", downloads), root / name)
        archive, unpacked = fetch(f"{address}/{ARCHIVE}", downloads), downloads / "unpacked"
        shutil.rmtree(unpacked, ignore_errors=True)  # a killed run's
        try:
            unpack(archive, unpacked)
            for folder, suffix in ((SENTENCES, "txt"), (ANNOTATIONS, "xml")):
                (root / folder).mkdir(exist_ok=True)
                for path in unpacked.rglob(f"{folder}/[0-9]*.{suffix}"):  # not "._1.xml", which macOS adds
                    os.replace(path, root / folder / path.name)
        finally:
            shutil.rmtree(unpacked, ignore_errors=True)
    verify(root, f"delete {downloads} and run the same command again")
    return True


def verify(root: Path, remedy: str) -> None:
    """Count the lists, and look for captions and boxes of every image; `remedy` ends the error's sentence.

    Raises:
        InputError: a list is missing or has another length than published, or a file is missing or empty.
    """
    for split, published in PUBLISHED_IMAGES.items():
        ids = image_ids(root / f"{split}.txt")
        needed = [path for image_id in ids for path in annotation_files(root, image_id)]
        absent = [path for path in needed if not (path.is_file() and path.stat().st_size)]
        if len(ids) != published or absent:
            missing = f" ({absent[0]} is missing or empty)" if absent else ""
            raise InputError(f"{root} has {len(ids):,} images in {split}.txt, of which {published:,} are expected, and "
                             f"lacks {len(absent):,} files of theirs{missing}: {remedy}")  # fmt: skip


def state(root: Path) -> str:
    """What there is of a data set whose annotations are whole, as a sentence."""
    said = f"the annotations of flickr30k in {root} are complete: {sum(PUBLISHED_IMAGES.values()):,} images"
    if (root / IMAGES).is_dir():
        return said
    return f"{said}; their photographs are not there: {IMAGES_FORM}, and unpack it in {root}"
