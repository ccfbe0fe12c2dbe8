"""The console's model: health of topics, alignment, collection, episodes, nodes; all with a given time."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from hypothesis import given
from hypothesis import strategies as st
from std_srvs.srv import Trigger

from dexpie_core import messages, topics
from dexpie_core.action_space import pack
from dexpie_core.episode import EpisodeEnd, EpisodeStart
from dexpie_core.executor import HumanAction, Source, TickOutput
from dexpie_core.follower import Misalignment
from dexpie_core.hand_errors import HandError
from dexpie_core.modes import Mode
from dexpie_core.topics import TopicSpec
from dexpie_msgs.srv import EndEpisode, SetMode
from dexpie_ros.factory import make
from dexpie_teleop.console.health import TopicMonitor, TopicState, worst_first
from dexpie_teleop.console.link import started_first
from dexpie_teleop.console.services import SET_MODE, ServiceCall, answer_of
from dexpie_teleop.console.state import OBSERVED, ConsoleState
from dexpie_teleop.console.view_drive import banner
from dexpie_teleop.console.view_work import health, log, work

ACTION = pack(np.eye(4), np.full(6, 0.5))
FAST = TopicSpec("/fast", "x", rate_hz=25.0)


def executed(mode: Mode, starved: bool = False) -> Any:
    out = TickOutput(1, ACTION, Source.POLICY, mode, 1, reason="why", starved=starved)
    return messages.executed_action(make, out, 0)


def mode_message(mode: Mode) -> Any:
    return messages.mode(make, TickOutput(1, ACTION, Source.HOLD, mode, 1, reason="why"), 0)


def misaligned(rotation_rad: float, hand: list[float]) -> Any:
    human = HumanAction(0.0, 0, ACTION, Misalignment(rotation_rad, np.array(hand)))
    return messages.action(make, human, 0)


def diagnostics(name: str, level: int, message: str, **values: object) -> Any:
    pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    status = DiagnosticStatus(level=bytes([level]), name=name, message=message, values=pairs)
    return DiagnosticArray(status=[status])


def collection(phase: int, **fields: Any) -> Any:
    return make("dexpie_msgs/msg/CollectionStatus", phase=phase, **fields)


def monitor_at(rate_hz: float, duration_s: float, spec: TopicSpec = FAST) -> TopicMonitor:
    monitor = TopicMonitor(spec, publishers=1)
    monitor.arrived(np.arange(0.0, duration_s, 1.0 / rate_hz).tolist())
    return monitor


def test_rate_age_and_worst_age_by_hand() -> None:
    monitor = TopicMonitor(FAST, publishers=1)
    monitor.arrived([10.0 + 0.04 * i for i in range(100)])  # the last one at 13.96
    row = monitor.health(14.0)
    assert row.state is TopicState.OK
    assert row.measured_hz == pytest.approx(25.0, abs=0.5)
    assert row.age_s == pytest.approx(0.04)
    assert row.worst_age_s == pytest.approx(0.04)
    monitor.arrived([14.26])
    assert monitor.health(14.26).worst_age_s == pytest.approx(0.3)
    assert monitor.health(14.27).state is TopicState.OK


@pytest.mark.parametrize(
    ("rate_hz", "state"), [(25.0, TopicState.OK), (21.0, TopicState.OK), (15.0, TopicState.SLOW)]
)
def test_a_slow_topic_is_seen(rate_hz: float, state: TopicState) -> None:
    assert monitor_at(rate_hz, 5.0).health(5.0).state is state


def test_silence_is_seen_and_its_worst_is_forgotten_after_a_minute() -> None:
    monitor = monitor_at(25.0, 3.0)
    assert monitor.health(3.3).state is TopicState.OK
    assert monitor.health(4.0).state is TopicState.SILENT
    monitor.arrived([10.0 + 0.04 * i for i in range(2000)])  # until 89.96
    row = monitor.health(90.0)
    assert row.state is TopicState.OK
    assert row.worst_age_s == pytest.approx(0.04)


def test_a_topic_that_never_came() -> None:
    assert TopicMonitor(FAST).health(5.0).state is TopicState.ABSENT
    assert TopicMonitor(FAST, publishers=1).health(5.0).state is TopicState.SILENT
    on_change = TopicSpec("/seldom", "x")
    assert TopicMonitor(on_change, publishers=1).health(5.0).state is TopicState.ABSENT
    monitor = TopicMonitor(on_change, publishers=1)
    monitor.arrived([1.0])
    assert monitor.health(500.0).state is TopicState.ON_CHANGE


def test_two_messages_of_a_slow_topic_are_no_rate() -> None:
    slow = TopicSpec("/slow", "x", rate_hz=1.0)
    assert monitor_at(1.0, 5.0, slow).health(5.4).state is TopicState.OK
    assert monitor_at(1.0, 5.0, slow).health(9.0).state is TopicState.SILENT


@given(st.lists(st.floats(0.0, 3.0), max_size=80), st.floats(0.0, 100.0))
def test_the_worst_age_is_the_longest_gap_of_the_newest_minute(gaps_s: list[float], more_s: float) -> None:
    times_s = np.cumsum([0.0, *gaps_s]).tolist()
    monitor = TopicMonitor(FAST, publishers=1)
    monitor.arrived(times_s)
    now_s = times_s[-1] + more_s
    gaps = [after - before for before, after in pairwise(times_s) if after > now_s - 60.0]
    assert monitor.health(now_s).worst_age_s == pytest.approx(max([more_s, *gaps]), abs=1e-6)


def test_the_most_urgent_topics_come_first() -> None:
    rows = [
        monitor_at(25.0, 5.0).health(5.0),
        TopicMonitor(FAST).health(5.0),
        monitor_at(9.0, 5.0).health(5.0),
    ]
    assert [row.state for row in worst_first(rows)] == [TopicState.SLOW, TopicState.OK, TopicState.ABSENT]


def test_raw_images_and_its_own_life_sign_are_not_observed() -> None:
    names = {spec.name for spec in OBSERVED}
    assert not any(name.endswith("image_raw") for name in names)
    assert topics.CONSOLE.name not in names
    assert topics.compressed_image("front").name in names


def test_an_executor_that_falls_silent_is_no_mode() -> None:
    state = ConsoleState()
    assert state.mode(0.0) is None
    state.heard(topics.MODE, mode_message(Mode.AUTONOMOUS), 1.0)
    state.heard(topics.EXECUTED_ACTION, executed(Mode.AUTONOMOUS, starved=True), 2.0)
    assert state.mode(2.9) is Mode.AUTONOMOUS
    assert "A U T O N O M O U S   the policy drives (LATE" in banner(state, 2.9, 80).plain
    assert state.mode(3.1) is None
    assert "no executor is heard" in banner(state, 3.1, 80).plain
    assert state.situation(3.1).mode is None


def test_the_log_tells_every_change_of_mode_once() -> None:
    state = ConsoleState()
    for mode in (Mode.IDLE, Mode.IDLE, Mode.HUMAN, Mode.FAULT):
        state.heard(topics.MODE, mode_message(mode), 0.0)
    assert [line.text for line in state.log] == ["IDLE: why", "HUMAN: why", "FAULT: why"]


def test_alignment_against_the_bounds() -> None:
    state = ConsoleState()
    assert state.bars(0.0) == []
    state.heard(topics.TELEOP_ACTION, misaligned(0.55, [0.0, -0.7, 0.59, 0.61, 0.0, 0.0]), 1.0)
    bars = {bar.name: bar for bar in state.bars(1.0)}
    assert bars["wrist"].error == pytest.approx(31.5, abs=0.1)
    assert bars["wrist"].bound == pytest.approx(28.6, abs=0.1)
    assert [name for name, bar in bars.items() if not bar.inside] == ["wrist", "ring", "index"]
    assert state.bars(1.6) == []  # the follower has fallen silent
    said = diagnostics("executor", 0, "commanding", takeover_max_rotation_rad=0.6, takeover_max_hand=0.75)
    state.heard(topics.DIAGNOSTICS, said, 1.0)
    assert all(bar.inside for bar in state.bars(1.0))


def test_devices_with_a_problem_call_for_recovery() -> None:
    state = ConsoleState()
    state.heard(topics.MODE, mode_message(Mode.IDLE), 0.0)
    state.heard(topics.ARM_STATUS, messages.arm_status(make, 0, ready=True), 0.0)
    state.heard(topics.HAND_STATE, messages.hand_state(make, np.zeros(6), np.zeros(6), 0), 0.0)
    assert not state.situation(0.0).recovery
    stopped = messages.arm_status(make, 0, ready=False, protective_stop=True)
    state.heard(topics.ARM_STATUS, stopped, 0.0)
    broken = messages.hand_state(make, np.zeros(6), np.zeros(6), 0, error=[HandError.COMMUNICATION] * 6)
    state.heard(topics.HAND_STATE, broken, 0.0)
    assert state.situation(0.0).recovery
    assert "arm: protective stop | hand: hand: communication" in banner(state, 0.0, 80).plain


def test_episodes_and_their_gaps() -> None:
    state = ConsoleState()
    start = EpisodeStart("e1", "bottle", "initial", "rollout", "p", "", 7, "")
    state.heard(topics.EPISODE_EVENT, messages.episode_start(make, start, 0), 0.0)
    assert state.situation(0.0).episode
    assert work(state, 39, 8).plain.startswith("EPISODE rollout initial, seed 7")
    for outcome in ("success", "failure"):
        ended = messages.episode_end(make, start, EpisodeEnd(outcome, "seen"), 0)
        ended.gaps = ["/a: 3 messages missing", "/b: never came"] if outcome == "failure" else []
        state.heard(topics.EPISODE_EVENT, ended, 1.0)
    assert not state.situation(0.0).episode
    assert "newest: FAILURE SUCCESS" in work(state, 39, 8).plain
    assert [line.text for line in state.log] == [
        "episode e1: success (seen)",
        "episode e1: failure (seen)",
        "it has gaps: /a: 3 messages missing (and 1 more)",
    ]


def test_a_collection_and_its_end() -> None:
    state = ConsoleState()
    counts = {"stages": ["initial", "grasped"], "stage_quota": [3, 2], "stage_episodes": [2, 0],
              "stage_attempts": [2, 0], "stage_successes": [1, 0]}  # fmt: skip
    waiting = collection(1, prompt="put the bottle upright", task="bottle", stage="initial", seed=4,
                         episodes=2, wanted=5, **counts)  # fmt: skip
    state.heard(topics.COLLECTION_STATUS, waiting, 0.0)
    assert state.collection is None  # what walked through it is gone
    state.arrived(topics.COLLECTION_STATUS, [0.0], publishers=1)
    assert state.situation(0.0).collection
    assert state.situation(0.0).prompt
    lines = work(state, 39, 8).plain.splitlines()
    assert lines[2] == "bottle 2/5: waiting for you"
    assert lines[3] == "now initial, seed 4"
    assert lines[5].split() == ["initial", "2/3", "1/2", "50", "%"]
    assert lines[6].split() == ["grasped", "0/2", "-"]
    assert max(map(len, lines)) <= 39
    state.heard(topics.COLLECTION_STATUS, collection(4), 1.0)
    assert not state.situation(1.0).collection


def test_nodes_that_complain_or_fall_silent() -> None:
    state = ConsoleState()
    state.heard(topics.DIAGNOSTICS, diagnostics("camera", 1, "no picture"), 0.0)
    state.heard(topics.DIAGNOSTICS, diagnostics("executor", 0, "commanding"), 9.0)
    assert state.troubled_nodes(2.0) == [("camera", "WARN", "no picture")]
    assert state.troubled_nodes(10.0) == [("camera", "SILENT", "for 10 s; before: no picture")]
    text = health(state, 10.0, 80, 6).plain
    assert "nodes 1 ok, 1 not" in text
    assert "camera SILENT" in text


def test_the_recorders_losses_and_room_are_shown() -> None:
    state = ConsoleState()
    assert "RECORDER not heard" in health(state, 0.0, 80, 6).plain
    values = {"lost_messages": 2, "missing_messages": 0, "late_messages": 1, "free_mib": 5120}
    said = diagnostics("episode_manager", 0, "recording; /teleop/glove is silent", **values)
    state.heard(topics.DIAGNOSTICS, said, 0.0)
    expected = "RECORDER recording; lost 2, missing 0, late 1; 5.0 GiB free"
    assert health(state, 0.0, 80, 6).plain.splitlines()[1] == expected


def test_long_answers_go_on_in_the_next_row() -> None:
    state = ConsoleState()
    for i in range(9):
        state.say(float(i), f"line {i}")
    state.say(9.0, "take over: REFUSED: not aligned: " + "ring 0.62, " * 6)
    text = log(state, 10.0, 50, 4).plain.splitlines()
    assert len(text) == 4
    assert max(map(len, text)) <= 50
    assert text[0] == "   2 s  line 8"
    assert text[1].startswith("   1 s  take over: REFUSED")
    assert text[-1].startswith(" " * 8)
    assert " ".join(line[8:] for line in text).count("ring 0.62,") == 6


def test_answers_tell_the_numbers() -> None:
    call = ServiceCall("take over", topics.SET_MODE_SERVICE, {})
    assert call.typename == SET_MODE
    refused = SetMode.Response(accepted=False, message="not aligned: wrist 41 deg (at most 29)")
    assert str(answer_of(call, refused)) == "take over: REFUSED: not aligned: wrist 41 deg (at most 29)"
    ended = EndEpisode.Response(accepted=True, bag_path="/bags/e1")
    assert (
        str(answer_of(ServiceCall("success", topics.EPISODE_END_SERVICE), ended))
        == "success: accepted: /bags/e1"
    )
    going_on = ServiceCall("continue", topics.COLLECTION_CONTINUE_SERVICE)
    assert str(answer_of(going_on, Trigger.Response(success=True))) == "continue: accepted"


@given(st.integers(0, 2**62), st.integers(0, 2**62), st.integers(1, 99), st.integers(1, 99))
def test_of_two_consoles_one_goes_on(a_ns: int, b_ns: int, a_pid: int, b_pid: int) -> None:
    a, b = f"host:{a_pid}:{a_ns}", f"host:{b_pid}:{b_ns}"
    if a != b:
        assert started_first(a, b) != started_first(b, a)
    if a_ns < b_ns:
        assert started_first(a, b)
