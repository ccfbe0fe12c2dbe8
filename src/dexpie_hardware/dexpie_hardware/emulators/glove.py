"""`glove_emulator`: a pair of gloves as their maker's ROS node or a ZeroMQ bridge offers them.

Left is manus_glove_0, right is manus_glove_1, until the control channel swaps them. Like the maker's node it
sends 19 ergonomics while ergonomics_count says 20. With --relay it hears /emulated/glove and passes that on
as the right glove.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import zmq

from dexpie_core import messages, topics
from dexpie_core.topics import TopicSpec
from dexpie_hardware.emulators.control import ControlServer
from dexpie_hardware.emulators.glove_person import GlovedHand, all_signals, make_person
from dexpie_hardware.emulators.ros_program import run_emulator
from dexpie_hardware.glove_reading import GloveReading, encode
from dexpie_ros.factory import make
from dexpie_ros.looped import LoopNode, Report

SIDES: Final = ("Left", "Right")
RELAY: Final = TopicSpec("/emulated/glove", topics.GLOVE.type, topics.GLOVE.qos)
TYPE: Final = "manus_ros2_msgs/msg/ManusGlove"
LEFT_OUT: Final = "IndexSpread"  # missing from the maker's name tables, SDK 3.0.1
ANATOMICAL: Final = {
    "ThumbMCPSpread": "ThumbCMCSpread",
    "ThumbMCPStretch": "ThumbCMCStretch",
    "ThumbPIPStretch": "ThumbMCPStretch",
    "ThumbDIPStretch": "ThumbIPStretch",
}
RAW_NODES: Final = 25  # wrist, four joints of the thumb, five of each finger
RELAY_POLL_HZ: Final = 240.0


@dataclass
class Glove:
    """One glove and what is wrong with it."""

    hand: GlovedHand
    side: str  # what it says
    silent: bool = False
    overrides: dict[str, float] = field(default_factory=dict)


class GloveEmulator(LoopNode):
    """Sends both gloves at their rate, or passes the relay's on as it comes."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__("glove_emulator")
        self._period_s = 1.0 / options.rate_hz
        self._gloves = {
            side: Glove(GlovedHand(make_person(options.person), seed), side)
            for seed, side in enumerate(SIDES)
        }
        self._order = list(SIDES)  # of the topics' numbers
        self._names: dict[str, str] = {}
        self._sent = 0
        self._relay = self.poll(RELAY) if options.relay else None
        self._publishers = [
            self.advertise(TopicSpec(f"manus_glove_{k}", TYPE))
            for k in range(len(SIDES) if options.ros else 0)
        ]
        self._raw = _raw_skeleton() if options.ros else []
        self._zmq = _bind(options.zmq) if options.zmq else None
        self._control = ControlServer(options.control, self._commands()) if options.control else None
        self.start(RELAY_POLL_HZ if options.relay else options.rate_hz)
        where = [
            *(["manus_glove_0, manus_glove_1"] if options.ros else []),
            *([options.zmq] if options.zmq else []),
        ]
        print(f"ready: gloves on {', '.join(where)}", flush=True)

    def step(self) -> None:
        """One reading of each glove that speaks."""
        if self._relay is not None:
            heard = self._relay.newest()
            if heard is not None:
                known = messages.glove_angles(heard.message)
                self._send("Right", all_signals(known) | known)
            return
        for side, glove in self._gloves.items():
            self._send(side, glove.hand.step(self._period_s))

    def _send(self, side: str, angles: dict[str, float]) -> None:
        glove = self._gloves[side]
        if glove.silent:
            return
        angles = {self._names.get(k, k): v for k, v in angles.items() if k != LEFT_OUT} | glove.overrides
        number = self._order.index(side)
        if self._publishers:
            self._publishers[number].publish(self._message(number, glove.side, angles))
        if self._zmq is not None:
            reading = GloveReading(glove.side, str(number), tuple(angles.items()))
            self._zmq.send_multipart([b"glove", encode(reading)])
        self._sent += 1

    def _message(self, number: int, side: str, angles: dict[str, float]) -> Any:
        return make(
            TYPE,
            glove_id=number,
            side=side,
            raw_node_count=len(self._raw),
            raw_nodes=self._raw,
            ergonomics_count=len(angles) + 1,
            ergonomics=[
                make("manus_ros2_msgs/msg/ManusErgonomics", type=name, value=value)
                for name, value in angles.items()
            ],
        )

    def _commands(self) -> dict[str, Any]:
        return {
            "gesture": self._take_gesture,
            "person": self._take_person,
            "silence": self._take_silence,
            "label": self._take_label,
            "override": self._take_override,
            "names": self._take_names,
            "swap": self._take_swap,
            "status": lambda: {"sent": self._sent, "order": self._order},
        }

    def _take_gesture(self, name: str) -> None:
        """What both hands do."""
        with self.lock:
            for glove in self._gloves.values():
                glove.hand.gesture = name

    def _take_person(self, seed: int) -> dict[str, Any]:
        """Who wears the gloves; answers with that person's ranges."""
        person = make_person(int(seed))
        with self.lock:
            for glove in self._gloves.values():
                glove.hand.person = person
        return {"open_deg": person.open_deg, "closed_deg": person.closed_deg}

    def _take_silence(self, side: str, on: bool = True) -> None:
        """A glove whose battery is empty: the maker's node simply stops publishing it."""
        with self.lock:
            self._glove(side).silent = bool(on)

    def _take_label(self, side: str, says: str) -> None:
        """What a glove says of its side, e.g. Invalid or nothing."""
        with self.lock:
            self._glove(side).side = str(says)

    def _take_override(self, side: str, signal: str = "", value_deg: float = 0.0) -> None:
        """A signal that always has one value, e.g. NaN; without signal, none has."""
        with self.lock:
            glove = self._glove(side)
            glove.overrides = {signal: float(value_deg)} if signal else {}

    def _take_names(self, anatomical: bool) -> None:
        """Whether the SDK names the thumb's joints by anatomy."""
        with self.lock:
            self._names = ANATOMICAL if anatomical else {}

    def _take_swap(self) -> dict[str, Any]:
        """The gloves are found in the other order: their topics change places."""
        with self.lock:
            self._order.reverse()
        return {"order": self._order}

    def _glove(self, side: str) -> Glove:
        if side not in self._gloves:
            raise ValueError(f"side {side!r} is none of {', '.join(SIDES)}")
        return self._gloves[side]

    def report(self) -> Report:
        """Always OK: what is wrong is wrong on purpose."""
        return Report(values={"sent": self._sent, **self.timing_values()})

    def finish(self) -> None:
        """Close the sockets."""
        if self._control is not None:
            self._control.close()
        if self._zmq is not None:
            self._zmq.close()


