"""One RTDE client: set-up, claims on registers, the rate that is asked for."""

import struct

import pytest
from ur_controller_for_tests import HOME, Robot

from dexpie_core import ur5
from dexpie_hardware.emulators.ur.poses import pose_from_matrix
from dexpie_hardware.emulators.ur.protocol import Package, ProtocolError, encode, take_packages
from dexpie_hardware.emulators.ur.session import Claims, RtdeSession
from dexpie_hardware.emulators.ur.telemetry import Telemetry
from dexpie_hardware.emulators.ur.variables import MODELS, outputs


class Clients:
    """Sessions of several clients with one robot."""

    def __init__(self, model="cb3"):
        self.robot = Robot(model)
        self._telemetry, self._claims = Telemetry(self.robot.controller), Claims()

    def new(self):
        return RtdeSession(self.robot.controller, self._telemetry, self._claims)

    def ask(self, session, kind, payload=b""):
        answer = bytearray(session.receive(encode(kind, payload), self.robot.now))
        return list(take_packages(answer))

    def outputs(self, session, names, frequency_hz=125.0):
        payload = struct.pack(">d", frequency_hz) + names.encode()
        ((_, answer),) = self.ask(session, Package.SETUP_OUTPUTS, payload)
        return answer[0], answer[1:].decode()

    def inputs(self, session, names):
        ((_, answer),) = self.ask(session, Package.SETUP_INPUTS, names.encode())
        return answer[0], answer[1:].decode()


@pytest.mark.parametrize("version, accepted", [(2, 1), (1, 0), (3, 0)])
def test_only_version_2_is_spoken(version, accepted):
    clients = Clients()
    answer = clients.ask(clients.new(), Package.VERSION, struct.pack(">H", version))
    assert answer == [(Package.VERSION, bytes([accepted]))]


def test_version_of_the_controller():
    clients = Clients("e-series")
    ((_, answer),) = clients.ask(clients.new(), Package.CONTROL_VERSION)
    assert struct.unpack(">4I", answer)[:3] == (5, 11, 6)


def test_outputs_are_served_in_the_order_asked_for():
    clients = Clients()
    session = clients.new()
    names = "actual_TCP_pose,timestamp,robot_mode,actual_q,"
    assert clients.outputs(session, names) == (1, "VECTOR6D,DOUBLE,INT32,VECTOR6D")
    assert session.due() == b""  # not started
    assert clients.ask(session, Package.START) == [(Package.START, b"\x01")]
    clients.robot.cycles(3)
    values = struct.unpack(">HBB6ddi6d", session.due())
    assert values[:3] == (3 + 1 + 48 + 8 + 4 + 48, ord("U"), 1)
    assert values[3:9] == pytest.approx(pose_from_matrix(ur5.forward(HOME)))
    assert values[9] == pytest.approx(0.024)
    assert values[10] == 7
    assert values[11:] == pytest.approx(HOME)
    assert session.due() == b""  # once a cycle
    clients.ask(session, Package.PAUSE)
    clients.robot.cycles()
    assert session.due() == b""


def test_unknown_output_is_not_found_and_nothing_starts():
    clients = Clients()
    session = clients.new()
    assert clients.outputs(session, "timestamp,ft_raw_wrench") == (0, "DOUBLE,NOT_FOUND")
    assert clients.ask(session, Package.START) == [(Package.START, b"\x00")]


def test_every_variable_of_both_generations_can_be_packed():
    for model in MODELS:
        clients = Clients(model)
        session = clients.new()
        names = ",".join(outputs(MODELS[model]))
        recipe_id, types = clients.outputs(session, names, 500.0)
        assert recipe_id == 1
        assert ("VECTOR6D" in types) and ("NOT_FOUND" not in types)
        clients.ask(session, Package.START)
        clients.robot.cycles()
        package = session.due()
        assert len(package) == struct.unpack_from(">H", package)[0]


