"""The emulated hand as a model: registers, motion, force stop, faults, and its line. No process, no clock."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexpie_hardware.emulators.inspire.frames import READ, WRITE, Request, answer, take_request
from dexpie_hardware.emulators.inspire.line import Line, LineConfig
from dexpie_hardware.emulators.inspire.mechanics import Obstacle
from dexpie_hardware.emulators.inspire.model import CALIBRATION_S, REST_FORCE_G, SAVE_S, HandModel
from dexpie_hardware.emulators.inspire.registers import BLOCKS, RegisterFile

SET_ANGLES = bytes.fromhex("eb 90 01 0f 12 ce 05 f4 01 ff ff 2c 01 00 00 e8 03 84 03 87")
READ_ANGLES = bytes.fromhex("eb 90 01 04 11 0a 06 0c 32")
ALL_OPEN = bytes.fromhex("90 eb 01 0f 11 0a 06 e8 03 e8 03 e8 03 e8 03 e8 03 e8 03 b3")
READ_FORCES = bytes.fromhex("eb 90 01 04 11 2e 06 0c 56")
AT_REST = answer(Request(1, READ, 1582, b"\x0c"), struct.pack("<6h", *REST_FORCE_G))
SPOILT_SUM = bytes([AT_REST[-1] ^ 0xFF])
INDEX = 3


class Bench:
    """A model and its time."""

    def __init__(self, **settings: float) -> None:
        self.model = HandModel(**settings)  # type: ignore[arg-type]
        self.now_s = 0.0
        self.model.step(0.0)

    def write(self, name: str, *values: int, first: int = 0) -> bytes:
        """Data of the acknowledgement."""
        block = BLOCKS[name]
        data = bytes(values) if block.size == 1 else struct.pack(f"<{len(values)}h", *values)
        address = block.address + first * block.size
        return self.model.answer(Request(1, WRITE, address, data), self.now_s)[0][1][7:-1]

    def move(self, value: int, channel: int = INDEX) -> None:
        assert self.write("ANGLE_SET", value, first=channel) == b"\x01"

    def run(self, duration_s: float) -> list[tuple[float, float, float]]:
        """(time, index angle, index force) every 5 ms."""
        seen = []
        end_s = self.now_s + duration_s
        while self.now_s < end_s - 1e-9:
            self.now_s += 0.005
            self.model.step(self.now_s)
            seen.append((self.now_s, self.model.positions[INDEX], self.model.force_g[INDEX]))
        return seen

    def get(self, name: str, channel: int = INDEX) -> int:
        return self.model.registers.get(name)[channel]


def test_frames_of_the_makers_description() -> None:
    buffer = bytearray(SET_ANGLES + READ_ANGLES)
    first, second = take_request(buffer).request, take_request(buffer).request
    assert first is not None
    assert (first.hand_id, first.command, first.address) == (1, WRITE, 1486)
    assert struct.unpack("<6h", first.data) == (500, -1, 300, 0, 1000, 900)
    assert second == Request(1, READ, 1546, b"\x0c")
    assert not buffer
    assert answer(second, struct.pack("<6h", *[1000] * 6)) == ALL_OPEN


@given(st.binary(max_size=40).filter(lambda noise: b"\xeb\x90" not in noise and not noise.endswith(b"\xeb")))
def test_the_hand_falls_back_into_step_after_noise(noise: bytes) -> None:
    taken = take_request(bytearray(noise + READ_ANGLES))
    assert taken.request is not None
    assert taken.noise_bytes == len(noise)


def test_a_wrong_sum_is_no_request() -> None:
    taken = take_request(bytearray(READ_ANGLES[:-1] + b"\x33" + READ_ANGLES))
    assert taken.request is not None
    assert taken.bad_sums == 1


def test_registers_keep_to_access_and_range() -> None:
    registers = RegisterFile()
    angles, status = BLOCKS["ANGLE_SET"].address, BLOCKS["STATUS"].address
    assert registers.write(angles, struct.pack("<2h", -1, 1001)) is None
    assert registers.get("ANGLE_SET") == (0,) * 6
    assert registers.write(angles, struct.pack("<7h", *[0] * 7)) is None
    assert registers.write(angles + 1, b"\x00\x00") is None
    assert registers.write(status, b"\x00") is None
    written = registers.write(angles + 6, struct.pack("<h", 400))
    assert written is not None
    assert (written.name, written.first, written.values) == ("ANGLE_SET", 3, (400,))
    assert registers.get("ANGLE_SET") == (0, 0, 0, 400, 0, 0)
    assert registers.read(1546, 78, across_gaps=True) == bytes(78)
    assert registers.read(1546, 78, across_gaps=False) is None
    assert registers.read(1546, 12, across_gaps=False) == bytes(12)
    assert registers.read(999, 2, across_gaps=True) is None
    assert registers.read(2320, 5, across_gaps=True) is None


def test_power_on() -> None:
    bench = Bench()
    for name, values in (
        ("ANGLE_SET", (-1,) * 6), ("SPEED_SET", (500,) * 6), ("FORCE_SET", (500,) * 6),
        ("STATUS", (255,) * 6),
        ("ANGLE_ACT", (1000,) * 6), ("POS_ACT", (0,) * 6), ("FORCE_ACT", REST_FORCE_G), ("ERROR", (0,) * 6),
        ("TEMP", (40,) * 6), ("VOLTAGE", (560,)), ("HAND_ID", (1,)), ("BAUD_RATE", (0,)),
    ):  # fmt: skip
        assert bench.model.registers.get(name) == values
    bench.run(1.0)
    assert bench.model.travelled == [0.0] * 6


def test_a_finger_starts_after_the_latency_and_travels_at_the_speed_set() -> None:
    bench = Bench()
    bench.write("SPEED_SET", *[1000] * 6)
    bench.move(200)
    seen = bench.run(1.2)
    moved_s = next(t for t, angle, _ in seen if angle < 999)
    assert 0.066 <= moved_s <= 0.085
    passed = {goal: next(t for t, angle, _ in seen if angle < goal) for goal in (900, 400)}
    assert passed[400] - passed[900] == pytest.approx(0.5 * 0.8, abs=0.01)  # half the travel of 0.8 s
    assert bench.get("STATUS") == 2
    assert bench.get("POS_ACT") == pytest.approx(1600, abs=4)
    assert bench.model.travelled[0] == 0.0
    bench.write("SPEED_SET", *[250] * 6)
    bench.move(700)
    seen = bench.run(0.3)
    assert bench.get("STATUS") == 0
    assert seen[-1][1] - 200 < 0.3 * 1250 / 4
    bench.write("SPEED_SET", *[0] * 6)
    before = bench.model.positions[INDEX]
    bench.run(1.0)
    assert 1 < bench.model.positions[INDEX] - before < 15  # no emergency stop


def test_a_step_of_a_third_rises_as_fast_as_measured() -> None:
    bench = Bench()
    bench.write("SPEED_SET", *[1000] * 6)
    bench.move(700)
    seen = bench.run(1.0)
    rise_s = next(t for t, a, _ in seen if a < 730) - next(t for t, a, _ in seen if a < 970)
    assert 0.18 <= rise_s <= 0.30


def test_fingers_end_before_zero_and_the_thumb_falls_short() -> None:
    bench = Bench()
    bench.write("ANGLE_SET", *[0] * 6)
    bench.run(3.0)
    assert bench.model.registers.get("ANGLE_ACT") == (46, 46, 46, 46, 46, 0)
    assert bench.model.registers.get("STATUS") == (2,) * 6
    bench.move(900, channel=5)
    bench.run(3.0)
    assert bench.get("ANGLE_ACT", 5) == 886
    assert bench.model.registers.get("ERROR") == (0,) * 6


def test_hold_leaves_a_channel_and_pos_set_has_the_other_sense() -> None:
    bench = Bench()
    bench.write("POS_SET", -1, -1, -1, 1200, -1, -1)
    bench.run(2.0)
    assert bench.model.registers.get("ANGLE_ACT") == (1000, 1000, 1000, 400, 1000, 1000)
    bench.write("ANGLE_SET", 800, -1, -1, -1, -1, -1)
    bench.run(2.0)
    assert bench.model.registers.get("ANGLE_ACT") == (800, 1000, 1000, 400, 1000, 1000)


@pytest.mark.parametrize(
    ("speed", "peak_g"), [(1000, 1556), (500, 1246), (250, 1073), (100, 996), (50, 825), (25, 524), (10, 478)]
)
def test_the_force_stop_overshoots_as_measured(speed: int, peak_g: float) -> None:
    bench = Bench()
    bench.write("SPEED_SET", *[1000] * 6)
    bench.model.block(INDEX, Obstacle(angle=600))
    bench.move(620)
    bench.run(1.0)
    bench.write("SPEED_SET", *[speed] * 6)
    bench.move(100)
    duration_s = 1.0 + 170 * 0.8 / speed
    peak = max(force for _, _, force in bench.run(duration_s))
    assert peak == pytest.approx(peak_g, rel=0.08)
    assert bench.get("STATUS") == 3
    assert bench.get("ERROR") == 0
    rest = bench.run(1.0)[-1]
    assert rest[2] == pytest.approx(500, rel=0.1)
    bench.move(900)
    bench.run(2.0 + 0.8 * 400 / speed)
    assert bench.get("ANGLE_ACT") == pytest.approx(900, abs=3)
    assert bench.get("FORCE_ACT") == REST_FORCE_G[INDEX]


def test_a_jammed_finger_stalls_and_goes_on_when_cleared() -> None:
    bench = Bench()
    bench.model.block(INDEX, Obstacle(angle=600, jams=True))
    bench.move(300)
    bench.run(3.0)
    assert (bench.get("ERROR"), bench.get("STATUS")) == (1, 6)
    bench.model.block(INDEX, None)
    bench.run(1.0)
    assert bench.get("ANGLE_ACT") == 600
    assert bench.write("CLEAR_ERROR", 1) == b"\x01"
    bench.run(2.0)
    assert (bench.get("ERROR"), bench.get("STATUS"), bench.get("ANGLE_ACT")) == (0, 2, 300)


def test_a_jammed_finger_with_a_low_current_limit_trips_it() -> None:
    bench = Bench()
    bench.write("CURRENT_LIMIT", *[800] * 6)
    bench.model.block(INDEX, Obstacle(angle=600, jams=True))
    bench.move(300)
    bench.run(3.0)
    assert (bench.get("ERROR"), bench.get("STATUS")) == (4, 5)


def test_over_temperature_goes_by_cooling_alone() -> None:
    bench = Bench()
    bench.model.set_error(INDEX, 1)
    bench.model.set_error(INDEX, 3)
    bench.move(300)
    bench.run(1.0)
    assert (bench.get("ERROR"), bench.get("STATUS"), bench.get("ANGLE_ACT")) == (10, 7, 1000)
    bench.write("CLEAR_ERROR", 1)
    bench.run(0.1)
    assert bench.get("ERROR") == 2
    bench.model.fingers[INDEX].temperature_c = 65
    bench.run(0.1)
    assert bench.get("ERROR") == 2
    bench.model.fingers[INDEX].temperature_c = 55
    bench.run(0.1)
    assert bench.get("ERROR") == 0


def test_saving_answers_twice_and_outlives_the_power() -> None:
    bench = Bench()
    bench.write("DEFAULT_SPEED_SET", *[300] * 6)
    bench.model.power_on()
    assert bench.get("SPEED_SET") == 500
    bench.write("DEFAULT_SPEED_SET", *[300] * 6)
    first, second = bench.model.answer(Request(1, WRITE, 1005, b"\x01"), bench.now_s)
    assert (first[0], first[1][7:-1]) == (0.0, b"\x01")
    assert (second[0], second[1][7:-1]) == (SAVE_S, b"\x00")
    bench.model.power_on()
    assert bench.get("SPEED_SET") == 300
    bench.write("RESET_PARA", 1)
    assert bench.get("DEFAULT_SPEED_SET") == 500


def test_force_calibration_moves_the_hand_by_itself() -> None:
    bench = Bench()
    bench.write("GESTURE_FORCE_CLB", 1)
    bench.move(900)
    assert min(angle for _, angle, _ in bench.run(CALIBRATION_S / 2)) < 310
    bench.run(CALIBRATION_S)
    assert bench.get("ANGLE_ACT") == 1000
    assert bench.model.registers.get("FORCE_ACT") == (0,) * 6


def test_another_id_and_a_read_only_register() -> None:
    bench = Bench()
    assert bench.model.answer(Request(2, READ, 1546, b"\x0c"), 0.0) == []
    assert bench.write("STATUS", 0) == b"\x00"
    assert bench.write("HAND_ID", 2) == b"\x01"
    assert len(bench.model.answer(Request(2, READ, 1546, b"\x0c"), 0.0)) == 1
    assert bench.model.answer(Request(1, READ, 1546, b"\x0c"), 0.0) == []


def _asked(line: Line, frame: bytes, at_s: float, until_s: float) -> list[tuple[float, bytes]]:
    """What comes back, polled when the line says so."""
    line.receive(frame, at_s)
    got, now_s = [], at_s
    while (next_s := line.next_s(now_s)) is not None and next_s <= until_s:
        now_s = max(next_s, now_s + 1e-5)
        data = line.due(now_s)
        if data:
            got.append((now_s, data))
    return got


def _line(late_s: float = 0.0) -> Line:
    return Line(LineConfig(turnaround_s=0.004, late_s=late_s), Bench().model.answer)


def test_bytes_take_their_time() -> None:
    got = _asked(_line(), READ_ANGLES, 10.0, 10.1)
    assert b"".join(data for _, data in got) == ALL_OPEN
    # 9 bytes there, 4 ms, 20 bytes back, ten bits a byte
    assert got[-1][0] - 10.0 == pytest.approx((9 + 20) * 10 / 115200 + 0.004, abs=1e-4)
    assert len(got) >= 2
    times_s = [_asked(_line(0.0018), READ_ANGLES, 0.0, 1.0)[-1][0] for _ in range(2)]
    assert times_s[0] == times_s[1] <= 0.0066 + 0.0018


def test_the_line_is_half_duplex() -> None:
    line = _line()
    line.receive(READ_ANGLES, 0.0)
    line.receive(READ_ANGLES, 0.002)  # the hand prepares its answer
    got = line.due(0.0055)
    assert 0 < len(got) < len(ALL_OPEN)
    line.receive(READ_ANGLES, 0.0055)  # the hand speaks
    assert got + line.due(0.1) == ALL_OPEN
    assert line.next_s(0.1) is None
    assert line.counts["lost_while_busy"] == 2


def test_half_a_frame_is_forgotten() -> None:
    line = _line()
    line.receive(READ_ANGLES[:5], 0.0)
    assert b"".join(data for _, data in _asked(line, READ_ANGLES[5:], 0.005, 0.1)) == ALL_OPEN
    line.receive(READ_ANGLES[:5], 1.0)
    assert _asked(line, READ_ANGLES[5:], 1.1, 1.2) == []


def test_disturbances() -> None:
    model = Bench().model
    line = Line(LineConfig(late_s=0.0), model.answer)
    line.disturbances.drop = 1
    assert _asked(line, SET_ANGLES, 0.0, 0.5) == []
    assert model.registers.get("ANGLE_SET")[0] == 500  # done, though not acknowledged
    line.disturbances.corrupt = 1
    assert b"".join(d for _, d in _asked(line, READ_FORCES, 1.0, 1.5)) == AT_REST[:-1] + SPOILT_SUM
    line.disturbances.delay_s = 0.03
    assert _asked(line, READ_ANGLES, 2.0, 2.5)[0][0] > 2.03
    line.disturbances.silent = True
    requests = model.counts["requests"]
    assert _asked(line, READ_ANGLES, 3.0, 3.5) == []
    assert model.counts["requests"] == requests
    line.disturb(b"\x55\xaa", 4.0)
    assert line.due(4.1) == b"\x55\xaa"
