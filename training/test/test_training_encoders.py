"""The state encoder: which columns are what, the observed TCP frame, statistics."""

import numpy as np
import pytest
import torch

from dexpie_core import se3
from dexpie_training.config import EncoderConfig
from dexpie_training.models.encoders import StateEncoder, StateLayout, to_frame
from dexpie_training.models.observation import ObservationBatch
from dexpie_training.normalisation import Standardiser

NAMES = (
    *(f"bottle.{c}" for c in ("x", "y", "z", "ax", "ay", "az")),
    *(f"platform.{c}" for c in "xyz"),
    *(f"tcp_bottle.{c}" for c in "xyz"),
    "drawer.opening",
)


def batch(count: int = 6, seed: int = 0) -> ObservationBatch:
    rng = np.random.default_rng(seed)
    T = se3.make(se3.rotation_from_rotvec(rng.normal(size=(count, 3))), rng.normal(size=(count, 3)))

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array.astype(np.float32))

    return ObservationBatch(
        tensor(rng.normal(size=(count, 6))),
        tensor(se3.pose9_from_matrix(T)),
        tensor(rng.uniform(size=(count, 6))),
        tensor(rng.normal(size=(count, len(NAMES)))),
    )


def test_layout_is_read_off_the_names() -> None:
    layout = StateLayout.from_names(NAMES)
    assert layout.points == (0, 6) and layout.directions == (3,) and layout.scalars == (12,)
    pose = tuple(f"ball.{c}" for c in ("x", "y", "z", "r1x", "r1y", "r1z", "r2x", "r2y", "r2z"))
    assert StateLayout.from_names(pose) == StateLayout((0,), (3, 6), ())


def test_points_and_directions_in_the_tcp_frame() -> None:
    """Against dexpie_core's transforms: a point moves with the frame, a direction only turns."""
    data = batch()
    points, directions = torch.randn(6, 2, 3), torch.randn(6, 1, 3)
    seen_points, seen_directions = to_frame(data.tcp, points, directions)
    inverse = se3.invert(se3.matrix_from_pose9(data.tcp.numpy()))
    for b in range(6):
        expected = inverse[b, :3, :3] @ points[b].double().numpy().T + inverse[b, :3, 3:]
        np.testing.assert_allclose(seen_points[b].numpy().T, expected, atol=1e-5)
        turned = inverse[b, :3, :3] @ directions[b].double().numpy().T
        np.testing.assert_allclose(seen_directions[b].numpy().T, turned, atol=1e-5)


@pytest.mark.parametrize("in_base", [True, False])
@pytest.mark.parametrize("in_tcp", [True, False])
def test_what_is_seen_is_configured(in_base: bool, in_tcp: bool) -> None:
    config = EncoderConfig(proprioception=("hand",), objects_in_base=in_base, objects_in_tcp=in_tcp)
    encoder = StateEncoder(config, NAMES)
    assert encoder.raw_features(batch()).shape == (6, 6 + 9 * (in_base + in_tcp) + 1)
    assert encoder(batch()).shape == (6, config.feature_dim)


def test_an_encoder_that_sees_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="sees nothing"):
        StateEncoder(EncoderConfig(proprioception=()), ())


def test_features_do_not_change_when_cell_and_objects_move_together() -> None:
    """With the TCP frame alone, the same scene elsewhere on the table looks the same."""
    config = EncoderConfig(proprioception=("hand",), objects_in_base=False)
    encoder, data = StateEncoder(config, NAMES[:9]), batch()
    assert data.state is not None
    move = se3.make(se3.rotation_from_rotvec([0, 0, 0.7]), [0.3, -0.2, 0.1])
    moved_tcp = se3.pose9_from_matrix(move @ se3.matrix_from_pose9(data.tcp.numpy()))
    vectors = data.state[:, :9].double().numpy().reshape(-1, 3, 3) @ move[:3, :3].T
    vectors[:, [0, 2]] += move[:3, 3]
    moved = ObservationBatch(
        data.arm_q,
        torch.from_numpy(moved_tcp).float(),
        data.hand,
        torch.from_numpy(vectors.reshape(-1, 9)).float(),
    )
    here = ObservationBatch(data.arm_q, data.tcp, data.hand, data.state[:, :9])
    torch.testing.assert_close(encoder.raw_features(moved), encoder.raw_features(here), atol=1e-5, rtol=0)


def test_standardiser_by_hand() -> None:
    """Mean 2, deviation 1; a feature that never moves is not blown up; far values are clipped."""
    standardiser = Standardiser(2, floor=0.5)
    standardiser.fit(torch.tensor([[1.0, 7.0], [3.0, 7.0]]))
    out = standardiser(torch.tensor([[2.0, 7.0], [4.0, 8.0], [100.0, 7.0]]))
    assert out.tolist() == [[0.0, 0.0], [2.0, 2.0], [5.0, 0.0]]


def test_noise_is_for_training_only() -> None:
    encoder = StateEncoder(EncoderConfig(noise=0.5), NAMES)
    encoder.eval()
    assert torch.equal(encoder(batch()), encoder(batch()))
    encoder.train()
    assert not torch.equal(encoder(batch()), encoder(batch()))
