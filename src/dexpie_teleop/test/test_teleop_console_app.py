"""The interface on an emulated terminal: what is on the screen, what the keys call, how it ends."""

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
from console_for_tests import FakeGraph, screen_text
from textual.pilot import Pilot

from dexpie_core import messages, topics
from dexpie_core.action_space import pack
from dexpie_core.executor import HumanAction, Source, TickOutput
from dexpie_core.follower import Misalignment
from dexpie_core.modes import Mode
from dexpie_ros.factory import make
from dexpie_teleop.console.app import OTHERS_EVERY, ConsoleApp
from dexpie_teleop.console.keys import Action
from dexpie_teleop.console.services import Answer, calls_for

pytestmark = pytest.mark.processes

PROMPT = (
    "bring robot and objects back to where bottle-20261124T163438 began (the start of task bottle); "
    "take over before it fails again"
)
ACTION = pack(np.eye(4), np.full(6, 0.5))


class Session:
    """The console over a graph without ROS, at a time that the test sets."""

    def __init__(self, pilot: Pilot[str], graph: FakeGraph, app: ConsoleApp, clock_s: list[float]) -> None:
        self.pilot, self.graph, self.app, self.clock_s = pilot, graph, app, clock_s
        self.mode = Mode.IDLE

    def executor(self, mode: Mode) -> None:
        """The executor is in this mode, and ticks."""
        self.mode = mode
        out = TickOutput(1, ACTION, Source.HOLD, mode, 1, reason="a test")
        self.graph.tell(topics.MODE, messages.mode(make, out, 0))

    def aligned(self, rotation_rad: float, hand: list[float]) -> None:
        human = HumanAction(0.0, 0, ACTION, Misalignment(rotation_rad, np.array(hand)))
        self.graph.tell(topics.TELEOP_ACTION, messages.action(make, human, 0))

    async def screen(self) -> list[str]:
        """The screen when every panel was drawn."""
        for _ in range(OTHERS_EVERY):
            self.app.turn()
        await self.pilot.pause()
        return screen_text(self.app)

    async def press(self, *keys: str) -> None:
        """Press keys, a second after whatever was before."""
        for key in keys:
            self.clock_s[0] += 1.0
            out = TickOutput(1, ACTION, Source.HOLD, self.mode, 1)
            self.graph.tell(topics.EXECUTED_ACTION, messages.executed_action(make, out, 0))
            self.app.turn()
            await self.pilot.press(key)


def with_console(test: Callable[[Session], Awaitable[None]], size: tuple[int, int] = (80, 24)) -> ConsoleApp:
    graph, clock_s = FakeGraph(), [100.0]
    app = ConsoleApp(graph, clock=lambda: clock_s[0])

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await test(Session(pilot, graph, app, clock_s))

    asyncio.run(run())
    return app


def test_everything_has_its_place_at_80_by_24() -> None:
    async def test(session: Session) -> None:
        empty = await session.screen()
        assert "no executor is heard: is 'dexpie up' running?" in empty[0]
        session.executor(Mode.ALIGNING)
        session.aligned(0.2, [0.0, -0.7, 0.1, 0.0, 0.59, 0.0])
        times_s = np.arange(96.0, 100.0, 0.04).tolist()
        session.graph.tell(topics.TELEOP_ACTION, session.graph.events[-1].message, times_s)
        rows = {"stages": ["initial", "grasped"], "stage_quota": [3, 3], "stage_episodes": [2, 1],
                "stage_attempts": [2, 1], "stage_successes": [1, 1]}  # fmt: skip
        session.graph.tell(
            topics.COLLECTION_STATUS,
            make("dexpie_msgs/msg/CollectionStatus", phase=1, prompt=PROMPT, task="bottle",
                 stage="grasped", seed=7, episodes=3, wanted=6, **rows),
        )  # fmt: skip
        lines = await session.screen()
        assert lines[0].startswith(" A L I G N I N G   the policy drives")
        assert lines[1] == " reason: a test"
        assert lines[3].startswith("ALIGNMENT OUTSIDE: 1 of 7")
        assert lines[4].startswith("wrist        ##...|.....   11/29 deg ok")
        assert lines[6].startswith("ring         #####|#....  -70/60 % OUT")
        assert "bottle 3/6: waiting for you" in lines[5]
        assert "now grasped, seed 7" in lines[6]
        assert lines[8].split()[-4:] == ["2/3", "1/2", "50", "%"]
        assert lines[9].split()[-4:] == ["1/3", "1/1", "100", "%"]
        assert " ".join(line.strip() for line in lines[11:13]) == f"{PROMPT}, then Enter"
        assert lines[13].startswith("HEALTH topics 0 ok, 1 slow, 0 silent")
        assert any(line.startswith("/teleop/action") and line.endswith("SLOW") for line in lines[14:18])
        assert lines[18].endswith("ALIGNING: a test")
        assert lines[22:] == [
            " space STOP  t take over  c cancel takeover  enter continue  n next stage",
            " e end collection  q quit",
        ]

    with_console(test)


