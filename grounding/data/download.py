"""`python -m grounding.data.download refcocog --root DIR`: gets a data set, or goes on getting it, and counts it."""

from __future__ import annotations

import os
import shutil
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import ClassVar

import gdown
import requests
from gdown.exceptions import FileURLRetrievalError

from grounding.data import flickr30k
from grounding.data.annotations import find_layout, read_instances, read_references
from grounding.data.untrusted import unpack
from grounding.runtime.cli import exit_on_input_error
from grounding.runtime.download import fetch
from grounding.runtime.errors import InputError
from grounding.runtime.files import locked

# The authors' own server, bvisionweb1.cs.unc.edu, has been gone since 2022; these are its files as archived.
WEB_ARCHIVE = "https://web.archive.org/web/{}/https://bvisionweb1.cs.unc.edu/licheng/referit/data/{}.zip"
FLICKR30K_ADDRESS = "https://github.com/BryanPlummer/flickr30k_entities/raw/master"


@dataclass(frozen=True)
class PublishedDataset:
    """Where a data set of the refer project was published, and what it must hold."""

    name: str  # as on the command line
    split_by: str  # of the refs file that is counted
    sentences: Mapping[str, int]  # split -> how many that file has
    images: int  # different ones over all these splits
    refs_url: str  # the refer project's archive of its annotations
    drive_id: str | None = None  # Google Drive's, of an archive of annotations and images
    images_url: str = "http://images.cocodataset.org/zips/train2014.zip"  # COCO's archive of the photographs
    otherwise: ClassVar[str] = ", or choose another --source"  # what else can be done about what does not come

    def verify(self, root: Path, remedy: str) -> str:
        """Count what is in a folder, and say it; `remedy`, what the user can do, ends the error's sentence."""
        found, absent = self._counted(root)
        expected = {**self.sentences, "images": self.images}
        if found != expected:
            there, wanted = (", ".join(f"{n:,} {name}" for name, n in each.items()) for each in (found, expected))
            missing = f" ({absent[0]} is missing or empty)" if absent else ""
            raise InputError(f"{root} holds {there}{missing}, where {wanted} are expected: {remedy}")
        return f"{sum(self.sentences.values()):,} sentences over {self.images:,} images"

    def get(self, root: Path, downloads: Path, source: str) -> None:
        """Fetch the archives and unpack what is needed of them."""
        archive = self._from_drive(downloads) if source == "drive" else fetch(self.refs_url, downloads)
        _unpack_to(root, archive, self.split_by)
        if source == "official" and (absent := self._counted(root)[1]):
            photographs = fetch(self.images_url, downloads)
            _unpack_to(root, photographs, self.split_by, only={path.name for path in absent})

    def _counted(self, root: Path) -> tuple[dict[str, int], list[Path]]:
        """The number of sentences by split and of "images", and where those images belong that are missing or empty."""
        layout = find_layout(root, self.split_by)
        references = {split: read_references(layout.refs_file, split) for split in self.sentences}
        _, records = read_instances(layout.instances_file, chain.from_iterable(references.values()))
        images = sorted(layout.images_dir / record.file_name for record in records.values())
        absent = _absent(images)
        sentences = {split: sum(len(each.sentences) for each in its) for split, its in references.items()}
        return {**sentences, "images": len(images) - len(absent)}, absent

    def _from_drive(self, downloads: Path) -> Path:
        if self.drive_id is None:
            raise InputError(f"{self.name} is not in the course archive: add --source official")
        archive = downloads / f"{self.name}-drive"  # without an ending, since its kind is told from its content
        try:
            gdown.download(id=self.drive_id, output=str(archive), resume=True)
        except (FileURLRetrievalError, requests.RequestException) as problem:
            page = f"https://drive.google.com/uc?id={self.drive_id}"
            raise InputError(
                f"Google Drive does not hand out the archive now ({' '.join(str(problem).split())}): run the same "
                f"command again, save {page} with a browser as {archive}, or add --source official"
            ) from problem
        return archive


