"""`python -m grounding.data.download refcocog --root DIR`: gets a data set, or goes on getting it, and counts it."""

from __future__ import annotations

import os
import shutil
from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import gdown
import requests
from gdown.exceptions import FileURLRetrievalError

from grounding.data.annotations import find_layout, read_instances, read_references
from grounding.data.untrusted import unpack
from grounding.errors import InputError
from grounding.runtime.cli import exit_on_input_error
from grounding.runtime.download import fetch
from grounding.runtime.files import locked

# The authors' own server, bvisionweb1.cs.unc.edu, has been gone since 2022; these are its files as archived.
WEB_ARCHIVE = "https://web.archive.org/web/{}/https://bvisionweb1.cs.unc.edu/licheng/referit/data/{}.zip"


@dataclass(frozen=True)
class PublishedDataset:
    """Where a data set was published, and what it must hold."""

    name: str  # as on the command line
    split_by: str  # of the refs file that is counted
    sentences: Mapping[str, int]  # split -> how many that file has
    images: int  # different ones over all these splits
    refs_url: str  # the refer project's archive of its annotations
    drive_id: str | None = None  # Google Drive's, of an archive of annotations and images
    images_url: str = "http://images.cocodataset.org/zips/train2014.zip"  # COCO's archive of the photographs


PUBLISHED = {each.name: each for each in (
    PublishedDataset("refcocog", "umd", {"train": 80_512, "val": 4_896, "test": 9_602}, 25_799,
                     WEB_ARCHIVE.format("20220413012904", "refcocog"), "1xjq32XfEm6FPPhUb7RsZYWHc2UuwVkiq"),
    PublishedDataset("refcoco", "unc", {"train": 120_624, "val": 10_834, "testA": 5_657, "testB": 5_095}, 19_994,
                     WEB_ARCHIVE.format("20220413011718", "refcoco")),
    PublishedDataset("refcoco+", "unc", {"train": 120_191, "val": 10_758, "testA": 5_726, "testB": 4_889}, 19_992,
                     WEB_ARCHIVE.format("20220413011656", "refcoco+")),
)}  # fmt: skip


def download(dataset: PublishedDataset, root: Path, source: str = "drive") -> bool:
    """Get a data set as `root/annotations` and `root/images`, and return whether anything had to be done.

    Archives go to `root/downloads` and stay there. Killed at any time, the next call goes on. The source is "drive",
    the course archive on Google Drive, or "official", the refer project's annotations and COCO's photographs.

    Raises:
        InputError: the source does not have the data set, a download fails, an archive is damaged or unsafe, another
            process downloads to the root, or the counts differ from the published ones.
        OSError: the disk is full or not writable.
    """
    try:
        verify(dataset, root, "")
        return False
    except InputError:
        downloads = root / "downloads"
    with locked(downloads / ".lock", "download", "--root"):
        archive = _from_drive(dataset, downloads) if source == "drive" else fetch(dataset.refs_url, downloads)
        _unpack_to(root, archive, dataset.split_by)
        if source == "official" and (absent := _counted(dataset, root)[1]):
            photographs = fetch(dataset.images_url, downloads)
            _unpack_to(root, photographs, dataset.split_by, only={path.name for path in absent})
    verify(dataset, root, f"delete {downloads} and run the same command again, or choose another --source")
    return True


def verify(dataset: PublishedDataset, root: Path, remedy: str) -> None:
    """Count what is in a folder; `remedy` says what the user can do, at the end of the error's sentence.

    Raises:
        InputError: a count differs, an image is missing or empty, or a file is missing or cannot be read.
    """
    found, absent = _counted(dataset, root)
    expected = {**dataset.sentences, "images": dataset.images}
    if found != expected:
        numbers, wanted = (", ".join(f"{count:,} {name}" for name, count in each.items()) for each in (found, expected))
        missing = f" ({absent[0]} is missing or empty)" if absent else ""
        raise InputError(f"{root} holds {numbers}{missing}, where {wanted} are expected: {remedy}")


