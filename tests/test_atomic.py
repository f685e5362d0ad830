"""Files and folders that are written whole or not at all."""

import os
import re
import stat

import pytest

from skembed.atomic import check_new_directory, new_directory, replacing


def test_a_file_is_there_when_it_is_whole(tmp_path):
    path = tmp_path / "table.bin"
    for content in (b"old", b"new"):
        with replacing(path) as file:
            file.write(content)
            (unfinished,) = (other for other in tmp_path.iterdir() if other != path)
            assert re.fullmatch(r"\.table\.bin\.[0-9a-f]{16}\.unfinished", unfinished.name)
            assert not path.exists() or path.read_bytes() == b"old"
        assert path.read_bytes() == content
        assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["x" * 250, "ä" * 125])
def test_names_as_long_as_file_systems_take(tmp_path, name):
    with replacing(tmp_path / name) as file:
        file.write(b"new")
    with new_directory(tmp_path / name[1:]):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {name, name[1:]}


@pytest.mark.skipif(os.name != "posix", reason="modes of files are those of POSIX")
def test_who_may_read_a_file_stays(tmp_path):
    path = tmp_path / "table.bin"
    path.write_bytes(b"old")
    path.chmod(0o600)
    with replacing(path) as file:
        assert [stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()] == [0o600, 0o600]
        file.write(b"new")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", 0o600)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    path = tmp_path / "no" / "table.bin"
    with (
        pytest.raises(
            FileNotFoundError, match=re.escape(f"{str(path)!r} is to lie in {str(path.parent)!r}, which is not")
        ),
        replacing(path),
    ):
        pass


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_fails_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "table.bin"
    path.write_bytes(b"old")

    def fail():
        with replacing(path) as file:
            file.write(b"half")
            raise error

    def fail_beside_one_who_tidies_up():
        with replacing(path):
            for unfinished in tmp_path.glob(".*.unfinished"):
                unfinished.unlink()
            raise error

    for each in (fail, fail_beside_one_who_tidies_up):
        with pytest.raises(error):
            each()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_bytes_reach_the_disk_before_the_name_does(tmp_path, monkeypatch):
    path, steps = tmp_path / "table.bin", []
    fsync, replace = os.fsync, os.replace

    def watched(handle):
        kind = "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else f"{os.fstat(handle).st_size} bytes"
        steps.append(kind)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    monkeypatch.setattr(os, "replace", lambda *names: [steps.append("name"), replace(*names)])
    with replacing(path) as file:
        file.write(b"abc")
    assert steps == ["3 bytes", "name", "folder"]


def test_a_folder_that_cannot_be_synchronised_is_no_error(tmp_path, monkeypatch):
    fsync = os.fsync

    def refused(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError("not here")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", refused)
    n_open = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    with replacing(tmp_path / "a") as file:
        file.write(b"x")
    assert (tmp_path / "a").read_bytes() == b"x"
    if n_open is not None:
        assert len(os.listdir("/proc/self/fd")) == n_open


def test_what_is_no_file_is_not_replaced(tmp_path):
    message = f"path must name a file, got {str(tmp_path)!r}, which is a folder or a device."
    with pytest.raises(OSError, match=f"^{re.escape(message)}$"), replacing(tmp_path):
        pytest.fail("it was begun")
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "none" / "a"):
        pytest.fail("it was begun")


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_is_there_when_it_is_whole(tmp_path, there):
    path = tmp_path / "model"
    if there:
        path.mkdir()
    with new_directory(check_new_directory(path)) as folder:
        assert re.fullmatch(r"\.model\.[0-9a-f]{16}\.unfinished", folder.name)
        assert folder.parent == tmp_path
        (folder / "a").write_bytes(b"x")
        assert path.exists() == there
    assert [file.name for file in path.iterdir()] == ["a"]
    assert list(tmp_path.iterdir()) == [path]


def test_files_of_a_folder_reach_the_disk_before_its_name_does(tmp_path, monkeypatch):
    steps, fsync, rename = [], os.fsync, os.rename
    monkeypatch.setattr(os, "fsync", lambda handle: [steps.append(os.fstat(handle).st_size % 4096), fsync(handle)])
    monkeypatch.setattr(os, "rename", lambda *names: [steps.append("name"), rename(*names)])
    with new_directory(tmp_path / "model") as folder:
        (folder / "a").write_bytes(b"x" * 5)
        (folder / "b").write_bytes(b"x" * 6)
    assert sorted(steps[:2]) == [5, 6]
    assert steps[2] == "name"
    assert len(steps) == 4


def test_a_folder_that_fails_or_is_there_by_then_leaves_nothing(tmp_path):
    path = tmp_path / "model"

    def interrupt():
        with new_directory(path) as folder:
            (folder / "a").write_bytes(b"x")
            raise KeyboardInterrupt

    def come_second():
        with new_directory(path):
            path.mkdir()
            (path / "other").write_bytes(b"y")

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileExistsError, match="is there already"):
        come_second()
    assert [file.name for file in path.iterdir()] == ["other"]
    assert list(tmp_path.iterdir()) == [path]


def test_where_a_folder_may_be_made(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    (tmp_path / "broken").symlink_to(tmp_path / "none")
    for name in ("file", "full", "link", "broken"):
        message = (
            f"directory={str(tmp_path / name)!r} is there already, and not empty; expected one that is to be made. "
            "Move it away, or pass another name."
        )
        with pytest.raises(FileExistsError, match=f"^{re.escape(message)}$"):
            check_new_directory(tmp_path / name)
    for name in ("empty", "new"):
        assert check_new_directory(str(tmp_path / name)) == tmp_path / name
    message = f"directory={str(tmp_path / 'a' / 'b')!r} is to lie in {tmp_path / 'a'}, which is not there."
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(message)}$"):
        check_new_directory(tmp_path / "a" / "b")
    monkeypatch.chdir(tmp_path)
    with new_directory(check_new_directory("model")) as folder:
        (folder / "a").write_bytes(b"x")
    assert (tmp_path / "model" / "a").exists()
