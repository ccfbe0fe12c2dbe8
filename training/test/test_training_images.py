"""Pictures from bytes to what the networks see: size, colour, the two paths, refusals."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from dexpie_training import images
from dexpie_training.hashing import frames_sha256


def scene(height: int, width: int) -> np.ndarray:
    """Smooth colours, (h, w, 3) rgb: red grows to the right, green downwards."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([255 * x / width, 255 * y / height, np.full(x.shape, 60)], axis=-1).astype(np.uint8)


def jpeg(pixels: np.ndarray) -> np.ndarray:
    return cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].reshape(-1)


@pytest.mark.parametrize("size", [(224, 224), (240, 320), (447, 600), (480, 640), (1080, 1920), (1800, 1800)])
def test_both_paths_show_the_scene_at_every_reduction(size: tuple[int, int]) -> None:
    """No reduction, halves, quarters, eighths: where things are does not move, and colours stay."""
    pixels, expected = scene(*size), scene(224, 224)
    from_jpeg = images.from_jpeg(jpeg(pixels))
    message = SimpleNamespace(
        encoding="bgr8", height=size[0], width=size[1], step=3 * size[1],
        data=np.ascontiguousarray(pixels[..., ::-1]).tobytes(),
    )  # fmt: skip
    message.data = np.frombuffer(message.data, np.uint8)
    from_raw = images.from_raw(message)
    for found in (from_jpeg, from_raw):
        assert (found.height, found.width) == size and found.pixels.shape == (224, 224, 3)
        difference = np.abs(found.pixels.astype(int) - expected)
        assert difference.mean() < 1.5 and difference.max() <= 12


def test_what_has_its_size_is_taken_as_it_is() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    assert np.array_equal(images.resize(pixels), pixels)
    decoded = cv2.cvtColor(cv2.imdecode(jpeg(pixels), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert np.array_equal(images.from_jpeg(jpeg(pixels)).pixels, decoded)


def test_reduction_averages_where_plain_bilinear_skips() -> None:
    """Negative: a checkerboard of single pixels is grey from afar; bilinear alone sees squares."""
    board = np.indices((480, 640)).sum(axis=0) % 2 * np.uint8(255)
    pixels = np.repeat(board[..., None], 3, axis=2).astype(np.uint8)
    plain = cv2.resize(pixels, (224, 224), interpolation=cv2.INTER_LINEAR)
    assert images.resize(pixels).std() < 2.0 < 10.0 < plain.std()


def test_the_hash_of_a_dataset_s_frames_tells_every_change(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)
    np.save(tmp_path / "a.npy", frames)
    before = frames_sha256(tmp_path / "a.npy")()
    assert frames_sha256(tmp_path / "a.npy")() == before
    for row in range(3):
        changed = frames.copy()
        changed[row, 3, 3, 2] ^= 1
        np.save(tmp_path / "b.npy", changed)
        assert frames_sha256(tmp_path / "b.npy")() != before
    np.save(tmp_path / "c.npy", frames[[1, 0, 2]])
    assert frames_sha256(tmp_path / "c.npy")() != before


@pytest.mark.parametrize("size", [(224, 224), (240, 320), (481, 643), (1080, 1920), (1800, 1800)])
@pytest.mark.parametrize("sampling", [0x111111, 0x211111, 0x221111])
def test_both_decoders_give_the_same_pixels(size: tuple[int, int], sampling: int) -> None:
    pytest.importorskip("simplejpeg", reason="an optional, faster decoder")
    noise = np.random.default_rng(0).integers(-20, 20, (*size, 3))
    pixels = np.clip(scene(*size) + noise, 0, 255).astype(np.uint8)
    flags = [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    data = cv2.imencode(".jpg", pixels, flags)[1].reshape(-1)
    for factor in (1, 2, 4, 8):
        by_opencv = images._by_opencv(data, factor)
        by_simplejpeg = images._by_simplejpeg(data, *size, factor)
        assert by_opencv is not None and by_simplejpeg is not None
        np.testing.assert_array_equal(by_simplejpeg, by_opencv)


def test_a_picture_whose_content_is_damaged_is_refused() -> None:
    pytest.importorskip("simplejpeg", reason="OpenCV shows such a picture, half of it grey")
    noise = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    damaged = jpeg(noise)
    middle = len(damaged) // 2
    damaged[middle : middle + 2] = 0xFF, 0xD0  # a marker that does not belong there
    with pytest.raises(
        ValueError, match=r"bytes of a JPEG image are damaged: .*premature end of data segment"
    ):
        images.from_jpeg(damaged)
    extra = np.concatenate([jpeg(noise)[:-2], np.zeros(7, np.uint8), jpeg(noise)[-2:]])
    np.testing.assert_array_equal(images.from_jpeg(extra).pixels, images.from_jpeg(jpeg(noise)).pixels)


def test_without_the_faster_decoder_pixels_and_refusals_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = jpeg(scene(480, 640))
    expected = images.from_jpeg(whole).pixels
    monkeypatch.setattr(images, "decode_jpeg", None)
    np.testing.assert_array_equal(images.from_jpeg(whole).pixels, expected)
    test_what_is_no_picture_is_refused()


def test_what_is_no_picture_is_refused() -> None:
    whole = jpeg(scene(480, 640))
    for wrong in (whole[:0], np.zeros(100, np.uint8), whole[:300], whole[:2], whole[: len(whole) // 2]):
        with pytest.raises(ValueError, match="bytes are not a JPEG image"):
            images.from_jpeg(wrong)
