"""The executor: owns the tick, the mode and the last command; the same object runs under ROS and in lockstep.

Every tick it takes what the policy or the operator wants, refuses what must not be executed, clamps
the rest to one step from the last command, and says what to send and what to record.
"""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from dexpie_core.action_space import pack
from dexpie_core.alignment import AlignmentBounds
from dexpie_core.chunk_schedule import Acceptance, Chunk, ChunkSchedule, PrefixRequest
from dexpie_core.console_watch import ConsoleWatch
from dexpie_core.executor_io import ExecutorConfig, HumanAction, ModeReply, Source, TickOutput
from dexpie_core.limits import Clamp, CommandRefused, check_action, limit_step, step_sizes
from dexpie_core.modes import (
    DRIVING_MODES,
    EVENT_FOR_REQUEST,
    POLICY_MODES,
    Mode,
    ModeEvent,
    next_mode,
)
from dexpie_core.se3 import Array

__all__ = ["Executor", "ExecutorConfig", "HumanAction", "ModeReply", "Source", "TickOutput"]


@dataclass(frozen=True)
class _Wish:
    """What this tick's driver wants, before the limits."""

    source: Source = Source.HOLD
    target: Array | None = None
    request: PrefixRequest | None = None
    starved: bool = False
    chunk_sequence: int = 0
    chunk_step: int = -1


_EPOCH_KEEPERS = frozenset({ModeEvent.ALIGN, ModeEvent.CANCEL, ModeEvent.CHUNK_READY})


