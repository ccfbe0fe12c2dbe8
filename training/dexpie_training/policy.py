"""A trained actor as a policy: absolute targets out of an observation and an absolute prefix."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dexpie_core import action_space, se3
from dexpie_core.action_space import ACTION_DIM
from dexpie_core.errors import UsageError
from dexpie_core.observation import Observation
from dexpie_training import images
from dexpie_training.checkpoint import Checkpoint, find_checkpoint
from dexpie_training.models.actor import Actor
from dexpie_training.models.observation import ObservationBatch

Array = NDArray[np.float64]
BLACK: Final = np.zeros((1, 1, 3), dtype=np.uint8)


@dataclass(frozen=True)
class PolicyInfo:
    """What a policy needs and gives, for those who drive it."""

    policy_id: str
    method: str
    task: str
    rate_hz: float
    horizon: int
    max_delay: int
    cameras: tuple[str, ...]
    state_names: tuple[str, ...]
    guidance: float  # beta of the optimality; 1 where the policy has no condition


class LoadedPolicy:
    """`dexpie_core.observation.Policy` from a checkpoint.

    Deterministic: the noise of the k-th chunk after `reset(seed)` is a function of seed and k.
    """

    def __init__(self, actor: Actor, info: PolicyInfo, device: torch.device) -> None:
        self.info = info
        self._actor = actor.eval().requires_grad_(False)
        self._device = device
        self._generator = torch.Generator()
        self.reset(0)

    @classmethod
    def load(
        cls,
        path: Path | str,
        device: str = "cpu",
        threads: int | None = None,
        which: str = "latest",
        guidance: float | None = None,
    ) -> "LoadedPolicy":
        """Load a run or checkpoint folder. `threads`: CPU threads of torch, of the whole process.

        guidance: beta of the optimality, instead of the one that the policy was trained with.

        Raises UsageError, one line, where the folder is not a checkpoint.
        """
        if threads is not None:
            torch.set_num_threads(threads)
        checkpoint = find_checkpoint(path, which)
        actor = build_actor(checkpoint, device)
        meta, dataset = checkpoint.meta, checkpoint.meta["dataset"]
        info = PolicyInfo(
            policy_id=checkpoint.policy_id,
            method=str(meta["method"]),
            task=str(dataset["task"]),
            rate_hz=float(dataset["rate_hz"]),
            horizon=actor.config.horizon,
            max_delay=actor.config.diffusion.max_delay,
            cameras=actor.config.encoder.cameras,
            state_names=actor.config.state_names,
            guidance=_guidance(actor, guidance),
        )
        return cls(actor, info, torch.device(device))

    @property
    def policy_id(self) -> str:
        """Identity that is recorded with every episode."""
        return self.info.policy_id

    @property
    def actor(self) -> Actor:
        """The network, in evaluation mode."""
        return self._actor

    def reset(self, seed: int) -> None:
        """Start a new sequence of chunks; equal seeds and observations give equal chunks."""
        self._generator.manual_seed(seed)

    def warm_up(self, calls: int = 2) -> None:
        """Run the network on zeros, so that the first real chunk is not slower; keeps the noise sequence."""
        state = self._generator.get_state()
        scene = np.zeros(len(self.info.state_names)) if self.info.state_names else None
        pictures = dict.fromkeys(self.info.cameras, BLACK)
        observation = Observation(0.0, np.zeros(6), np.eye(4), np.zeros(6), scene, pictures)
        hold = action_space.pack(np.eye(4), np.zeros(6))
        for _ in range(calls):
            self.infer(observation, np.tile(hold, (self.info.max_delay, 1)))
        self._generator.set_state(state)

    def infer(self, observation: Observation, prefix: Array) -> Array:
        """Absolute targets (H, 15) in base; the first n equal prefix (n, 15), n <= max_delay.

        The prefix is re-expressed in the TCP frame of this observation, the result taken back from it.
        """
        prefix = np.asarray(prefix, dtype=np.float64).reshape(-1, ACTION_DIM)
        n = len(prefix)
        if n >= self.info.horizon:
            raise ValueError(
                f"a prefix of {n} steps leaves nothing to predict in a chunk of {self.info.horizon}"
            )
        noise = torch.randn((1, self.info.horizon, ACTION_DIM), generator=self._generator)
        given: Tensor | None = None
        if n:
            relative = action_space.relative_from_absolute(observation.tcp_T, prefix)
            given = _tensor(relative[None]).to(self._device)
        with torch.inference_mode():
            chunk = self._actor.sample(
                self._batch(observation), noise.to(self._device), given, self.info.guidance
            )
        relative_chunk = chunk[0].to(torch.float64).cpu().numpy()
        targets = action_space.absolute_from_relative(observation.tcp_T, relative_chunk)
        targets[:, action_space.POSE_DIM :] = np.clip(targets[:, action_space.POSE_DIM :], 0.0, 1.0)
        targets[:n] = prefix  # exactly what is being commanded, without the round trip through float32
        return targets

    def _batch(self, observation: Observation) -> ObservationBatch:
        names, scene = self.info.state_names, observation.scene
        if names and (scene is None or len(scene) != len(names)):
            got = "none" if scene is None else f"{len(scene)} values"
            raise UsageError(
                f"policy {self.policy_id} needs the simulated state ({len(names)} values), "
                f"the observation has {got}; "
                "use a policy with an image encoder on this cell"
            )
        pose = se3.pose9_from_matrix(observation.tcp_T)
        state = _tensor(np.asarray(scene)[None]) if names else None
        seen = ObservationBatch(
            _tensor(observation.arm_q[None]),
            _tensor(pose[None]),
            _tensor(observation.hand[None]),
            state,
            images=self._images(observation) if self.info.cameras else None,
        )
        return seen.pin_memory().to(self._device) if self._device.type == "cuda" else seen

    def _images(self, observation: Observation) -> Tensor:
        """(1, cameras, H, W, 3) uint8, resized as those that it learnt from."""
        missing = [camera for camera in self.info.cameras if camera not in observation.images]
        if missing:
            raise UsageError(
                f"policy {self.policy_id} looks at camera {missing[0]}, the observation has "
                f"{', '.join(observation.images) or 'none'}"
            )
        size_px = self._actor.config.encoder.image_size_px
        views = [images.resize(observation.images[camera], size_px) for camera in self.info.cameras]
        return torch.from_numpy(np.stack(views)[None])


def _tensor(values: Array) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


def _guidance(actor: Actor, wanted: float | None) -> float:
    if actor.condition is None:
        if wanted not in (None, 1.0):
            raise UsageError(f"--guidance {wanted}: the policy was trained without a condition; leave it out")
        return 1.0
    return actor.config.condition.guidance if wanted is None else wanted


def build_actor(checkpoint: Checkpoint, device: str = "cpu") -> Actor:
    """The actor of a checkpoint, with its averaged weights and its normalisation."""
    where = checkpoint.folder
    actor = Actor(checkpoint.actor_config(), device)
    tensors: Mapping[str, Tensor] = checkpoint.tensors()
    try:
        actor.load_state_dict(dict(tensors))
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UsageError(f"{where}: weights do not fit the configuration ({reason})") from None
    return actor
