import errno
import io
import random
import tarfile
import zipfile
from unittest.mock import Mock

import pytest

from grounding.data.untrusted import unpack
from grounding.runtime.errors import InputError
from tests.tar_files import archived

NOISE = random.Random(0).randbytes(300_000)  # does not compress, so that cutting an archive cuts the content


def write_any(path, kind, files):
    path.write_bytes(archived(files, kind))
    return path


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["zip", "tar", "gz", "bz2", "xz"])
def test_unpacks_each_kind_told_by_content_alone(tmp_path, kind):
    files = {"top/annotations/refs(umd).p": b"refs", "top/images/a.jpg": NOISE, "./b": b""}
    archive = write_any(tmp_path / "no-ending", kind, files)
    unpack(archive, tmp_path / "out")
    assert contents(tmp_path / "out") == {"top/annotations/refs(umd).p": b"refs", "top/images/a.jpg": NOISE, "b": b""}
    assert not (tmp_path / "out" / "b").stat().st_mode & 0o6022, "no setuid bit comes along"


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_only_takes_the_named_files(tmp_path, kind):
    archive = write_any(tmp_path / "a", kind, {"train2014/a.jpg": b"a", "train2014/b.jpg": b"b", "c.jpg": b"c"})
    unpack(archive, tmp_path / "out", only={"b.jpg", "c.jpg", "absent.jpg"})
    assert contents(tmp_path / "out") == {"train2014/b.jpg": b"b", "c.jpg": b"c"}


def refuses(archive, base, match):
    before = {path: path.read_bytes() for path in base.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=match):
        unpack(archive, base / "inner" / "out")
    inside = base / "inner" / "out"
    after = {path: path.read_bytes() for path in base.rglob("*") if path.is_file() and inside not in path.parents}
    assert after == before


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("name", ["/e.txt", "../e.txt", "a/../../e.txt", "..\\e.txt", "C:\\e.txt", "C:e", "//h/s/e"])
def test_no_path_leaves_the_folder(tmp_path, kind, name):
    archive = write_any(tmp_path / "evil", kind, {"good.txt": b"", name: b"evil"})
    refuses(archive, tmp_path, "outside its folder")
    with pytest.raises(InputError, match="outside"):  # even if nobody asks for it
        unpack(archive, tmp_path / "out", only={"good.txt"})


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_are_left_out(tmp_path, kind):
    (tmp_path / "victim.txt").write_bytes(b"before")
    with tarfile.open(tmp_path / "evil", "w") as tar:
        link, through = tarfile.TarInfo("door"), tarfile.TarInfo("door")
        link.type, link.linkname = kind, "../../victim.txt"
        tar.addfile(link)
        through.size = 4  # a second member of that name would be written through the link
        tar.addfile(through, io.BytesIO(b"file"))
    unpack(tmp_path / "evil", tmp_path / "inner" / "out")
    assert contents(tmp_path / "inner") == {"out/door": b"file"} and not (tmp_path / "inner/out/door").is_symlink()
    assert (tmp_path / "victim.txt").read_bytes() == b"before"


def test_a_full_disk_is_no_damage_of_the_archive(tmp_path, monkeypatch):
    full = Mock(side_effect=OSError(errno.ENOSPC, "No space left on device"))
    monkeypatch.setattr(zipfile.ZipFile, "extractall", full)
    with pytest.raises(OSError, match="No space left"):
        unpack(write_any(tmp_path / "a", "zip", {"a.jpg": b"a"}), tmp_path / "out")


def cut(data):
    return data[: len(data) // 2]


def with_changed_byte(data):
    data[len(data) // 2] ^= 0xFF
    return data


def with_a_place_below_zero(data):
    """As fuzzing found: zipfile then asks the disk for such a place, which is not the disk's fault."""
    end = data.rindex(b"PK\x05\x06")
    data[end + 12 : end + 16] = len(data).to_bytes(4, "little")  # the directory's size
    return data


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        *((kind, cut) for kind in ("zip", "tar", "gz", "bz2", "xz")),
        *((kind, with_changed_byte) for kind in ("zip", "gz", "bz2", "xz")),
        ("zip", with_a_place_below_zero),
        ("zip", lambda data: b"<html>Google Drive - Quota exceeded</html>"),
    ],
)
def test_a_damaged_archive_is_said_in_one_sentence(tmp_path, kind, spoil):
    archive = write_any(tmp_path / "spoilt", kind, {"a.jpg": NOISE})
    archive.write_bytes(spoil(bytearray(archive.read_bytes())))
    with pytest.raises(InputError, match=r"spoilt cannot be unpacked .*: it is damaged, .* delete it and run the"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("kind", ["zip", "gz", "xz"])
def test_what_is_made_to_fill_a_disk_is_refused_on_the_way(tmp_path, kind, monkeypatch):
    monkeypatch.setattr("grounding.data.untrusted.ALWAYS_TAKEN", 2**20)
    archive = write_any(tmp_path / "bomb", kind, {f"{index}.jpg": bytes(2**21) for index in range(8)})
    assert archive.stat().st_size < 2**24 / 100
    refuses(archive, tmp_path, "bomb cannot be unpacked .it unpacks to more than 100 times its own size")
    written = sum(path.stat().st_size for path in (tmp_path / "inner").rglob("*") if path.is_file())
    assert written <= max(100 * archive.stat().st_size, 2**20)
