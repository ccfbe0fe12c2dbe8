"""A full disk loses nothing that was taken; no bag is overwritten, neither in the trash nor beside it."""

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_bags import ACTION, EVENT, PERIOD_NS, START_NS, action, event, killed_recording, write_episode

from dexpie_bags import (
    BagReader,
    DiskFullError,
    EpisodeBagWriter,
    WriteError,
    appender,
    move_to_trash,
    recover_partials,
    summarise,
    writer,
)
from dexpie_bags.appender import Appender

REAL_WRITE = os.write


class Disk:
    """Stands in for os.write of the appender: takes so many bytes, then refuses until room is made."""

    def __init__(self, room: int, number: int = errno.ENOSPC) -> None:
        self.room, self.number = room, number

    def write(self, descriptor: int, data: bytes) -> int:
        if self.room <= 0:
            raise OSError(self.number, os.strerror(self.number))
        count = REAL_WRITE(descriptor, bytes(data[: self.room]))
        self.room -= count
        return count


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk(2**60)
    monkeypatch.setattr(appender.os, "write", disk.write)
    yield disk
    monkeypatch.undo()


def recording(folder: Path) -> EpisodeBagWriter:
    bag = EpisodeBagWriter(folder / "e1")
    bag.add_topic(ACTION)
    bag.add_topic(EVENT)
    bag.write(EVENT.name, START_NS, event(0))
    return bag


def record_until_refused(bag: EpisodeBagWriter) -> int:
    for tick in range(10_000):
        stamp_ns = START_NS + tick * PERIOD_NS
        try:
            bag.write(ACTION.name, stamp_ns, action(tick, stamp_ns))
        except WriteError:
            return tick + 1  # the refused one waits in memory
    raise AssertionError("never refused")


@pytest.mark.parametrize("room", [0, 1, 5000, 20_011])
def test_what_a_full_disk_refused_is_in_the_bag(tmp_path: Path, disk: Disk, room: int) -> None:
    bag = recording(tmp_path)
    disk.room = room
    taken = record_until_refused(bag)
    with pytest.raises(DiskFullError, match=r"e1: No space left on device: the recording stops here"):
        bag.flush()
    bag_file = next(tmp_path.rglob("*.mcap"))
    ballast = bag_file.parent.parent / "ballast"
    assert ballast.stat().st_size == writer.BALLAST_BYTES
    assert ballast.stat().st_blocks * 512 >= writer.BALLAST_BYTES
    disk.room = writer.BALLAST_BYTES
    path = bag.finish()
    with BagReader(path) as reader:
        ticks = [m.message.tick for m in reader.messages([ACTION.name])]
    assert ticks == list(range(taken))
    assert [p.name for p in tmp_path.iterdir()] == ["e1"]


def test_a_bag_that_cannot_be_closed_is_kept_and_recovered(tmp_path: Path, disk: Disk) -> None:
    with recording(tmp_path) as bag:
        disk.room = 20_000
        record_until_refused(bag)
        with pytest.raises(DiskFullError, match=r"kept in .*\.e1\.partial"):
            bag.finish()
    assert [p.name for p in tmp_path.iterdir()] == [".e1.partial"]
    disk.room = 100
    assert recover_partials(tmp_path) == []  # no room yet: nothing is removed
    assert [p.name for p in tmp_path.iterdir()] == [".e1.partial"]
    disk.room = 2**60
    (recovered,) = recover_partials(tmp_path)
    assert recovered.bag == tmp_path / "e1"
    assert summarise(tmp_path / "e1").episodes[0].outcome == "discard"


def test_another_error_of_the_disk_is_no_full_disk(tmp_path: Path, disk: Disk) -> None:
    with recording(tmp_path) as bag:
        disk.room, disk.number = 0, errno.EIO
        with pytest.raises(WriteError, match="Input/output error") as caught:
            bag.flush()
        assert not isinstance(caught.value, DiskFullError)


def test_free_space_is_watched_while_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = [600 * 2**20]
    monkeypatch.setattr(writer, "free_bytes", lambda folder: free[0])
    bag = recording(tmp_path)
    free[0] = 65 * 2**20  # below what an episode needs to start, above what it needs to end
    bag.flush()
    free[0] = 63 * 2**20
    with pytest.raises(DiskFullError, match="63 MiB free, recording needs 64 MiB"):
        bag.flush()
    assert summarise(bag.finish()).message_count == 1


def test_appender_goes_on_where_it_stopped(tmp_path: Path, disk: Disk) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"abc")
    out = Appender(file)
    disk.room = 2
    out.write(b"defgh")
    with pytest.raises(OSError, match="No space"):
        out.flush()
    assert (file.read_bytes(), out.tell()) == (b"abcde", 8)
    disk.room = 100
    out.close()
    out.close()
    assert file.read_bytes() == b"abcdefgh"


def test_the_trash_keeps_every_bag(tmp_path: Path) -> None:
    kept = [move_to_trash(write_episode(tmp_path / "e1", ticks)) for ticks in (3, 5, 7)]
    assert [p.relative_to(tmp_path).as_posix() for p in kept] == [".trash/e1", ".trash/e1-2", ".trash/e1-3"]
    assert [summarise(p).message_count for p in kept] == [8, 12, 16]
    assert [p.name for p in tmp_path.iterdir()] == [".trash"]
    shutil.move(kept[1], tmp_path / "e1")
    assert summarise(tmp_path / "e1").message_count == 12


def test_recovery_overwrites_no_bag_of_the_same_name(tmp_path: Path) -> None:
    killed_recording(tmp_path)
    shutil.move(write_episode(tmp_path / "elsewhere" / "e1", 3), tmp_path / "e1")
    (recovered,) = recover_partials(tmp_path)
    assert recovered.bag == tmp_path / "e1-2"
    assert summarise(tmp_path / "e1").message_count == 8
    assert recovered.messages > 200
