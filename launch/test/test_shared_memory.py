"""Only what dead participants left is removed."""

from __future__ import annotations

import fcntl
import mmap
import os
from pathlib import Path

from dexpie.shared_memory import remove_leftovers

DEAD, LOCKED, MAPPED = "fastdds_0123456789abcdef", "fastrtps_fedcba9876543210", "fastdds_00000000000000aa"


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(b"x" * 16)


def test_a_dead_segment_goes_with_its_lock_and_a_port_with_its_semaphore(tmp_path: Path) -> None:
    put(tmp_path, DEAD, f"{DEAD}_el", "fastdds_port7413", "sem.fastdds_port7413_mutex")
    assert remove_leftovers(tmp_path, age_s=0.0) == [DEAD, "fastdds_port7413"]
    assert list(tmp_path.iterdir()) == []


def test_a_locked_segment_stays(tmp_path: Path) -> None:
    put(tmp_path, LOCKED, f"{LOCKED}_el")
    with (tmp_path / f"{LOCKED}_el").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert remove_leftovers(tmp_path, age_s=0.0) == []
    assert (tmp_path / LOCKED).exists()


def test_a_mapped_segment_stays(tmp_path: Path) -> None:
    put(tmp_path, MAPPED, f"{MAPPED}_el")
    with (tmp_path / MAPPED).open("r+b") as file, mmap.mmap(file.fileno(), 0):
        assert remove_leftovers(tmp_path, age_s=0.0) == []
    assert remove_leftovers(tmp_path, age_s=0.0) == [MAPPED]


def test_a_file_that_is_just_being_made_stays(tmp_path: Path) -> None:
    put(tmp_path, DEAD)
    assert remove_leftovers(tmp_path, age_s=60.0) == []


def test_what_is_not_of_fast_dds_or_not_there_is_left_alone(tmp_path: Path) -> None:
    put(tmp_path, "fastdds_notes", "lttng-ust-wait-6", "fastdds_0123456789abcdef0")
    assert remove_leftovers(tmp_path, age_s=0.0) == []
    assert len(os.listdir(tmp_path)) == 3
    assert remove_leftovers(tmp_path / "missing") == []