class Flickr30kAnnotations:
    """The lists, captions and boxes of Flickr30k Entities; photographs are given out by a form."""

    otherwise = ""

    def verify(self, root: Path, remedy: str) -> str:
        """Count the lists, and look for captions and boxes of every image, as `PublishedDataset.verify`."""
        for split, published in flickr30k.PUBLISHED_IMAGES.items():
            ids = flickr30k.read_list(root, split)
            absent = _absent([path for image_id in ids for path in flickr30k.annotation_files(root, image_id)])
            if len(ids) != published or absent:
                missing = f" ({absent[0]} is missing or empty)" if absent else ""
                raise InputError(f"{root} has {len(ids):,} images in {split}.txt, of which {published:,} are expected, "
                                 f"and lacks {len(absent):,} files of theirs{missing}: {remedy}")  # fmt: skip
        form = f" without their photographs ({flickr30k.IMAGES_FORM}, and unpack it in {root})"
        has_images = (root / flickr30k.IMAGES).is_dir()
        return f"{sum(flickr30k.PUBLISHED_IMAGES.values()):,} images{'' if has_images else form}"

    def get(self, root: Path, downloads: Path, source: str) -> None:
        """As `PublishedDataset.get`; there is one source only."""
        for name in (*(f"{split}.txt" for split in flickr30k.PUBLISHED_IMAGES), flickr30k.UNRELATED):
            shutil.copyfile(fetch(f"{FLICKR30K_ADDRESS}/{name}", downloads), root / name)
        with _unpacked(fetch(f"{FLICKR30K_ADDRESS}/annotations.zip", downloads)) as unpacked:
            for folder, suffix in ((flickr30k.SENTENCES, "txt"), (flickr30k.ANNOTATIONS, "xml")):
                (root / folder).mkdir(exist_ok=True)
                for path in unpacked.rglob(f"{folder}/[0-9]*.{suffix}"):  # not "._1.xml", which macOS adds
                    os.replace(path, root / folder / path.name)


PUBLISHED: dict[str, PublishedDataset | Flickr30kAnnotations] = {"flickr30k": Flickr30kAnnotations()} | {
    each.name: each for each in (
        PublishedDataset("refcocog", "umd", {"train": 80_512, "val": 4_896, "test": 9_602}, 25_799,
                         WEB_ARCHIVE.format("20220413012904", "refcocog"), "1xjq32XfEm6FPPhUb7RsZYWHc2UuwVkiq"),
        PublishedDataset("refcoco", "unc", {"train": 120_624, "val": 10_834, "testA": 5_657, "testB": 5_095}, 19_994,
                         WEB_ARCHIVE.format("20220413011718", "refcoco")),
        PublishedDataset("refcoco+", "unc", {"train": 120_191, "val": 10_758, "testA": 5_726, "testB": 4_889}, 19_992,
                         WEB_ARCHIVE.format("20220413011656", "refcoco+")),
    )
}  # fmt: skip


def download(dataset: PublishedDataset | Flickr30kAnnotations, root: Path, source: str = "drive") -> tuple[str, bool]:
    """Get a data set as `root/annotations` and `root/images`; return what it holds, and whether anything was missing.

    Archives go to `root/downloads` and stay there. Killed at any time, the next call goes on. The source is "drive",
    the course archive on Google Drive, or "official", the refer project's annotations and COCO's photographs.
    """
    try:
        return dataset.verify(root, ""), False
    except InputError:
        downloads = root / "downloads"
    with locked(downloads / ".lock", "download", "--root"):
        dataset.get(root, downloads, source)
    return dataset.verify(root, f"delete {downloads} and run the same command again{dataset.otherwise}"), True


def _absent(paths: list[Path]) -> list[Path]:
    """Those that are missing or empty."""
    return [path for path in paths if not (os.path.isfile(path) and os.path.getsize(path))]


def _unpack_to(root: Path, archive: Path, split_by: str, only: set[str] | None = None) -> None:
    """Unpack an archive, or those files of it, and move the files into the folders they belong to."""
    with _unpacked(archive, only) as folder:
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


@contextmanager
def _unpacked(archive: Path, only: set[str] | None = None) -> Iterator[Path]:
    """A folder beside an archive with what is in it, or those files of it; it is gone afterwards."""
    folder = archive.parent / "unpacked"
    shutil.rmtree(folder, ignore_errors=True)  # a killed run's
    try:
        unpack(archive, folder, only)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main(args: list[str] | None = None) -> None:
    """The command line; `args` are those of the process where None. It raises what `download` and `verify` do."""
    about = "Download a data set of referring expressions, or go on with it, and count it; a whole one is left alone."
    parser = ArgumentParser(prog="python -m grounding.data.download", description=about)
    parser.add_argument("dataset", choices=sorted(PUBLISHED), help="which data set; of flickr30k only the annotations")
    parser.add_argument("--root", type=Path, help="folder for the data set; not given, data/refcocog and so on")
    drive = "drive: the course archive on Google Drive, refcocog only; "
    official = ("official: annotations of the refer project and the photographs of COCO, of which all 13.5 GB are "
                "downloaded to take out those that are needed")  # fmt: skip
    parser.add_argument("--source", choices=["drive", "official"], default="drive", help=drive + official)
    parser.add_argument("--verify-only", action="store_true", help="only count what is in --root, download nothing")
    options = parser.parse_args(args)
    root, dataset = options.root or Path("data") / options.dataset, PUBLISHED[options.dataset]
    if options.verify_only:
        held, done = dataset.verify(root, "run the same command without --verify-only"), False
    else:
        held, done = download(dataset, root, options.source)
    state = f"the archives in {root / 'downloads'} can be deleted" if done else "nothing was downloaded"
    print(f"{options.dataset} in {root} is complete: {held}; {state}")


if __name__ == "__main__":
    with exit_on_input_error():
        main()
