"""`python -m grounding.data.download refcocog --root DIR`: gets a data set, or goes on getting it, and counts it."""

from __future__ import annotations

import os
import shutil
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import gdown
import requests
from gdown.exceptions import FileURLRetrievalError

from grounding.data.annotations import find_layout, read_instances, read_references
from grounding.data.fetch import fetch
from grounding.data.unpack import unpack
from grounding.errors import InputError
from grounding.runtime.cli import exit_on_input_error
from grounding.runtime.files import locked

# The authors' own server, bvisionweb1.cs.unc.edu, has been gone since 2022; these are its files as archived.
WEB_ARCHIVE = "https://web.archive.org/web/{}/https://bvisionweb1.cs.unc.edu/licheng/referit/data/{}.zip"
UNPACKING = ".unpacking"


@dataclass(frozen=True)
class PublishedDataset:
    """Where a data set was published, and what it must hold.

    Attributes:
        name: as on the command line.
        split_by: the refs file that is counted.
        sentences: number of sentences of each split of that refs file.
        images: number of different images over all these splits.
        refs_url: the refer project's archive of its annotations.
        drive_id: Google Drive's id of an archive of annotations and images; None where there is none.
        images_url: COCO's archive of the photographs.
    """

    name: str
    split_by: str
    sentences: Mapping[str, int]
    images: int
    refs_url: str
    drive_id: str | None = None
    images_url: str = "http://images.cocodataset.org/zips/train2014.zip"


PUBLISHED = {
    dataset.name: dataset
    for dataset in (
        PublishedDataset("refcocog", "umd", {"train": 80_512, "val": 4_896, "test": 9_602}, 25_799,
                         WEB_ARCHIVE.format("20220413012904", "refcocog"), "1xjq32XfEm6FPPhUb7RsZYWHc2UuwVkiq"),
        PublishedDataset("refcoco", "unc", {"train": 120_624, "val": 10_834, "testA": 5_657, "testB": 5_095}, 19_994,
                         WEB_ARCHIVE.format("20220413011718", "refcoco")),
        PublishedDataset("refcoco+", "unc", {"train": 120_191, "val": 10_758, "testA": 5_726, "testB": 4_889}, 19_992,
                         WEB_ARCHIVE.format("20220413011656", "refcoco+")),
    )
}  # fmt: skip


def download(dataset: PublishedDataset, root: Path, source: str = "drive") -> bool:
    """Get a data set as `root/annotations` and `root/images`; where it is complete already, nothing is downloaded.

    Archives go to `root/downloads` and stay there. Killed at any time, the next call goes on.

    Args:
        dataset: one of `PUBLISHED`.
        root: folder of the data set.
        source: "drive" for the course archive on Google Drive, "official" for the refer project's annotations and
            COCO's photographs.

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
                _from_official(dataset, root)
            else:
                _unpack_to(_from_drive(dataset, root), dataset, root)
    except OSError as problem:
        raise InputError(
            f"{root} could not be written ({problem}): check its permissions and the free disk space"
        ) from problem
    verify(dataset, root, f"delete {root / 'downloads'} and run the same command again, or choose another --source")
    return True


def verify(dataset: PublishedDataset, root: Path, remedy: str) -> None:
    """Count what is in a folder; `remedy` says what the user can do, at the end of the error's sentence.

    Raises:
        InputError: a count differs, an image is missing or empty, or a file is missing or cannot be read.
    """
    sentences, images = _annotated(dataset, root)
    if dict(dataset.sentences) != sentences or dataset.images != len(images):
        raise InputError(
            f"{root} holds {_in_words(sentences, len(images))}, where {_in_words(dataset.sentences, dataset.images)} "
            f"are expected: {remedy}"
        )
    if absent := _absent(images):
        raise InputError(
            f"{len(absent):,} of the {len(images):,} images are missing or empty in {absent[0].parent}, "
            f"the first {absent[0].name}: {remedy}"
        )


def _annotated(dataset: PublishedDataset, root: Path) -> tuple[dict[str, int], list[Path]]:
    """What the annotations say there is: the number of sentences by split, and where the images' files belong."""
    layout = find_layout(root, dataset.split_by)
    references = {split: read_references(layout.refs_file, split) for split in dataset.sentences}
    _, records = read_instances(layout.instances_file, [each for split in references.values() for each in split])
    sentences = {split: sum(len(each.sentences) for each in its) for split, its in references.items()}
    return sentences, sorted(layout.images_dir / record.file_name for record in records.values())