def test_keys_become_calls_and_answers_are_shown() -> None:
    async def test(session: Session) -> None:
        session.executor(Mode.AUTONOMOUS)
        await session.press("t", "space")
        assert session.graph.calls == [calls_for(Action.ALIGN), calls_for(Action.STOP)]
        session.executor(Mode.ALIGNING)
        await session.press("T", "b", "d")
        assert session.graph.calls[2:] == [calls_for(Action.TAKEOVER)]
        (call,) = calls_for(Action.TAKEOVER)
        session.graph.events.append(Answer(call, False, "not aligned: wrist 41 deg (at most 29)"))
        lines = await session.screen()
        assert lines[11] == " discard: only while an episode is running"
        assert any("take over: REFUSED: not aligned: wrist 41 deg (at most 29)" in line for line in lines)
        assert session.graph.signs_of_life >= 5

    with_console(test)


def test_quit_asks_while_something_drives_and_says_goodbye() -> None:
    async def test(session: Session) -> None:
        session.executor(Mode.HUMAN)
        await session.press("q")
        assert (await session.screen())[11] == " quit, and the robot stops? Press y within 2 s"
        assert session.graph.goodbyes == []
        await session.press("y")
        assert session.graph.goodbyes == [True]

    assert with_console(test).return_value == ""


def test_ctrl_c_leaves_at_once() -> None:
    async def test(session: Session) -> None:
        session.executor(Mode.HUMAN)
        await session.press("ctrl+c")
        assert session.graph.goodbyes == [True]

    assert with_console(test).return_value == ""


def test_the_younger_of_two_consoles_goes_without_a_goodbye() -> None:
    async def older(session: Session) -> None:
        session.graph.other = "there:2:5"
        await session.screen()
        assert session.graph.goodbyes == []

    async def younger(session: Session) -> None:
        session.graph.other = "there:2:0"
        await session.screen()
        assert set(session.graph.goodbyes) == {False}  # a goodbye would stop the robot

    assert with_console(older).return_value is None
    assert with_console(younger).return_value == (
        "another console is in use (host there, process 2): leave that one first, with q"
    )


def test_a_ros_that_has_failed_ends_it() -> None:
    async def test(session: Session) -> None:
        session.graph.failure = RuntimeError("no memory")
        await session.screen()

    assert with_console(test).return_value == "ROS has failed: no memory"


def test_it_follows_the_size_of_its_window() -> None:
    async def test(session: Session) -> None:
        session.executor(Mode.HUMAN)
        assert any("more in a taller window" in line for line in await session.screen())
        await session.pilot.resize_terminal(120, 60)
        lines = await session.screen()
        assert sum(line.endswith("  absent") for line in lines) >= 15
        assert not any("more in a taller window" in line for line in lines)
        await session.pilot.resize_terminal(40, 12)
        assert (await session.screen())[0].startswith(" H U M A N")

    with_console(test)