def _bind(address: str) -> zmq.Socket[bytes]:
    publisher = zmq.Context.instance().socket(zmq.PUB)
    publisher.setsockopt(zmq.LINGER, 0)
    publisher.bind(address)
    return publisher


def _raw_skeleton() -> list[Any]:
    """Raw nodes as the SDK sends them; their poses are of no use to anybody here."""
    pose = make("geometry_msgs/msg/Pose")
    return [
        make("manus_ros2_msgs/msg/ManusRawNode", node_id=k, joint_type="MCP", chain_type="Hand", pose=pose)
        for k in range(RAW_NODES)
    ]


def main(argv: list[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="glove_emulator", description=__doc__)
    parser.add_argument(
        "--ros", action=argparse.BooleanOptionalAction, default=True, help="manus_ros2_msgs topics"
    )
    parser.add_argument(
        "--zmq", default="", metavar="ADDRESS", help="bind a bridge, e.g. tcp://127.0.0.1:5559"
    )
    parser.add_argument("--rate-hz", type=float, default=120.0, help="readings a second (default 120)")
    parser.add_argument("--person", type=int, default=0, help="whose ranges; 0 has the public ones (default)")
    parser.add_argument("--relay", action="store_true", help=f"pass on what {RELAY.name} says")
    parser.add_argument("--control", type=Path, help="socket of the control channel")
    return run_emulator(parser, GloveEmulator, argv)


if __name__ == "__main__":
    sys.exit(main())