@pytest.mark.parametrize(
    "model, frequency_hz, per_second",
    [
        ("cb3", 25.0, 25),
        ("cb3", 500.0, 125),
        ("e-series", 125.0, 125),
        ("cb3", -1.0, 125),
        ("cb3", float("nan"), 125),
    ],
)
def test_frequency_is_that_asked_for_and_at_most_the_model_s(model, frequency_hz, per_second):
    clients = Clients(model)
    session = clients.new()
    clients.outputs(session, "timestamp", frequency_hz)
    clients.ask(session, Package.START)
    sent = 0
    for _ in range(2 * round(clients.robot.controller.model.cycle_hz)):
        clients.robot.cycles()
        sent += bool(session.due())
    assert sent == 2 * per_second


def test_inputs_are_decoded_by_the_names_sent():
    clients = Clients()
    session = clients.new()
    assert clients.inputs(session, "input_double_register_3,input_int_register_0,") == (1, "DOUBLE,INT32")
    assert clients.inputs(session, "input_int_register_5") == (2, "INT32")
    assert clients.ask(session, Package.DATA, struct.pack(">Bdi", 1, 2.5, 24)) == []
    assert clients.ask(session, Package.DATA, struct.pack(">Bi", 2, -7)) == []
    inputs = clients.robot.controller.inputs
    assert (inputs.doubles[3], inputs.ints[0], inputs.ints[5]) == (2.5, 24, -7)


def test_a_register_has_one_owner_until_it_leaves():
    clients = Clients()
    first, second = clients.new(), clients.new()
    clients.inputs(first, "input_int_register_0,input_double_register_0")
    assert clients.inputs(first, "input_int_register_0") == (2, "INT32")
    names = "input_int_register_23,input_int_register_0"
    assert clients.inputs(second, names) == (0, "INT32,IN_USE")
    assert clients.inputs(second, "input_int_register_23,speed_slider_mask") == (1, "INT32,UINT32")
    first.close()
    assert clients.inputs(second, names) == (2, "INT32,INT32")


def test_the_256th_recipe_is_refused():
    clients = Clients()
    session = clients.new()
    ids = [clients.inputs(session, "input_int_register_0")[0] for _ in range(256)]
    assert ids == [*range(1, 256), 0]


def test_unknown_input_is_not_found():
    clients = Clients()
    assert clients.inputs(clients.new(), "input_int_register_48") == (0, "NOT_FOUND")


@pytest.mark.parametrize("payload", [b"", b"\x09", b"\x01\x00\x00"])
def test_data_that_fits_no_recipe_is_told_and_changes_nothing(payload):
    clients = Clients()
    session = clients.new()
    clients.inputs(session, "input_int_register_0")
    ((kind, _),) = clients.ask(session, Package.DATA, payload)
    assert kind == Package.TEXT
    assert clients.robot.controller.inputs.ints[0] == 0


def test_short_servo_package_changes_nothing():
    """What ur_rtde sends for a servoJ with five joints."""
    clients = Clients()
    session = clients.new()
    names = "input_int_register_0," + ",".join(f"input_double_register_{i}" for i in range(11))
    clients.inputs(session, names)
    ((kind, _),) = clients.ask(session, Package.DATA, struct.pack(">Bi10d", 1, 11, *range(10)))
    assert kind == Package.TEXT
    assert clients.robot.controller.inputs.ints[0] == 0


def test_speed_slider_and_digital_outputs_follow_their_masks():
    clients = Clients()
    session = clients.new()
    clients.inputs(session, "speed_slider_mask,speed_slider_fraction")
    clients.inputs(session, "standard_digital_output_mask,standard_digital_output")
    switched = clients.robot.controller.switched
    clients.ask(session, Package.DATA, struct.pack(">BId", 1, 0, 0.5))
    assert switched.speed_slider == 1.0
    clients.ask(session, Package.DATA, struct.pack(">BId", 1, 1, 0.5))
    assert switched.speed_slider == 0.5
    clients.ask(session, Package.DATA, struct.pack(">BBB", 2, 0b110, 0b011))
    assert switched.digital_bits == 0b010


def test_unknown_package_is_told():
    clients = Clients()
    ((kind, payload),) = clients.ask(clients.new(), ord("Z"))
    assert kind == Package.TEXT
    assert b"unknown package type 90" in payload


def test_bytes_that_are_no_package_close_the_connection():
    with pytest.raises(ProtocolError):
        Clients().new().receive(b"\x00\x01U", 0.0)
