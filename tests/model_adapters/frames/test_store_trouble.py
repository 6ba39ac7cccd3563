"""Errors of the store's folder: no read fails and no frame is wrong."""

import logging
import multiprocessing
import os
import resource
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from qsv_eval.model_adapters.frames import ClipRequest, FrameRule, FrameStore, read_frames
from qsv_eval.model_adapters.frames import store as store_module

SIZE = (96, 160)
A, B, C = ClipRequest(FrameRule()), ClipRequest(FrameRule(max_frames=2)), ClipRequest(FrameRule(fps=7), 1.1, 2.9)


def test_what_is_larger_than_the_whole_store_is_not_kept(store, plain_video, assert_read, entries, of_seconds):
    store.read(plain_video, [A], SIZE)
    kept = entries(store)
    small = FrameStore(store.folder, kept[0].stat().st_size)
    long = of_seconds(6)
    for _ in range(2):
        assert_read(small, long, [A], hit=False)
    assert entries(small) == kept
    assert entries(small, ".unfinished") == []


def test_leftovers_of_killed_writers_and_nothing_else_are_cleaned(store, plain_video):
    shard = store.folder / "00"
    shard.mkdir(parents=True)
    names = ("old.unfinished", "new.unfinished", "notes.txt")
    for name in names:
        (shard / name).write_bytes(b"x")
    for name in ("old.unfinished", "notes.txt"):
        os.utime(shard / name, (0, 0))
    (store.folder / "README").touch()
    FrameStore(store.folder, 1 << 30).read(plain_video, [A], SIZE)
    FrameStore(store.folder, 1).read(plain_video, [B, A], SIZE)
    assert sorted(path.name for path in shard.iterdir() if path.suffix != ".frames") == ["new.unfinished", "notes.txt"]
    assert (store.folder / "README").exists()


def cut(data: bytearray) -> None:
    del data[len(data) // 2 :]


def cut_a_byte(data: bytearray) -> None:
    del data[-1]


def append(data: bytearray) -> None:
    data += b"x"


def flip_in_frames(data: bytearray) -> None:
    data[100] ^= 1


def flip_in_index(data: bytearray) -> None:
    data[-100] ^= 1


def flip_in_tail(data: bytearray) -> None:
    data[-15] ^= 255


def blank(data: bytearray) -> None:
    data[:] = bytes(len(data))


def empty(data: bytearray) -> None:
    data.clear()


@pytest.mark.parametrize("damage", [cut, cut_a_byte, append, flip_in_frames, flip_in_index, flip_in_tail, blank, empty])
def test_a_damaged_entry_is_removed_and_read_anew(store, plain_video, damage, assert_read, entries):
    store.read(plain_video, [A, B], SIZE)
    (entry,) = entries(store)
    data = bytearray(entry.read_bytes())
    damage(data)
    entry.write_bytes(data)
    buffers = []

    def allocate(shape: tuple[int, ...]) -> np.ndarray:
        buffers.append(np.empty(shape, np.uint8))
        return buffers[-1]

    decoded, hit = store.read(plain_video, [A], SIZE, allocate=allocate)
    assert np.array_equal(decoded.frames, read_frames(plain_video, [A], SIZE).frames)
    assert (hit, len(buffers)) == (False, 1)
    assert not entry.exists()
    assert_read(store, plain_video, [A], hit=True)


def read_many(store: FrameStore, paths: list[Path], seed: int) -> int:
    rng = np.random.default_rng(seed)
    for _ in range(25):
        path = paths[rng.integers(len(paths))]
        requests = [[A], [A, B], [B]][rng.integers(3)]
        decoded = store.read(path, requests, SIZE).footage
        assert np.array_equal(decoded.frames, read_frames(path, requests, SIZE).frames)
    return seed


@pytest.mark.alone
def test_many_processes_write_read_and_evict_at_once(tmp_path, entries, of_seconds):
    paths = [of_seconds(seconds) for seconds in (2, 3, 4)]
    whole = FrameStore(tmp_path / "sizes", 1 << 30)
    for path in paths:
        whole.read(path, [A, B], SIZE)
    # Room for two of the nine entries that they are after: every reader races with an eviction.
    store = FrameStore(tmp_path / "store", max(entry.stat().st_size for entry in entries(whole)) * 2)
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert pool.starmap(read_many, [(store, paths, seed) for seed in range(4)]) == [0, 1, 2, 3]
    assert 1 <= len(entries(store)) <= 8
    assert entries(store, ".unfinished") == []
    assert sum(entry.stat().st_size for entry in entries(store)) <= store.max_bytes


def write_until_killed(store: FrameStore, path: Path, entries: Callable[..., list[Path]]) -> None:
    while True:
        store.read(path, [A, B, C], SIZE)
        for entry in entries(store):
            entry.unlink(missing_ok=True)


@pytest.mark.alone
def test_a_kill_at_any_moment_leaves_nothing_wrong(store, plain_video, assert_read, entries):
    context = multiprocessing.get_context("fork")
    for delay_s in np.random.default_rng(0).uniform(0.02, 0.3, 12):
        writer = context.Process(target=write_until_killed, args=(store, plain_video, entries))
        writer.start()
        time.sleep(delay_s)
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        assert_read(store, plain_video, [A, B, C])


@pytest.mark.alone
def test_a_writer_killed_between_two_frames_leaves_a_miss(store, plain_video, assert_read, entries):
    def write_and_die() -> None:
        whole = store_module.write_entry

        def half(file, *arguments):
            whole(file, *arguments)
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)

        store_module.write_entry = half
        store.read(plain_video, [A], SIZE)

    writer = multiprocessing.get_context("fork").Process(target=write_and_die)
    writer.start()
    writer.join()
    assert writer.exitcode == -signal.SIGKILL
    assert (len(entries(store)), len(entries(store, ".unfinished"))) == (0, 1)
    assert_read(store, plain_video, [A], hit=False)
    assert_read(store, plain_video, [A], hit=True)


