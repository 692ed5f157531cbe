"""Images with phrases in tar files, as WebDataset has them: KEY.jpg and, beside it, KEY.txt with a phrase a line."""

from __future__ import annotations

import glob
import os
import tarfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, NamedTuple

from grounding.data.dataset import GroundingDataset
from grounding.data.images import SUFFIXES
from grounding.errors import InputError, SettingsError
from grounding.runtime.files import decode_text


class ImagePhraseShards(GroundingDataset):
    """Tar files of images with phrases, for training without boxes; `streamed_pairs.StreamedItems` reads them."""

    boxed_splits: frozenset[str] = frozenset()  # nobody says where anything is

    def __init__(self, root: Path, split: str, *, boxed: bool, subset: int | float | None = None) -> None:
        """Looks for the files, and into none: in the folder `root`, or by that pattern; nothing in them says `split`.

        Raises:
            InputError: there is no file, the package webdataset is missing, or boxes or a subset are asked for.
        """
        if find_spec("webdataset") is None:
            raise InputError(f"{root} needs the package webdataset: pip install -r requirements-ray.txt")
        files = [Path(each) for each in sorted(glob.glob(str(root / "*.tar" if root.is_dir() else root)))]
        if not files:
            raise InputError(f"there is no file {root}: correct the path or pattern")
        if boxed or subset is not None:
            raise SettingsError(f"{root} is a stream without boxes: give --model.decoder.kind adapters and no subset")
        super().__init__(root, split, (), (), {}, images_dir=root.parent, files=files)


class TarSample(NamedTuple):
    """An image with its phrases: what names it in messages, the sample's key, and the content of the two files."""

    name: str
    key: str
    image: bytes
    text: bytes

    def phrases(self) -> list[str]:
        """The lines of the text that are not blank.

        Raises:
            InputError: it is no UTF-8 text.
        """
        try:
            return [line.strip() for line in decode_text(self.text).split("\n") if line.strip()]
        except ValueError as error:
            raise InputError(f"{self.name}.txt is no UTF-8 text ({error}): save it as UTF-8") from error


def read_tar(file: BinaryIO, name: str) -> Iterator[TarSample]:
    """The samples of a tar file in its order, of all keys that have an image.

    Raises:
        InputError: it is no tar file, has no end, or has a file twice.
    """
    from webdataset.tariterators import group_by_keys, tar_file_expander  # which not every installation has

    try:
        for files in group_by_keys(tar_file_expander([{"url": name, "stream": _whole(file)}])):
            image = next((content for ending, content in files.items() if f".{ending}" in SUFFIXES), None)
            if image is not None:
                yield TarSample(f"{name}, {files['__key__']}", files["__key__"], image, files.get("txt", b""))
    except (tarfile.TarError, OSError, ValueError) as error:
        raise InputError(f"{name} cannot be read as a tar file ({error}): get it again") from error


def count_samples(path: Path) -> int:
    """How many samples `read_tar` gives, from the headers alone.

    Raises:
        InputError: the file cannot be opened, is no tar file, or has no end.
    """
    from webdataset.tariterators import base_plus_ext

    try:
        with path.open("rb") as file, tarfile.open(fileobj=_whole(file)) as tar:
            parts = [base_plus_ext(member.name) for member in tar if member.isfile()]
    except (tarfile.TarError, OSError) as error:
        raise InputError(f"{path} cannot be read as a tar file ({error}): get it again") from error
    return len({key for key, ending in parts if f".{ending}".lower() in SUFFIXES})


def _whole(file: BinaryIO) -> BinaryIO:
    """A tar file with the 1024 zeros at its end, without which the readers would take a torn one for a shorter one."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - 1024))
    if any(file.read()):
        raise tarfile.ReadError("its end is missing")
    file.seek(0)
    return file
