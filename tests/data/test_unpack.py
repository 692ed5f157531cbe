import errno
import io
import random
import stat
import tarfile
import zipfile

import pytest

from grounding.data.unpack import unpack
from grounding.errors import InputError

NOISE = random.Random(0).randbytes(300_000)  # does not compress, so that cutting an archive cuts the content


def write_zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path, files, mode="w", **member):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for attribute, value in member.items():
                setattr(info, attribute, value)
            archive.addfile(info, io.BytesIO(content))
    return path


def write_any(path, kind, files):
    return write_zip(path, files) if kind == "zip" else write_tar(path, files, {"tar": "w"}.get(kind, f"w:{kind}"))


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["zip", "tar", "gz", "bz2", "xz"])
def test_unpacks_each_kind_told_by_content_alone(tmp_path, kind):
    files = {"top/annotations/refs(umd).p": b"refs", "top/images/a.jpg": NOISE, "./b": b""}
    archive = write_any(tmp_path / "no-ending", kind, files)
    unpack(archive, tmp_path / "out")
    assert contents(tmp_path / "out") == {"top/annotations/refs(umd).p": b"refs", "top/images/a.jpg": NOISE, "b": b""}


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


EVIL_NAMES = [
    "/evil.txt",
    "../evil.txt",
    "a/../../evil.txt",
    "..\\evil.txt",
    "C:\\evil.txt",
    "C:evil.txt",
    "//h/s/evil",
]


@pytest.mark.parametrize("kind", ["zip", "tar", "gz"])
@pytest.mark.parametrize("name", EVIL_NAMES)
def test_no_path_leaves_the_folder(tmp_path, kind, name):
    archive = write_any(tmp_path / "evil", kind, {"good.txt": b"", name: b"evil"})
    refuses(archive, tmp_path, "outside its own folder")
    with pytest.raises(InputError, match="outside"):  # even if nobody asks for it
        unpack(archive, tmp_path / "out", only={"good.txt"})


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
@pytest.mark.parametrize("target", ["../../victim.txt", "/etc/passwd"])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind, target):
    (tmp_path / "victim.txt").write_bytes(b"before")
    archive = tmp_path / "evil"
    with tarfile.open(archive, "w") as tar:
        link = tarfile.TarInfo("door")
        link.type, link.linkname = kind, target
        tar.addfile(link)
        through = tarfile.TarInfo("door")  # a second member of that name would be written through the link
        through.size = 4
        tar.addfile(through, io.BytesIO(b"evil"))
    refuses(archive, tmp_path, "'door', which is a link or a device")
    assert contents(tmp_path / "inner" / "out") == {}


def test_a_link_in_a_zip_is_no_link_when_unpacked(tmp_path):
    link = zipfile.ZipInfo("door")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "odd", "w") as archive:
        archive.writestr(link, "../../victim.txt")
    unpack(tmp_path / "odd", tmp_path / "out")
    assert contents(tmp_path / "out") == {"door": b"../../victim.txt"}
    assert not (tmp_path / "out" / "door").is_symlink()


def test_a_setuid_bit_does_not_come_along(tmp_path):
    with tarfile.open(tmp_path / "a", "w") as tar:
        info = tarfile.TarInfo("tool")
        info.mode = 0o6777
        tar.addfile(info)
    unpack(tmp_path / "a", tmp_path / "out")
    assert not (tmp_path / "out" / "tool").stat().st_mode & 0o6022


def test_a_python_without_safe_tar_archives_is_said(tmp_path, monkeypatch):
    monkeypatch.delattr(tarfile, "data_filter")
    with pytest.raises(InputError, match=r"needs Python 3\.10\.12"):
        unpack(write_tar(tmp_path / "a", {"a.jpg": b"a"}), tmp_path / "out")
    unpack(write_zip(tmp_path / "b", {"a.jpg": b"a"}), tmp_path / "out2")


