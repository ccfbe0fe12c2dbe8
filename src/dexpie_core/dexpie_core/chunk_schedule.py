"""Which step of which chunk is commanded at each tick, and when the next chunk is asked for.

The policy predicts chunks of H absolute targets; targets[k] of a chunk observed at tick t is meant for
tick t + k. A chunk is requested while n commanded steps remain; those steps are its prefix, imposed
during inference, and it takes over after them (paper 4.2, spec: learning.md 6). What is executed is
therefore the old chunk's commanded steps followed by the new chunk's, whatever the inference took,
as long as it took no more than n ticks.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from dexpie_core.action_space import ACTION_DIM, unpack
from dexpie_core.se3 import Array

LateRule = Literal["resume", "due", "drop"]
Command = Callable[[Array, Array], Array]
"""(last command (15,), target (15,)) -> what is commanded: the limits of the one who executes."""


@dataclass(frozen=True)
class ScheduleConfig:
    """Chunk timing, in ticks.

    late_rule: what happens to a chunk that comes after its takeover tick, the last target having been
    held meanwhile. `resume`: its first unexecuted step comes next, so the motion goes on where it
    paused; `due`: the step that belongs to this tick comes next, and the step limits blend the seam;
    `drop`: it is discarded and another one is requested from rest.
    """

    horizon: int = 24
    max_delay: int = 4
    execution_horizon: int = 20
    late_rule: LateRule = "resume"
    synchronous: bool = False
    request_timeout: int = 75

    def __post_init__(self) -> None:
        if not 0 < self.max_delay < self.horizon:
            raise ValueError(f"schedule.max_delay {self.max_delay} must be in 1..{self.horizon - 1}")
        low, high = self.max_delay, self.horizon - self.max_delay
        if not low <= self.execution_horizon <= high:
            raise ValueError(f"schedule.execution_horizon {self.execution_horizon} must be in {low}..{high}")
        if self.request_timeout <= self.max_delay:
            raise ValueError("schedule.request_timeout must be larger than schedule.max_delay")

    @property
    def prefix_length(self) -> int:
        """Steps that are consumed between request and takeover."""
        return 0 if self.synchronous else self.max_delay

    @property
    def last_index(self) -> int:
        """Index at which the next chunk takes over."""
        return self.prefix_length + self.execution_horizon


@dataclass(frozen=True)
class PrefixRequest:
    """A chunk is wanted for the observation of `tick`; prefix (n, 15) is commanded at tick, tick + 1, ..."""

    epoch: int
    sequence: int
    tick: int
    prefix: Array


@dataclass(frozen=True)
class Chunk:
    """An answer to a request: absolute targets (H, 15); targets[k] is meant for tick + k.

    No targets (0, 15) decline the request: the policy has no observation of that time, ask it again.
    """

    epoch: int
    sequence: int
    tick: int
    targets: Array

    @classmethod
    def declining(cls, request: PrefixRequest) -> "Chunk":
        """No targets for this request."""
        return cls(request.epoch, request.sequence, request.tick, np.zeros((0, ACTION_DIM)))

    @property
    def declines(self) -> bool:
        return not len(self.targets)


@dataclass(frozen=True)
class Acceptance:
    """Whether a chunk was taken, and why not."""

    accepted: bool
    reason: str = ""


@dataclass(frozen=True)
class ScheduleStep:
    """What the schedule says for one tick. target (15,) is None where the last command is to be held."""

    target: Array | None
    request: PrefixRequest | None
    starved: bool = False
    chunk_sequence: int = 0
    chunk_step: int = -1


@dataclass(frozen=True)
class _Pending:
    request: PrefixRequest
    from_rest: bool

    @property
    def due_tick(self) -> int:
        return self.request.tick + len(self.request.prefix)


class ChunkSchedule:
    """Driven once a tick by `step`; chunks come in through `accept` at any time between two ticks."""

    def __init__(self, config: ScheduleConfig | None = None) -> None:
        self.config = config or ScheduleConfig()
        self.counters = {
            "requests": 0,
            "late_chunks": 0,
            "starved_ticks": 0,
            "stale_chunks": 0,
            "refused_chunks": 0,
            "declined_requests": 0,
            "request_timeouts": 0,
        }
        self._sequence = 0
        self.reset(epoch=0)

    def reset(self, epoch: int) -> None:
        """Forget every chunk and request: nothing computed for an older epoch is executed."""
        self.epoch = epoch
        self._current: Chunk | None = None
        self._next: Chunk | None = None
        self._pending: _Pending | None = None
        self._held_since_due = 0

    @property
    def running(self) -> bool:
        """Whether a chunk of this epoch is being executed."""
        return self._current is not None

    def awaits(self, tick: int) -> bool:
        """Whether the chunk that takes over at this tick, in the middle of the motion, is still missing."""
        pending = self._pending
        if pending is None or pending.from_rest:  # as every request of the synchronous mode is
            return False
        return self._next is None and tick == pending.due_tick

    def accept(self, chunk: Chunk) -> Acceptance:
        """Take the chunk that answers the pending request; refuse every other one, with the reason."""
        pending = self._pending
        if chunk.epoch != self.epoch:
            return self._refuse("stale_chunks", f"chunk of epoch {chunk.epoch}, now {self.epoch}")
        if pending is None or self._next is not None or chunk.sequence != pending.request.sequence:
            return self._refuse("stale_chunks", f"chunk {chunk.sequence} answers no open request")
        if chunk.tick != pending.request.tick:
            return self._refuse("refused_chunks", f"chunk of tick {chunk.tick}, asked {pending.request.tick}")
        if chunk.declines:
            self._pending = None
            return self._refuse("declined_requests", f"the policy declined request {chunk.sequence}")
        targets = np.asarray(chunk.targets, dtype=np.float64)
        if targets.shape != (self.config.horizon, ACTION_DIM) or not np.all(np.isfinite(targets)):
            return self._refuse("refused_chunks", f"chunk has shape {targets.shape} or is not finite")
        try:
            unpack(targets)
        except ValueError as error:
            return self._refuse("refused_chunks", str(error))
        self._next = replace(chunk, targets=targets)
        return Acceptance(True)

    def _refuse(self, counter: str, reason: str) -> Acceptance:
        self.counters[counter] += 1
        return Acceptance(False, reason)

    def step(
        self,
        tick: int,
        last_command: ArrayLike,
        may_request: bool = True,
        command: Command = lambda last, target: target,
    ) -> ScheduleStep:
        """The target of this tick, and a request if one is due; last_command is (15,), absolute.

        may_request is False while there is no fresh observation to compute a chunk from. The prefix of a
        request is what will be commanded, so it goes through `command` as the targets themselves will.
        """
        self._take_over(tick)
        target, index, sequence = self._target(tick)
        last = np.asarray(last_command, dtype=np.float64)
        request = self._request(tick, last, command) if may_request else None
        starved = False
        if target is None and self._pending is not None:
            self._held_since_due += tick >= self._pending.due_tick
            starved = not self._pending.from_rest and not self.config.synchronous
            self.counters["starved_ticks"] += starved
        return ScheduleStep(target, request, starved, sequence, index)

    def _take_over(self, tick: int) -> None:
        pending, chunk = self._pending, self._next
        if pending is None:
            return
        if chunk is None:
            if tick - pending.request.tick >= self.config.request_timeout:
                self.counters["request_timeouts"] += 1
                self._pending = self._current = None
            return
        if tick < pending.due_tick:
            return
        late = tick > pending.due_tick
        if late and not pending.from_rest:
            self.counters["late_chunks"] += 1
        # From rest nothing was skipped: the prefix says "holding", and holding is what happened.
        resume = pending.from_rest or self.config.late_rule == "resume"
        self._pending = self._next = None
        if late and self.config.late_rule == "drop" and not pending.from_rest:
            self._current = None
            return
        shift = self._held_since_due if resume else 0
        self._current = replace(chunk, tick=chunk.tick + shift)

    def _target(self, tick: int) -> tuple[Array | None, int, int]:
        chunk = self._current
        if chunk is None:
            return None, -1, 0
        index = tick - chunk.tick
        # Past the takeover index a late successor leaves the rest of the chunk to be used up first.
        end = self.config.last_index if self.config.synchronous else self.config.horizon
        if index >= end:
            if self._pending is None:
                self._current = None
            return None, -1, 0
        return chunk.targets[index], index, chunk.sequence

    def _request(self, tick: int, last_command: Array, command: Command) -> PrefixRequest | None:
        if self._pending is not None:
            return None
        n = self.config.prefix_length
        chunk = self._current
        from_rest = chunk is None
        if chunk is None:
            prefix = np.repeat(last_command[None], n, axis=0)
        else:
            index = tick - chunk.tick
            if self.config.synchronous or index < self.config.last_index - n:
                return None
            prefix = self._commanded(chunk.targets[index : index + n], last_command, command)
        self._sequence += 1
        self.counters["requests"] += 1
        self._held_since_due = 0
        request = PrefixRequest(self.epoch, self._sequence, tick, prefix)
        self._pending = _Pending(request, from_rest)
        return request

    def _commanded(self, targets: Array, last_command: Array, command: Command) -> Array:
        """Commands (n, 15) of the next n ticks: what remains of a chunk, then holding."""
        commands, last = [], last_command
        for target in targets:
            last = command(last, target)
            commands.append(last)
        held = [last] * (self.config.prefix_length - len(commands))
        return np.array(commands + held).reshape(-1, ACTION_DIM)