def _counted(dataset: PublishedDataset, root: Path) -> tuple[dict[str, int], list[Path]]:
    """The number of sentences by split and of "images", and where those images belong that are missing or empty."""
    layout = find_layout(root, dataset.split_by)
    references = {split: read_references(layout.refs_file, split) for split in dataset.sentences}
    _, records = read_instances(layout.instances_file, [each for split in references.values() for each in split])
    images = sorted(layout.images_dir / record.file_name for record in records.values())
    absent = [path for path in images if not (os.path.isfile(path) and os.path.getsize(path))]
    sentences = {split: sum(len(each.sentences) for each in its) for split, its in references.items()}
    return {**sentences, "images": len(images) - len(absent)}, absent


def _from_drive(dataset: PublishedDataset, downloads: Path) -> Path:
    if dataset.drive_id is None:
        raise InputError(f"{dataset.name} is not in the course archive: add --source official")
    archive = downloads / f"{dataset.name}-drive"  # without an ending, since its kind is told from its content
    try:
        gdown.download(id=dataset.drive_id, output=str(archive), resume=True)
    except (FileURLRetrievalError, requests.RequestException) as problem:
        page = f"https://drive.google.com/uc?id={dataset.drive_id}"
        raise InputError(
            f"Google Drive does not hand out the archive now ({' '.join(str(problem).split())}): run the same command "
            f"again, save {page} with a browser as {archive}, or add --source official"
        ) from problem
    return archive


def _unpack_to(root: Path, archive: Path, split_by: str, only: set[str] | None = None) -> None:
    """Unpack an archive, or those files of it, and move the files into the folders they belong to."""
    folder = archive.parent / "unpacked"
    shutil.rmtree(folder, ignore_errors=True)  # a killed run's
    try:
        unpack(archive, folder, only)
        for name in (f"refs({split_by}).p", "instances.json"):
            if only is None and not any(folder.rglob(name)):
                raise InputError(f"{archive} does not contain {name}: delete it and choose another source")
        for part in ("annotations", "images"):  # which reading the annotations takes for granted
            (root / part).mkdir(exist_ok=True)
        for path in (*folder.rglob("refs(*).p"), *folder.rglob("instances.json")):
            os.replace(path, root / "annotations" / path.name)
        images_dir = find_layout(root, split_by).images_dir
        for path in folder.rglob("[!.]*.jpg"):  # "._*.jpg" is what macOS adds to its archives
            os.replace(path, images_dir / path.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main(args: list[str] | None = None) -> None:
    """The command line; `args` are those of the process where None. It raises what `download` and `verify` do."""
    about = "Download a data set of referring expressions, or go on with it, and count it; a whole one is left alone."
    parser = ArgumentParser(prog="python -m grounding.data.download", description=about)
    parser.add_argument("dataset", choices=sorted(PUBLISHED), help="which data set")
    parser.add_argument("--root", type=Path, help="folder for the data set; not given, data/refcocog and so on")
    drive = "drive: the course archive on Google Drive, refcocog only; "
    official = ("official: annotations of the refer project and the photographs of COCO, of which all 13.5 GB are "
                "downloaded to take out those that are needed")  # fmt: skip
    parser.add_argument("--source", choices=["drive", "official"], default="drive", help=drive + official)
    parser.add_argument("--verify-only", action="store_true", help="only count what is in --root, download nothing")
    options = parser.parse_args(args)
    root = options.root or Path("data") / options.dataset
    dataset = PUBLISHED[options.dataset]
    if options.verify_only:
        verify(dataset, root, "run the same command without --verify-only")
    done = not options.verify_only and download(dataset, root, options.source)
    counted = f"{sum(dataset.sentences.values()):,} sentences over {dataset.images:,} images"
    state = f"the archives in {root / 'downloads'} can be deleted" if done else "nothing was downloaded"
    print(f"{options.dataset} in {root} is complete: {counted}; {state}")


if __name__ == "__main__":
    with exit_on_input_error():
        main()