def test_a_full_disk_is_no_damage_of_the_archive(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "extract", full)
    with pytest.raises(OSError, match="No space left"):
        unpack(write_zip(tmp_path / "a", {"a.jpg": b"a"}), tmp_path / "out")


def cut(share):
    return lambda data: data[: int(share * len(data))]


def with_changed_byte(data):
    data[len(data) // 2] ^= 0xFF
    return data


def encrypted(data):
    data[6] |= 1  # the flag of the member's own header, and of its entry in the directory
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return data


def with_a_place_below_zero(data):
    """As fuzzing found: zipfile then asks the disk for such a place, which is not the disk's fault."""
    end = data.rindex(b"PK\x05\x06")
    data[end + 12 : end + 16] = len(data).to_bytes(4, "little")  # the directory's size
    return data


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        *((kind, cut(share)) for kind in ("zip", "tar", "gz", "bz2", "xz") for share in (0.0, 0.001, 0.5)),
        *((kind, with_changed_byte) for kind in ("zip", "gz", "bz2", "xz")),
        ("zip", encrypted),
        ("zip", with_a_place_below_zero),
        ("zip", lambda data: b"<html>Google Drive - Quota exceeded</html>"),
    ],
)
def test_a_damaged_archive_is_said_in_one_sentence(tmp_path, kind, spoil):
    archive = write_any(tmp_path / "spoilt", kind, {"a.jpg": NOISE})
    archive.write_bytes(spoil(bytearray(archive.read_bytes())))
    with pytest.raises(InputError, match=r"spoilt is damaged, or not a zip or tar archive .*: delete it and run the"):
        unpack(archive, tmp_path / "out")


def test_an_existing_folder_is_not_unpacked_into(tmp_path):
    with pytest.raises(FileExistsError):
        unpack(write_zip(tmp_path / "a", {"a": b""}), tmp_path)


@pytest.mark.parametrize("kind", ["zip", "gz", "xz"])
def test_what_is_made_to_fill_a_disk_is_refused_on_the_way(tmp_path, kind, monkeypatch):
    monkeypatch.setattr("grounding.data.unpack.ALWAYS_TAKEN", 2**20)
    archive = write_any(tmp_path / "bomb", kind, {f"{index}.jpg": bytes(2**21) for index in range(8)})
    assert archive.stat().st_size < 2**24 / 100
    refuses(archive, tmp_path, "bomb unpacks to more than 100 times its own size, and was not unpacked")
    written = sum(path.stat().st_size for path in (tmp_path / "inner").rglob("*") if path.is_file())
    assert written <= max(100 * archive.stat().st_size, 2**20)


def test_members_of_a_zip_that_share_their_content_are_counted_each(tmp_path, monkeypatch):
    """As in the archive of 42 kB that holds 5 GB: its directory names the same bytes again and again."""
    monkeypatch.setattr("grounding.data.unpack.ALWAYS_TAKEN", 2**20)
    archive = tmp_path / "bomb"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("a.jpg", NOISE[:50_000])
        first = zipped.infolist()[0]
        zipped.filelist += [first] * 200
    assert archive.stat().st_size < 70_000
    refuses(archive, tmp_path, "more than 100 times")


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("names", [("a", "a/b.jpg"), ("a/b.jpg", "a"), ("a", "a/c/d.jpg")])
def test_a_file_that_others_lie_in_is_refused(tmp_path, kind, names):
    refuses(write_any(tmp_path / "odd", kind, dict.fromkeys(names, b"x")), tmp_path, "odd is damaged")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_of_members_of_one_name_the_last_is_kept(tmp_path, kind):
    """As tar adds a newer version of a file to an archive."""
    archive = tmp_path / "twice"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.writestr("a", b"before")
            with pytest.warns(UserWarning, match="Duplicate"):
                zipped.writestr("a", b"after")
    else:
        write_tar(archive, {"a": b"before"})
        write_tar(archive, {"a": b"after"}, "a")
    unpack(archive, tmp_path / "out")
    assert contents(tmp_path / "out") == {"a": b"after"}
