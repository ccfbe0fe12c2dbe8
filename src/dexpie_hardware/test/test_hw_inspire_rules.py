"""The rules of the hand driver: what is sent, in which order, what holds the hand, the state of the link."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexpie_core.limits import CommandRefused
from dexpie_hardware.inspire import codes, protocol
from dexpie_hardware.inspire.config import HandParameters
from dexpie_hardware.inspire.cycle import MAX_SKIPPED, CycleScheduler, set_up_requests
from dexpie_hardware.inspire.faults import SETTLE_S, STAY_S, FaultRules, Recovery, Verdict, stay_targets
from dexpie_hardware.inspire.link import TRANSITIONS, Link, LinkEvent, LinkState
from dexpie_hardware.inspire.port import adapter_latency_ms
from dexpie_hardware.inspire.protocol import HOLD, Register, Request
from dexpie_hardware.inspire.targets import MotionGate, changed, counts_of, merged
from dexpie_hardware.inspire.timing import cycle_s, transaction_s

COOL = (40,) * 6
FINE = (0,) * 6
counts = st.tuples(*[st.integers(0, 1000)] * 6)


def test_commands_become_counts() -> None:
    assert counts_of([0.0, 1.0, 0.5, 0.2504, 0.2506, 0.9996]) == (0, 1000, 500, 250, 251, 1000)


@pytest.mark.parametrize(
    "position",
    [[0.5] * 5, [0.5] * 7, [[0.5] * 6], [np.nan, *[0.5] * 5], [np.inf, *[0.5] * 5], [-1e-9, *[0.5] * 5],
     [*[0.5] * 5, 1.001], [500] * 6],
)  # fmt: skip
def test_a_bad_command_is_refused(position: object) -> None:
    with pytest.raises(CommandRefused):
        counts_of(position)  # type: ignore[arg-type]


def test_only_channels_beyond_the_dead_band_are_written() -> None:
    sent = (500, 500, 500, 500, 1, 999)
    assert changed(sent, (502, 503, 498, 497, 0, 1000), 2) == (HOLD, 503, HOLD, 497, 0, 1000)
    assert changed(sent, (501, 500, 500, 499, 1, 999), 2) is None
    assert changed((HOLD,) * 6, (501, 500, 500, 499, 1, 999), 2) == (501, 500, 500, 499, 1, 999)
    assert merged(sent, (HOLD, 503, HOLD, 497, 0, 1000)) == (500, 503, 500, 497, 0, 1000)


@given(counts, st.lists(counts, max_size=5), st.integers(0, 10))
def test_what_was_sent_stays_within_the_dead_band_of_what_is_wanted(
    start: tuple[int, ...], wishes: list[tuple[int, ...]], band: int
) -> None:
    sent = start
    for wanted in wishes:
        written = changed(sent, wanted, band)
        sent = sent if written is None else merged(sent, written)
        assert max(abs(a - b) for a, b in zip(sent, wanted, strict=True)) <= band


def test_the_gate_refuses_the_epoch_of_before_a_hold() -> None:
    gate = MotionGate()
    assert gate.passes(7)
    gate.hold("stall")
    assert not gate.passes(7)
    assert not gate.passes(8)
    assert not gate.waits_for_new_epoch
    gate.hold("")
    assert gate.waits_for_new_epoch
    assert not gate.passes(8)
    gate.hold("")  # said again every cycle
    assert not gate.passes(8)
    assert gate.passes(9)
    assert not gate.waits_for_new_epoch
    assert gate.passes(9)


def test_the_gate_opens_for_the_present_epoch_on_the_operators_word() -> None:
    gate = MotionGate()
    gate.hold("not connected yet")
    gate.hold("")
    assert gate.passes(3)  # nobody commanded before
    gate.hold("stall")
    assert not gate.passes(3)
    gate.hold("")
    assert not gate.passes(3)
    gate.accept_present()
    assert gate.passes(3)


def _drained(scheduler: CycleScheduler, times_s: list[float]) -> list[Request]:
    requests = []
    for now_s in times_s:
        request = scheduler.next(now_s)
        if request is None:
            break
        requests.append(request)
    return requests


def _cycle(scheduler: CycleScheduler, each_s: float, writes: list[Request] | None = None) -> list[str]:
    scheduler.begin(0.0, writes or [])
    requests = _drained(scheduler, [k * each_s for k in range(10)])
    return [request.register.name for request in requests]


FAST = ["ANGLE_ACT", "FORCE_ACT", "STATUS"]
SLOW = ["ERROR", "CURRENT", "TEMP"]


def test_a_cycle_writes_reads_and_takes_the_slow_registers_in_turn() -> None:
    scheduler = CycleScheduler(1, 0.04, 115200)
    write = protocol.write(1, Register.ANGLE_SET, [500] * 6)
    for k in range(7):
        assert _cycle(scheduler, 0.0066, [write]) == ["ANGLE_SET", *FAST, SLOW[k % 3]]
    assert _cycle(scheduler, 0.0066) == [*FAST, "CURRENT"]


def test_a_late_cycle_leaves_the_slow_register_out_but_not_for_ever() -> None:
    scheduler = CycleScheduler(1, 0.04, 115200)
    for _ in range(2):
        for _ in range(MAX_SKIPPED):
            assert _cycle(scheduler, 0.011) == FAST
        assert len(_cycle(scheduler, 0.011)) == 4
    assert _cycle(scheduler, 0.0105) == [*FAST, "TEMP"]  # 31.5 ms gone: it just fits
    scheduler.look_at_errors()
    assert _cycle(scheduler, 0.02) == [*FAST, "ERROR"]


def test_errors_are_read_first_when_something_has_happened_but_not_alone() -> None:
    scheduler = CycleScheduler(1, 0.04, 115200)
    slow = []
    for k in range(8):
        if k >= 1:
            scheduler.look_at_errors()
        slow.append(_cycle(scheduler, 0.0066)[-1])
    assert slow == ["ERROR", "ERROR", "CURRENT", "ERROR", "TEMP", "ERROR", "ERROR", "ERROR"]


def test_a_block_replaces_all_reads() -> None:
    scheduler = CycleScheduler(1, 0.02, 115200)
    scheduler.block = True
    scheduler.begin(0.0, [])
    request = scheduler.next(0.0)
    assert request is not None
    assert request.is_block
    assert scheduler.next(0.001) is None


def test_the_limits_are_set_before_anything_else() -> None:
    requests = set_up_requests(1, [500] * 6, [1000] * 6)
    assert [r.register.name for r in requests] == ["FORCE_SET", "SPEED_SET", "ANGLE_SET", *SLOW]
    assert [bool(r.written) for r in requests] == [True, True, False, False, False, False]


def test_every_error_but_a_stall_holds_and_a_stall_may_be_cleared_by_itself() -> None:
    rules = FaultRules(clear_stalls=False)
    assert rules.judge(0.0, FINE, COOL) == Verdict()
    assert rules.judge(0.0, (0, 0, 0, 1, 0, 0), COOL) == Verdict()
    for bit, words in (
        (2, "over temperature at 40 C"),
        (4, "overcurrent"),
        (8, "motor"),
        (16, "communication"),
    ):
        assert rules.judge(0.0, (0, 0, 0, bit, 0, 0), COOL) == Verdict(hold=f"index: {words}")
    rules = FaultRules(clear_stalls=True)
    assert rules.judge(0.0, FINE, COOL) == Verdict()
    stall = (1, 0, 0, 1, 0, 0)
    assert [rules.judge(t, stall, COOL).clear for t in (0.0, 0.5, 0.99, 1.0, 1.5)] == [
        True, False, False, True, False,
    ]  # fmt: skip
    mixed = rules.judge(20.0, (1, 0, 0, 4, 0, 0), COOL)
    assert (mixed.hold, mixed.clear) == ("little: stall; index: overcurrent", False)


def test_errors_in_words() -> None:
    assert codes.describe(FINE, COOL) == ""
    assert codes.describe((2, 0, 0, 0, 5, 0), (72, *COOL[1:])) == (
        "little: over temperature at 72 C; thumb_bend: stall, overcurrent"
    )
    assert codes.describe((0, 24, 64, 0, 0, 0), COOL) == (
        "ring: motor, communication; middle: unknown bits 0x40"
    )
    assert codes.unexplained((2, 2, 2, 6, 2, 2), FINE)
    assert not codes.unexplained((2, 2, 2, 6, 2, 2), (0, 0, 0, 1, 0, 0))
    assert not codes.unexplained((0, 1, 2, 3, 255, 2), FINE)


def test_a_recovery_stays_before_it_clears_and_reads_before_it_speaks() -> None:
    recovery = Recovery()
    recovery.ask()
    assert not recovery.clear_is_due(100.0)
    recovery.told_to_stay(10.0)
    assert not recovery.clear_is_due(10.0 + 0.9 * STAY_S)
    assert recovery.clear_is_due(10.0 + 1.1 * STAY_S)
    assert not recovery.read_is_due(100.0)
    recovery.cleared(11.0)
    assert not recovery.read_is_due(11.0 + 0.9 * SETTLE_S)
    assert recovery.read_is_due(11.0 + 1.1 * SETTLE_S)
    assert recovery.outcome is None
    recovery.read_again((0, 0, 0, 2, 0, 0), COOL)
    assert recovery.outcome == (
        False,
        "index: over temperature at 40 C. Over-temperature cannot be cleared: let the hand cool down",
    )
    recovery.ask()
    assert recovery.outcome is None
    recovery.read_again(FINE, COOL)
    assert recovery.outcome == (True, "no errors")
    recovery.cleared(12.0)  # a stall that the driver cleared by itself is no recovery
    assert not recovery.read_is_due(100.0)


def test_only_faulted_fingers_are_told_to_stay() -> None:
    assert stay_targets((0, 0, 0, 1, 0, 2), (1, 2, 3, 400, 5, 600)) == (HOLD, HOLD, HOLD, 400, HOLD, 600)


def test_every_transition_of_the_link_leads_somewhere_and_none_is_missing() -> None:
    assert {state for state, _ in TRANSITIONS} == set(LinkState)
    assert all((state, LinkEvent.LOST) in TRANSITIONS for state in LinkState)
    assert set(TRANSITIONS.values()) == set(LinkState)


def test_the_link_counts_missed_answers_in_a_row_and_tries_again_in_time() -> None:
    link = Link(max_missed=3, retry_period_s=0.5)
    assert link.may_try(0.0)
    link.lost(1.0, "no such port")
    assert (link.losses, link.reason) == (0, "no such port")
    assert not link.may_try(1.4)
    assert link.may_try(1.5)
    link.opened()
    assert not link.may_try(9.0)
    link.set_up()
    assert link.reason == ""
    assert [link.missed(), link.missed()] == [False, False]
    link.answered()
    assert [link.missed(), link.missed(), link.missed()] == [False, False, True]
    link.lost(10.0, "no answer")
    assert (link.state, link.losses, link.missed_answers) == (LinkState.AWAY, 1, 5)
    with pytest.raises(ValueError, match="a link that is away cannot be set up"):
        link.set_up()


def test_the_line_takes_the_time_that_was_measured() -> None:
    assert transaction_s(115200) == pytest.approx(6.6e-3, abs=0.1e-3)
    assert cycle_s(115200, False) == pytest.approx(26e-3, abs=0.5e-3)
    assert cycle_s(115200, True) < 20e-3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"port": ""}, "port is empty"),
        ({"baud": 9600}, "baud 9600 is not one of"),
        ({"hand_id": 0}, "hand_id 0"),
        ({"rate_hz": float("nan")}, "rate_hz nan"),
        ({"rate_hz": 50.0}, "at 115200 baud a cycle takes 26 ms"),
        ({"baud": 19200}, "at 19200 baud a cycle takes"),
        ({"force_limits_g": (500,) * 5}, "force_limits_g needs 6 values, got 5"),
        ({"speed_limits": (1001,) * 6}, "speed_limits 1001 must be in 0..1000"),
        ({"newtons_per_gram": (0.0,) * 6}, "newtons_per_gram"),
        ({"max_missed": 0}, "max_missed 0"),
    ],
)
def test_wrong_parameters_are_refused_by_name(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        HandParameters(**{"port": "/dev/hand", **changes})  # type: ignore[arg-type]


def test_right_parameters() -> None:
    assert HandParameters(port="/dev/hand").rate_hz == 25.0
    assert HandParameters(port="/dev/hand", rate_hz=50.0, block_reads=True).block_reads


def test_the_latency_of_an_ftdi_adapter_is_read_through_the_link_by_id(tmp_path: Path) -> None:
    device = tmp_path / "ttyUSB3"
    device.touch()
    by_id = tmp_path / "usb-FTDI_hand"
    by_id.symlink_to(device)
    assert adapter_latency_ms(str(by_id), tmp_path / "sys") is None
    timer = tmp_path / "sys/bus/usb-serial/devices/ttyUSB3/latency_timer"
    timer.parent.mkdir(parents=True)
    timer.write_text("16\n")
    assert adapter_latency_ms(str(by_id), tmp_path / "sys") == 16
