"""`python -m grounding.data.download refcocog --root DIR`: gets a data set, or goes on getting it, and counts it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import gdown
import requests
from gdown.exceptions import FileURLRetrievalError
from jsonargparse import ArgumentParser

from grounding.data.annotations import find_layout
from grounding.data.completeness import ExpectedCounts, read_contents, verify
from grounding.data.fetch import fetch
from grounding.data.unpack import unpack
from grounding.errors import InputError
from grounding.lock import locked
from grounding.runtime.cli import exit_on_input_error

# The authors' own server, bvisionweb1.cs.unc.edu, has been gone since 2022; these are its files as archived.
WEB_ARCHIVE = "https://web.archive.org/web/{}/https://bvisionweb1.cs.unc.edu/licheng/referit/data/{}.zip"
TRAIN2014_URL = "http://images.cocodataset.org/zips/train2014.zip"
UNPACKING = ".unpacking"
MEAN_IMAGE_BYTES = 165_000  # of COCO's train2014


@dataclass(frozen=True)
class PublishedDataset:
    """Where a data set was published, and what it must hold.

    Attributes:
        name: as on the command line.
        split_by: the refs file that is counted.
        expected: sentences and images of that refs file.
        refs_url: the refer project's archive of its annotations.
        drive_id: Google Drive's id of an archive of annotations and images; None where there is none.
    """

    name: str
    split_by: str
    expected: ExpectedCounts
    refs_url: str
    drive_id: str | None = None


PUBLISHED = {
    dataset.name: dataset
    for dataset in (
        PublishedDataset(
            "refcocog",
            "umd",
            ExpectedCounts({"train": 80_512, "val": 4_896, "test": 9_602}, images=25_799),
            WEB_ARCHIVE.format("20220413012904", "refcocog"),
            drive_id="1xjq32XfEm6FPPhUb7RsZYWHc2UuwVkiq",
        ),
        PublishedDataset(
            "refcoco",
            "unc",
            ExpectedCounts({"train": 120_624, "val": 10_834, "testA": 5_657, "testB": 5_095}, images=19_994),
            WEB_ARCHIVE.format("20220413011718", "refcoco"),
        ),
        PublishedDataset(
            "refcoco+",
            "unc",
            ExpectedCounts({"train": 120_191, "val": 10_758, "testA": 5_726, "testB": 4_889}, images=19_992),
            WEB_ARCHIVE.format("20220413011656", "refcoco+"),
        ),
    )
}


def download(
    dataset: PublishedDataset,
    root: Path,
    source: str = "drive",
    *,
    refs_url: str | None = None,
    images_url: str = TRAIN2014_URL,
) -> bool:
    """Get a data set as `root/annotations` and `root/images`; where it is complete already, nothing is downloaded.

    Archives go to `root/downloads` and stay there. Killed at any time, the next call goes on.

    Args:
        dataset: one of `PUBLISHED`.
        root: folder of the data set.
        source: "drive" for the course archive on Google Drive, "official" for the refer project's annotations and
            COCO's photographs.
        refs_url: address of the annotations instead of `dataset.refs_url`; "official" only.
        images_url: address of COCO's train2014.zip; "official" only.

    Returns:
        Whether anything had to be done.

    Raises:
        InputError: the source does not have the data set, a download fails, an archive is damaged or unsafe, the
            disk is full or not writable, another process downloads to it, or the counts differ from the published ones.
    """
    if _is_complete(dataset, root):
        return False
    try:
        with locked(root / "downloads" / ".lock", "download", "--root"):
            shutil.rmtree(root / UNPACKING, ignore_errors=True)  # a killed run's
            if _is_complete(dataset, root):  # it was killed at its very end, or another one has seen to it
                return False
            if source == "official":
                _from_official(dataset, root, refs_url or dataset.refs_url, images_url)
            else:
                _from_drive(dataset, root)
    except OSError as problem:
        raise InputError(
            f"{root} could not be written ({problem}): check its permissions and the free disk space"
        ) from problem
    remedy = f"delete {root / 'downloads'} and run the same command again, or choose another --source"
    verify(root, dataset.split_by, dataset.expected, remedy)
    return True


def _is_complete(dataset: PublishedDataset, root: Path) -> bool:
    if (root / UNPACKING).exists():  # a run is at work, or was killed
        return False
    try:
        verify(root, dataset.split_by, dataset.expected, "")
    except InputError:
        return False
    return True


def _from_drive(dataset: PublishedDataset, root: Path) -> None:
    if dataset.drive_id is None:
        raise InputError(f"{dataset.name} is not in the course archive: add --source official")
    # Without an ending, since the archive's kind is told from its content.
    archive = root / "downloads" / f"{dataset.name}-drive"
    archive.parent.mkdir(parents=True, exist_ok=True)
    try:
        done = gdown.download(id=dataset.drive_id, output=str(archive), resume=True)
    except (FileURLRetrievalError, requests.RequestException) as problem:
        raise InputError(
            f"Google Drive does not hand out the archive now ({' '.join(str(problem).split())}): run the same command "
            f"again, or open https://drive.google.com/uc?id={dataset.drive_id} in a browser and save the file as "
            f"{archive}, or add --source official"
        ) from problem
    if done is None:  # gdown's answer to several partial files, which two runs at once leave behind
        raise InputError(f"{archive.parent} has several {archive.name}*.part: delete all but the largest of them")
    with _unpacked(archive, root) as folder:
        _move_annotations(dataset, archive, folder, root)
        _move_images(dataset, folder, root)


def _from_official(dataset: PublishedDataset, root: Path, refs_url: str, images_url: str) -> None:
    refs_archive = fetch(refs_url, root / "downloads" / _file_name(refs_url))
    with _unpacked(refs_archive, root) as folder:
        _move_annotations(dataset, refs_archive, folder, root)
    absent = read_contents(root, dataset.split_by, dataset.expected.sentences).absent_images()
    if absent:
        reserve_bytes = len(absent) * MEAN_IMAGE_BYTES
        images_archive = fetch(images_url, root / "downloads" / _file_name(images_url), reserve_bytes=reserve_bytes)
        with _unpacked(images_archive, root, only={path.name for path in absent}) as folder:
            _move_images(dataset, folder, root)


@contextmanager
def _unpacked(archive: Path, root: Path, only: set[str] | None = None) -> Iterator[Path]:
    """A temporary folder beside the final ones, on the same disk, so that its files move without copying."""
    folder = root / UNPACKING
    try:
        unpack(archive, folder, only)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move_annotations(dataset: PublishedDataset, archive: Path, folder: Path, root: Path) -> None:
    found = {path.name: path for pattern in ("refs(*).p", "instances.json") for path in folder.rglob(pattern)}
    for name in (f"refs({dataset.split_by}).p", "instances.json"):
        if name not in found:
            raise InputError(f"{archive} does not contain {name}: delete it and choose another source")
    annotations, images = root / "annotations", root / "images"
    annotations.mkdir(exist_ok=True)
    images.mkdir(exist_ok=True)  # part of the layout, which reading the annotations takes for granted
    for name, path in found.items():
        os.replace(path, annotations / name)


def _move_images(dataset: PublishedDataset, folder: Path, root: Path) -> None:
    images_dir = find_layout(root, dataset.split_by).images_dir
    for path in folder.rglob("[!.]*.jpg"):  # "._*.jpg" is what macOS adds to its archives
        os.replace(path, images_dir / path.name)


def _file_name(url: str) -> str:
    name = Path(urlsplit(url).path).name
    if not name:
        raise InputError(f"{url} does not end with a file's name: give the address of the archive itself")
    return name


def main(args: list[str] | None = None) -> None:
    """The command line; `args` are those of the process where None.

    Raises:
        InputError: as `download`; with --verify-only, as `verify`.
    """
    parser = ArgumentParser(
        prog="python -m grounding.data.download",
        description="Download a data set of referring expressions and check that it is complete. A run that was "
        "stopped goes on where it was; a data set that is complete is left alone.",
    )
    parser.add_argument("dataset", choices=sorted(PUBLISHED), help="which data set")
    parser.add_argument("--root", type=Path, help="folder for the data set; not given, data/refcocog and so on")
    parser.add_argument(
        "--source",
        choices=["drive", "official"],
        default="drive",
        help="drive: the course archive on Google Drive, refcocog only; official: annotations of the refer project "
        "and the photographs of COCO, of which all 13.5 GB are downloaded to take out those that are needed",
    )
    parser.add_argument("--refs-url", help="other address of the annotations' archive, for --source official")
    parser.add_argument(
        "--images-url", default=TRAIN2014_URL, help="other address of COCO's train2014.zip, for --source official"
    )
    parser.add_argument("--verify-only", action="store_true", help="only count what is in --root, download nothing")
    options = parser.parse_args(args)
    dataset = PUBLISHED[options.dataset]
    root = options.root or Path("data") / dataset.name
    if options.verify_only:
        verify(root, dataset.split_by, dataset.expected, "run the same command without --verify-only")
        done = False
    else:
        try:
            done = download(dataset, root, options.source, refs_url=options.refs_url, images_url=options.images_url)
        except KeyboardInterrupt:
            print("stopped; the same command goes on where this one was", file=sys.stderr)
            raise SystemExit(130) from None  # the shell's code for Ctrl-C
    counted = f"{sum(dataset.expected.sentences.values()):,} sentences over {dataset.expected.images:,} images"
    print(f"{dataset.name} in {root} is complete: {counted}" + ("" if done else "; nothing was downloaded"))
    if done:
        print(f"The archives in {root / 'downloads'} are not needed any more and can be deleted")


if __name__ == "__main__":
    with exit_on_input_error():
        main()