class Executor:
    """Pure decision logic of the control loop. Inputs come in through offer_*, time through `tick`."""

    def __init__(self, config: ExecutorConfig | None = None) -> None:
        self.config = config or ExecutorConfig()
        self.schedule = ChunkSchedule(self.config.schedule)
        self.counters: Counter[str] = Counter()
        self.mode = Mode.IDLE
        self.epoch = 0
        self.tick_count = 0
        self.last_command: Array | None = None
        self.reason = "start"
        self._state_stamp_s: float | None = None
        self._robot_ready = False
        self._not_ready = "its state is not known"
        self._human: HumanAction | None = None
        self._human_executed: Array | None = None
        self._coupled = True
        self._console = ConsoleWatch(self.config.console_lost_s)
        self._switched_at_s = 0.0
        self._mode_changed = True

    def reset(self, command: ArrayLike) -> None:
        """Begin anew from a known pose (15,): IDLE, fresh epoch, nothing queued."""
        self.last_command = check_action(command)
        self._robot_ready = True
        self._human = None
        self._enter(Mode.IDLE, new_epoch=True, reason="reset", now_s=0.0)

    def request_mode(self, event: ModeEvent, now_s: float, reason: str = "") -> ModeReply:
        """Apply an event of the transition table, or refuse it with the reason."""
        target = next_mode(self.mode, event)
        refusal = ""
        if target is None:
            refusal = f"{event.value} is not possible in {self.mode.name}"
        elif self.last_command is None or (target is not Mode.FAULT and not self._robot_ready):
            refusal = f"the robot is not ready: {self._not_ready}"
        elif target in DRIVING_MODES:
            refusal = self._console.loss(now_s) or self._human_refusal(event, now_s)
        if refusal or target is None:
            self.counters["mode_requests_refused"] += 1
            return ModeReply(False, self.mode, refusal)
        reason = reason or event.value
        if event is ModeEvent.RECLUTCH:
            self._reclutch(reason, now_s)
        else:
            self._enter(target, event not in _EPOCH_KEEPERS, reason, now_s)
        return ModeReply(True, self.mode)

    def request_target_mode(self, target: Mode, now_s: float, reason: str = "") -> ModeReply:
        """Apply the event that leads from the present mode to `target` (service /executor/set_mode)."""
        event = EVENT_FOR_REQUEST.get((self.mode, target))
        if event is None:
            self.counters["mode_requests_refused"] += 1
            return ModeReply(False, self.mode, f"{target.name} cannot be asked for in {self.mode.name}")
        return self.request_mode(event, now_s, reason)

    @property
    def awaits_chunk(self) -> bool:
        """Whether the next tick lacks the chunk that takes over in it: worth a moment, else it is starved."""
        return self.schedule.awaits(self.tick_count + 1)

    def offer_chunk(self, chunk: Chunk) -> Acceptance:
        """A chunk arrived from the policy."""
        return self.schedule.accept(chunk)

    def offer_human(self, human: HumanAction) -> None:
        """The newest wish of the operator; actions of another epoch only tell the misalignment."""
        self._human = human

    def offer_console(self, now_s: float, leaving: bool = False) -> None:
        """A life sign of the operator's console, or its goodbye: nothing drives on without it."""
        if not leaving:
            self._console.hear(now_s)
            return
        self._console.leave()
        if self.mode in DRIVING_MODES:
            self._apply(ModeEvent.STOP, now_s, "console left")

    def offer_state(self, stamp_s: float, tcp_T: ArrayLike, hand: ArrayLike, not_ready: str = "") -> None:
        """Measured TCP (4, 4) and hand (6,), and why arm or hand do not follow commands, empty where they do.

        When both get ready the measured state becomes the last command.
        """
        self._state_stamp_s, self._not_ready = stamp_s, not_ready
        if not_ready:
            if self._robot_ready and self.mode is not Mode.IDLE:
                self._apply(ModeEvent.FAIL, stamp_s, not_ready)
            self._robot_ready = False
        elif not self._robot_ready:
            measured = pack(tcp_T, np.clip(np.asarray(hand, dtype=np.float64), 0.0, 1.0))
            try:
                self.last_command = check_action(measured)
            except CommandRefused as error:
                self._not_ready = f"its measured state cannot be: {error}"
                return
            self._robot_ready = True
            self._enter(self.mode, new_epoch=True, reason="arm and hand are ready", now_s=stamp_s)

    def tick(self, now_s: float) -> TickOutput:
        """One control period: decide the command to send now (`now_s` on the clock of the stamps)."""
        self.tick_count += 1
        if self.last_command is None:
            return self._output(_Wish(), None, Clamp.NONE)
        if not self._robot_ready:
            return self._output(_Wish(), self.last_command, Clamp.NONE)
        if self.mode in DRIVING_MODES and (loss := self._console.loss(now_s)):
            self._apply(ModeEvent.STOP, now_s, loss)
        wish = self._wish(now_s)
        command, clamped, wish = self._bounded(wish, now_s)
        self.last_command = command
        return self._output(wish, command, clamped)

    def _wish(self, now_s: float) -> _Wish:
        if self.mode in POLICY_MODES:
            return self._policy_wish(now_s)
        if self.mode is Mode.HUMAN:
            return self._human_wish(now_s)
        return _Wish()

    def _policy_wish(self, now_s: float) -> _Wish:
        assert self.last_command is not None
        # Without a fresh observation no chunk may be computed; the present one is still valid.
        stale = self._state_is_stale(now_s)
        self.counters["stale_state_ticks"] += stale
        step = self.schedule.step(self.tick_count, self.last_command, not stale, self._commanded)
        if self.mode is Mode.RELEASING and self.schedule.running:
            self._apply(ModeEvent.CHUNK_READY, now_s, "first chunk of the epoch")
        source = Source.HOLD if step.target is None else Source.POLICY
        return _Wish(source, step.target, step.request, step.starved, step.chunk_sequence, step.chunk_step)

    def _commanded(self, previous: Array, target: Array) -> Array:
        """What a target of the policy will become: the limits' command, or holding where it is refused."""
        try:
            return limit_step(previous, check_action(target), self.config.limits).command
        except CommandRefused:
            return previous

    def _human_wish(self, now_s: float) -> _Wish:
        human = self._human
        fresh = human is not None and human.epoch == self.epoch
        newest_s = human.stamp_s if human is not None and fresh else self._switched_at_s
        if now_s - newest_s > self.config.stale_human_s:
            self._apply(ModeEvent.FAIL, now_s, f"no fresh tracker or glove for {now_s - newest_s:.2f} s")
            return _Wish()
        if not self._coupled:
            return _Wish()
        # At the switch T_ee(t0) is what the human wants, so the first tick need not wait for the follower.
        return _Wish(Source.HUMAN, human.action if human is not None and fresh else self.last_command)

    def _bounded(self, wish: _Wish, now_s: float) -> tuple[Array, Clamp, _Wish]:
        assert self.last_command is not None
        if wish.target is None:
            return self.last_command, Clamp.NONE, wish
        try:
            target = check_action(wish.target)
        except CommandRefused:
            self.counters["refused_commands"] += 1
            return self.last_command, Clamp.NONE, replace(wish, source=Source.HOLD)
        if wish.source is Source.HUMAN and self._jumped(target, now_s):
            return self.last_command, Clamp.NONE, _Wish()
        limited = limit_step(self.last_command, target, self.config.limits)
        self.counters["clamped_commands"] += limited.clamped != Clamp.NONE
        return limited.command, limited.clamped, wish

    def _jumped(self, target: Array, now_s: float) -> bool:
        # Only checked targets come here: a broken one is refused and counted, it is no jump.
        previous, self._human_executed = self._human_executed, target
        assert previous is not None
        jump_m, jump_rad, _ = step_sizes(previous, target)
        if jump_m <= self.config.max_human_jump_m and jump_rad <= self.config.max_human_jump_rad:
            return False
        reason = f"tracker jumped by {jump_m * 100:.1f} cm, {np.degrees(jump_rad):.0f} deg"
        self._apply(ModeEvent.FAIL, now_s, reason)
        return True

    def _human_refusal(self, event: ModeEvent, now_s: float) -> str:
        """Why the operator cannot be coupled to the robot by this event; empty where it can, or is not."""
        human, config = self._human, self.config
        if event is ModeEvent.RECLUTCH and now_s - self._switched_at_s < config.reclutch_min_s:
            return f"the coupling was changed {now_s - self._switched_at_s:.2f} s ago: the same key twice?"
        couples = event is ModeEvent.TAKEOVER or (event is ModeEvent.RECLUTCH and not self._coupled)
        if not couples:
            return ""
        if human is None or now_s - human.stamp_s > config.stale_human_s:
            return "no fresh tracker and glove"
        bounds = AlignmentBounds(config.takeover_max_rotation_rad, config.takeover_max_hand)
        if event is ModeEvent.TAKEOVER:
            return bounds.refusal(human.misalignment)
        # The wrist is turned back on purpose while the coupling is paused; fingers are absolute.
        hand = bounds.hand_refusal(human.misalignment)
        return f"not aligned: {hand}" if hand else ""

    def _reclutch(self, reason: str, now_s: float) -> None:
        coupled = not self._coupled
        words = "coupled again" if coupled else "coupling paused"
        self._enter(Mode.HUMAN, new_epoch=True, reason=f"{words} ({reason})", now_s=now_s)
        self._coupled = coupled

    def _state_is_stale(self, now_s: float) -> bool:
        return self._state_stamp_s is not None and now_s - self._state_stamp_s > self.config.stale_state_s

    def _apply(self, event: ModeEvent, now_s: float, reason: str) -> None:
        target = next_mode(self.mode, event)
        if target is not None:
            self._enter(target, event not in _EPOCH_KEEPERS, reason, now_s)

    def _enter(self, mode: Mode, new_epoch: bool, reason: str, now_s: float) -> None:
        self.mode, self.reason = mode, reason
        self._mode_changed = True
        self._switched_at_s = now_s
        if new_epoch:
            self.epoch += 1
            self.schedule.reset(self.epoch)
            self._human_executed = self.last_command
            self._coupled = True

    def _output(self, wish: _Wish, command: Array | None, clamped: Clamp) -> TickOutput:
        changed, self._mode_changed = self._mode_changed, False
        return TickOutput(
            tick=self.tick_count,
            command=command,
            source=wish.source,
            mode=self.mode,
            epoch=self.epoch,
            request=wish.request,
            policy_wish=wish.target if wish.source is Source.POLICY else None,
            clamped=clamped,
            starved=wish.starved,
            chunk_sequence=wish.chunk_sequence,
            chunk_step=wish.chunk_step,
            mode_changed=changed,
            reason=self.reason,
        )
