"""Images with phrases in tar files, as WebDataset has them: KEY.jpg and, beside it, KEY.txt with a phrase a line."""

from __future__ import annotations

import glob
import tarfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from grounding.data.dataset import GroundingDataset
from grounding.data.images import SUFFIXES
from grounding.errors import InputError, SettingsError
from grounding.runtime.text_files import decode_text


class ImagePhraseShards(GroundingDataset):
    """Tar files of images with phrases, as WebDataset has them, for training without boxes.

    It has no expressions: `streamed_pairs.StreamedItems` reads them as training needs them.

    Attributes:
        files: the tar files.
        boxed_splits: none, for nobody says where anything is.
    """

    boxed_splits: frozenset[str] = frozenset()

    def __init__(self, root: Path, split: str, *, boxed: bool, subset: int | float | None = None) -> None:
        """Looks for the files, and into none.

        Args:
            root: a folder of .tar files, or a pattern of them.
            split: which the files are; nothing in them says so.
            boxed, subset: as for `open_dataset`; neither boxes nor a choice of images can be had.

        Raises:
            InputError: there is no file, or the package webdataset is missing; a `SettingsError` where `boxed` or
                `subset` is set.
        """
        if find_spec("webdataset") is None:
            raise InputError(f"{root} needs the package webdataset: pip install -r requirements-ray.txt")
        files = [Path(each) for each in sorted(glob.glob(str(root / "*.tar" if root.is_dir() else root)))]
        if not files:
            raise InputError(f"there is no file {root}: correct the path or pattern")
        if boxed or subset is not None:
            raise SettingsError(
                f"{root} is read as a stream without boxes: train with --model.decoder.kind adapters, without a subset"
            )
        super().__init__(root, split, (), (), {}, images_dir=root.parent, files=files)

    def count(self, process: int, processes: int) -> int:
        """Images in one process's share of the files.

        Raises:
            InputError: one is no whole tar file.
        """
        return sum(map(count_samples, self.files[process::processes]))


class TarSample(NamedTuple):
    """An image with its phrases, as files: the tar file's name and the sample's key, and their content."""

    tar: str
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
            raise InputError(f"{self.tar}, {self.key}.txt is no UTF-8 text ({error}): save it as UTF-8") from error


def read_tar(file: BinaryIO, name: str) -> Iterator[TarSample]:
    """The samples of a tar file in its order, of all keys that have an image; the file is not sought in.

    Raises:
        InputError: it is no tar file, ends early, or has a file twice.
    """
    from webdataset.tariterators import group_by_keys, tar_file_expander  # which not every installation has

    try:
        for files in group_by_keys(tar_file_expander([{"url": name, "stream": file}])):
            image = next((content for ending, content in files.items() if _is_image(ending)), None)
            if image is not None:
                yield TarSample(name, files["__key__"], image, files.get("txt", b""))
    except (tarfile.TarError, ValueError) as error:
        raise _damaged(name, error) from error


def count_samples(path: Path) -> int:
    """How many samples `read_tar` gives, from the headers alone.

    Raises:
        InputError: the file cannot be opened, is no tar file, or ends early.
    """
    from webdataset.tariterators import base_plus_ext

    try:
        with tarfile.open(path) as tar:
            parts = [base_plus_ext(member.name) for member in tar if member.isfile()]
    except (tarfile.TarError, OSError) as error:
        raise _damaged(str(path), error) from error
    return len({key for key, ending in parts if _is_image(ending or "")})


def _is_image(ending: str) -> bool:
    return PurePosixPath(f"image.{ending.lower()}").suffix in SUFFIXES


def _damaged(name: str, error: Exception) -> InputError:
    return InputError(f"{name} cannot be read as a tar file ({error}): get it again")