def _absent(images: list[Path]) -> list[Path]:
    return [path for path in images if not (os.path.isfile(path) and os.path.getsize(path))]


def _in_words(sentences: Mapping[str, int], images: int) -> str:
    counts = " / ".join(f"{count:,}" for count in sentences.values())
    return f"{counts} sentences in {' / '.join(sentences)} over {images:,} images"


def _is_complete(dataset: PublishedDataset, root: Path) -> bool:
    if (root / UNPACKING).exists():  # a run is at work, or was killed
        return False
    try:
        verify(dataset, root, "")
    except InputError:
        return False
    return True


def _from_drive(dataset: PublishedDataset, root: Path) -> Path:
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
    return archive


def _from_official(dataset: PublishedDataset, root: Path) -> None:
    _unpack_to(_fetched(dataset.refs_url, root), dataset, root)
    absent = _absent(_annotated(dataset, root)[1])
    if absent:
        _unpack_to(_fetched(dataset.images_url, root), dataset, root, only={path.name for path in absent})


def _fetched(url: str, root: Path) -> Path:
    name = Path(urlsplit(url).path).name
    if not name:
        raise InputError(f"{url} does not end with a file's name: give the address of the archive itself")
    return fetch(url, root / "downloads" / name)


def _unpack_to(archive: Path, dataset: PublishedDataset, root: Path, only: set[str] | None = None) -> None:
    """Unpack an archive, or those files of it, beside the folders they belong into, and move them there."""
    folder = root / UNPACKING
    try:
        unpack(archive, folder, only)
        found = {path.name: path for pattern in ("refs(*).p", "instances.json") for path in folder.rglob(pattern)}
        for name in (f"refs({dataset.split_by}).p", "instances.json"):
            if only is None and name not in found:
                raise InputError(f"{archive} does not contain {name}: delete it and choose another source")
        for part in ("annotations", "images"):  # which reading the annotations takes for granted
            (root / part).mkdir(exist_ok=True)
        for name, path in found.items():
            os.replace(path, root / "annotations" / name)
        images_dir = find_layout(root, dataset.split_by).images_dir
        for path in folder.rglob("[!.]*.jpg"):  # "._*.jpg" is what macOS adds to its archives
            os.replace(path, images_dir / path.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
    parser.add_argument("--images-url", help="other address of COCO's train2014.zip, for --source official")
    parser.add_argument("--verify-only", action="store_true", help="only count what is in --root, download nothing")
    options = parser.parse_args(args)
    addresses = {name: getattr(options, name) for name in ("refs_url", "images_url") if getattr(options, name)}
    dataset = replace(PUBLISHED[options.dataset], **addresses)
    root = options.root or Path("data") / dataset.name
    done = False
    if options.verify_only:
        verify(dataset, root, "run the same command without --verify-only")
    else:
        try:
            done = download(dataset, root, options.source)
        except KeyboardInterrupt:
            print("stopped; the same command goes on where this one was", file=sys.stderr)
            raise SystemExit(130) from None  # the shell's code for Ctrl-C
    counted = f"{sum(dataset.sentences.values()):,} sentences over {dataset.images:,} images"
    print(f"{dataset.name} in {root} is complete: {counted}" + ("" if done else "; nothing was downloaded"))
    if done:
        print(f"The archives in {root / 'downloads'} are not needed any more and can be deleted")


if __name__ == "__main__":
    with exit_on_input_error():
        main()