def in_a_child(target, *arguments) -> None:
    def run() -> None:
        target(*arguments)
        # Not to the interpreter's end, where a measurement of coverage would want to write a file.
        os._exit(0)

    child = multiprocessing.get_context("fork").Process(target=run)
    child.start()
    child.join()
    assert child.exitcode == 0


def read_twice_and_count_warnings(assert_read: Callable[..., None], store: FrameStore, path: Path) -> None:
    messages = []
    handler = logging.Handler()
    handler.emit = messages.append
    logging.getLogger(store_module.__name__).addHandler(handler)
    for _ in range(2):
        assert_read(FrameStore(store.folder, store.max_bytes), path, [A, B], hit=False)
    assert len(messages) == 1
    assert str(store.folder) in messages[0].getMessage()


@pytest.mark.alone
def test_a_full_disk_costs_one_warning(store, plain_video, assert_read, entries):
    def read_with_little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))
        read_twice_and_count_warnings(assert_read, store, plain_video)

    in_a_child(read_with_little_room)
    assert entries(store) == entries(store, ".unfinished") == []


@pytest.mark.alone
def test_a_folder_that_cannot_be_made_costs_one_warning(plain_video, tmp_path, assert_read):
    (tmp_path / "file").touch()
    in_a_child(
        read_twice_and_count_warnings, assert_read, FrameStore(tmp_path / "file" / "store", 1 << 30), plain_video
    )


@pytest.mark.alone
def test_a_folder_for_reading_only_serves_what_it_has(plain_video, assert_read):
    def read_as_nobody(store: FrameStore, path: Path) -> None:
        if os.getuid() == 0:
            os.setresuid(65534, 65534, 65534)
        assert_read(store, path, [C], hit=True)
        read_twice_and_count_warnings(assert_read, store, path)

    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others
        folder = Path(name)
        folder.chmod(0o755)
        path = folder / "video.mp4"
        path.write_bytes(plain_video.read_bytes())
        store = FrameStore(folder / "store", 1 << 30)
        store.read(path, [C], SIZE)
        closed = [store.folder, *store.folder.iterdir()]
        for part in closed:
            part.chmod(0o555)
        in_a_child(read_as_nobody, store, path)
        for part in closed:
            part.chmod(0o755)
