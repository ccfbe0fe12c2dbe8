"""Converting bags and reading batches, against the ways in which it is usually done.

read_vs_zarr needs the packages zarr and numcodecs, read_vs_video needs av; nothing else of the project does.
"""

import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from dataset_samples import CAMERA, SIMULATION, jpeg_bag, jpegs_of, random_dataset
from measure import Result, median_pair

from dexpie_training.convert import ConvertOptions, run_convert
from dexpie_training.dataset import Dataset
from dexpie_training.reader import WindowReader

HORIZON, BATCH, ROWS, VIDEO_ROWS = 24, 256, 2000, 400
BAG_S, BAGS = 20.0, 3


@contextmanager
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="dexpie-bench-", dir=os.environ.get("BENCH_TMP")))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def _optional(*modules: str):
    """The modules, or None where one is not installed."""
    try:
        return [importlib.import_module(module) for module in modules]
    except ImportError:
        return None


def _alone(name: str, reader: WindowReader, needs: str) -> Result:
    out = reader.empty()
    ours_s = np.median([_seconds(lambda step=step: reader.batch(step, out)) for step in range(5)])
    return Result(name, "ms", float(ours_s) * 1e3, details=f"nothing to compare with: pip install {needs}")


def convert() -> Result:
    """Seconds of recording converted in a second by one core, against a loop over rosbags and OpenCV."""
    cv2.setNumThreads(1)
    with folder() as tmp:
        bags = [jpeg_bag(tmp / "bags" / f"bag{i}", BAG_S, seed=i) for i in range(BAGS)]
        seconds = np.array(
            [
                (
                    _processor_s(lambda: _ours(bags, tmp)),
                    _processor_s(lambda: _plain_loop(bags, tmp / "theirs.npz")),
                )
                for _ in range(3)
            ]
        )
        mine, other = BAG_S * BAGS / np.median(seconds, axis=0)
    with folder() as tmp:
        bag = jpeg_bag(tmp / "bag", BAG_S, seed=0, size=SIMULATION)
        simulated = BAG_S / np.median([_processor_s(lambda: _ours([bag], tmp)) for _ in range(3)])
    details = (
        f"two JPEG streams of 25 Hz, 640x480, {_mean_kb(CAMERA):.0f} kB a picture; "
        f"{simulated:.1f} x with those of the simulator, 224x224, {_mean_kb(SIMULATION):.0f} kB; "
        "seconds of recording a second of one core"
    )
    return Result(
        "convert", "x", float(mine), "rosbags, OpenCV, append", float(other), float(mine / other), details
    )


def _processor_s(function: Callable[[], object]) -> float:
    begin = time.process_time()
    function()
    return time.process_time() - begin


def _mean_kb(size: tuple[int, int]) -> float:
    return float(np.mean([len(jpeg) for jpeg in jpegs_of(0, size)])) / 1e3


def _ours(bags: list[Path], tmp: Path) -> None:
    run_convert(ConvertOptions(tuple(bags), tmp / "ours", jobs=1))
    shutil.rmtree(tmp / "ours")


def _plain_loop(bags: list[Path], out: Path) -> None:
    """The usual script: every message decoded, every picture decoded and appended, aligned at the end.

    It decodes pictures at half their size, as ours does.
    """
    from rosbags.highlevel import AnyReader

    frames: dict[str, list[np.ndarray]] = {}
    stamps: dict[str, list[int]] = {}
    values: dict[str, list[np.ndarray]] = {}
    columns: dict[str, list[np.ndarray]] = {}
    for bag in bags:
        for store in (frames, stamps, values):
            store.clear()
        with AnyReader([bag]) as reader:
            for connection, _, raw in reader.messages():
                message = reader.deserialize(raw, connection.msgtype)
                topic = connection.topic
                header = getattr(message, "header", None)
                if header is None:
                    continue
                stamps.setdefault(topic, []).append(header.stamp.sec * 10**9 + header.stamp.nanosec)
                if topic.endswith("compressed"):
                    picture = cv2.imdecode(message.data, cv2.IMREAD_REDUCED_COLOR_2)
                    picture = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), (224, 224))
                    frames.setdefault(topic, []).append(picture)
                elif topic == "/arm/joint_states":
                    values.setdefault(topic, []).append(np.array(message.position))
                elif topic == "/executor/action":
                    p, q = message.pose.position, message.pose.orientation
                    row = np.array([p.x, p.y, p.z, q.x, q.y, q.z, q.w, *message.hand])
                    values.setdefault(topic, []).append(row)
                else:
                    values.setdefault(topic, []).append(np.zeros(1))
        anchors = np.array(stamps["/camera/front/color/compressed"])
        for topic, rows in {**values, **frames}.items():
            own = np.array(stamps[topic])
            nearest = [int(np.abs(own - anchor).argmin()) for anchor in anchors]
            columns.setdefault(topic, []).append(np.stack([rows[i] for i in nearest]))
    np.savez(out, **{t.replace("/", "_"): np.concatenate(c) for t, c in columns.items() if c[0].ndim > 1})


def read_vs_zarr() -> Result:
    """Random batches of 256 windows with two views: ours against diffusion_policy's replay buffer in Zarr."""
    modules = _optional("zarr", "numcodecs")
    with folder() as tmp:
        dataset = Dataset.open(random_dataset(tmp / "ours", ROWS))
        reader = WindowReader([(dataset, 1.0)], HORIZON, BATCH, relative=False)
        if modules is None:
            return _alone("read_vs_zarr", reader, "zarr numcodecs")
        zarr, codecs = modules
        root = zarr.open_group(str(tmp / "theirs.zarr"), mode="w", zarr_format=2)
        data = root.create_group("data")
        compressor = codecs.Blosc(cname="lz4", clevel=5, shuffle=codecs.Blosc.NOSHUFFLE)
        for camera in dataset.frames:
            array = data.create_array(
                camera,
                shape=dataset.frames[camera].shape,
                chunks=(1, 224, 224, 3),
                dtype="u1",
                compressors=compressor,
            )
            array[:] = dataset.frames[camera]
        for name, values in (("action", dataset.action), ("state", dataset.tcp_pose)):
            array = data.create_array(
                name, shape=values.shape, chunks=values.shape, dtype="f4", compressors=compressor
            )
            array[:] = values
        group = zarr.open_group(str(tmp / "theirs.zarr"), mode="r")["data"]
        stored = {name: group[name] for name in ("front", "wrist")}
        numbers = {name: group[name][:] for name in ("action", "state")}
        out, step = reader.empty(), 0

        def ours() -> None:
            nonlocal step
            reader.batch(step % len(reader), out)
            step += 1

        def theirs() -> dict[str, np.ndarray]:
            """SequenceSampler.sample_sequence of each window, stacked as a collate function does."""
            samples = []
            for start in reader.rows(step % len(reader))[0].tolist():
                end = min(start + HORIZON, dataset.episode_rows(int(dataset.episode[start])).stop)
                action = np.zeros((HORIZON, 15), np.float32)
                action[: end - start] = numbers["action"][start:end]
                action[end - start :] = action[end - start - 1]
                sample = {"action": action, "state": numbers["state"][start]}
                sample |= {camera: array[start : start + 1][0] for camera, array in stored.items()}
                samples.append(sample)
            return {name: np.stack([sample[name] for sample in samples]) for name in samples[0]}

        assert np.array_equal(theirs()["front"], reader.batch(0).images["front"])
        mine, other = median_pair(ours, theirs, rounds=3)
    return Result(
        "read_vs_zarr", "ms", mine * 1e3, "Zarr replay buffer, frame chunks, lz4", other * 1e3, other / mine,
        "256 windows of 24 steps, two views of 224 px",
    )  # fmt: skip


def read_vs_video() -> Result:
    """The same batches against pictures in AV1 files with LeRobot's settings, kept open, a seek for each."""
    modules = _optional("av")
    with folder() as tmp:
        dataset = Dataset.open(random_dataset(tmp / "ours", ROWS))
        reader = WindowReader([(dataset, 1.0)], HORIZON, BATCH, relative=False)
        if modules is None:
            return _alone("read_vs_video", reader, "av")
        (av,) = modules
        for camera, frames in dataset.frames.items():
            _write_video(av, tmp / f"{camera}.mp4", frames[:VIDEO_ROWS])
        out = reader.empty()
        ours_s = min(
            _seconds(lambda step=step: reader.batch(step, out)) for step in range(min(5, len(reader)))
        )
        rows = np.random.default_rng(0).choice(VIDEO_ROWS, 64, replace=False)
        begin = time.perf_counter()
        for camera in dataset.frames:
            with av.open(str(tmp / f"{camera}.mp4")) as video:
                for row in rows.tolist():
                    _frame_at(video, row)
        theirs_s = (time.perf_counter() - begin) * BATCH / len(rows)
    return Result(
        "read_vs_video", "ms", ours_s * 1e3, "PyAV, AV1, key frame every 2", theirs_s * 1e3,
        theirs_s / ours_s,
        "256 windows, two views; the video's time is that of 64 frames a view, scaled up",
    )  # fmt: skip


def _seconds(function) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def _write_video(av, file: Path, frames: np.ndarray) -> None:
    with av.open(str(file), "w") as video:
        stream = video.add_stream("libsvtav1", rate=25, options={"g": "2", "crf": "30", "preset": "12"})
        stream.width = stream.height = frames.shape[1]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            video.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        video.mux(stream.encode())


def _frame_at(video, row: int) -> np.ndarray:
    stream = video.streams.video[0]
    wanted = round(row / 25 / stream.time_base)
    video.seek(wanted, stream=stream)
    for frame in video.decode(stream):
        if frame.pts >= wanted:
            return frame.to_ndarray(format="rgb24")
    raise ValueError(f"no frame {row}")


PEAK_PROGRAM = """
import sys, threading, time
from pathlib import Path
from dexpie_training.convert import ConvertOptions, run_convert

def anonymous_kib():
    return int(Path("/proc/self/status").read_text().partition("RssAnon:")[2].split()[0])

def watch():
    while not done.wait(0.01):
        seen.append(anonymous_kib())

seen, done = [anonymous_kib()], threading.Event()
watcher = threading.Thread(target=watch)
watcher.start()
run_convert(ConvertOptions((Path(sys.argv[1]),), Path(sys.argv[2]), jobs=1))
done.set()
watcher.join()
print(max(seen))
"""


def convert_memory() -> Result:
    """Largest memory of a conversion's own (RssAnon: without pages of files), and of ten times the bags."""
    with folder() as tmp:
        peaks = []
        for count in (1, 10):
            for i in range(count):
                jpeg_bag(tmp / f"bags{count}" / f"bag{i}", 12.0, seed=i)
            paths = [str(tmp / f"{name}{count}") for name in ("bags", "out")]
            command = [sys.executable, "-P", "-c", PEAK_PROGRAM, *paths]
            answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            peaks.append(int(answer.stdout) / 1024)
    one, ten = peaks
    return Result(
        "convert_memory", "MiB", ten, "a tenth of the bags", one, one / ten, "10 bags of 12 s; 1 is flat"
    )
