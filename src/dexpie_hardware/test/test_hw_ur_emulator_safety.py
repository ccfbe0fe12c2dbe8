"""Stops, power, the hand that carries the arm, and the physics outside."""

import numpy as np
import pytest
from ur_controller_for_tests import HOME, SERVO_REST, Robot

from dexpie_core.plant import ArmState
from dexpie_hardware.emulators.ur.dashboard import TOO_EARLY, Dashboard
from dexpie_hardware.emulators.ur.program import RuntimeState
from dexpie_hardware.emulators.ur.safety import (
    POWER_TABLE,
    SAFETY_BITS,
    SAFETY_TABLE,
    Power,
    PowerEvent,
    RobotMode,
    SafetyEvent,
    SafetyMode,
)
from dexpie_hardware.emulators.ur.telemetry import robot_status_bits

SERVOJ = 11


def servoing(robot, offset=0.5):
    robot.send(SERVOJ, *(HOME + offset), *SERVO_REST)
    robot.seconds(0.1)
    return robot


def modes(robot):
    c = robot.controller
    return c.safety_mode, c.power.mode, c.program.state


def test_bits_of_the_safety_modes():
    assert SAFETY_BITS[SafetyMode.NORMAL] == 0b1
    assert SAFETY_BITS[SafetyMode.PROTECTIVE_STOP] == 0b100_0000_0100
    assert SAFETY_BITS[SafetyMode.ROBOT_EMERGENCY_STOP] == 0b100_1100_0000
    assert SAFETY_BITS[SafetyMode.SYSTEM_EMERGENCY_STOP] == 0b100_1010_0000
    assert SAFETY_BITS[SafetyMode.FAULT] == 0b110_0000_0000


@pytest.mark.parametrize("paused", [False, True])
def test_protective_stop_halts_the_arm_and_unlocking_lets_it_go_on(paused):
    robot = servoing(Robot(paused_when_stopped=paused).start())
    robot.controller.protective_stop("test")
    robot.seconds(0.15)
    expected = RuntimeState.PAUSED if paused else RuntimeState.PLAYING
    assert modes(robot) == (SafetyMode.PROTECTIVE_STOP, RobotMode.RUNNING, expected)
    assert not np.any(robot.arm.qd_ref)
    stopped_at = robot.arm.q_ref
    robot.seconds(3.0)
    assert not robot.controller.unlock()
    assert robot.controller.safety_mode == SafetyMode.PROTECTIVE_STOP
    robot.seconds(2.0)
    np.testing.assert_array_equal(robot.arm.q_ref, stopped_at)
    assert robot.controller.unlock()
    robot.seconds(1.0)
    if paused:
        np.testing.assert_array_equal(robot.arm.q_ref, stopped_at)
        assert robot.controller.play()
        robot.seconds(1.0)
    # The servo still holds the target of before: an unlocked program moves.
    np.testing.assert_allclose(robot.arm.q_ref, HOME + 0.5, atol=1e-3)


def test_the_arm_brakes_instead_of_jumping_to_rest():
    robot = servoing(Robot().start())
    moving = float(np.max(np.abs(robot.arm.qd_ref)))
    robot.controller.protective_stop("test")
    robot.cycles()
    assert 0.5 * moving < float(np.max(np.abs(robot.arm.qd_ref))) <= moving


def test_a_second_protective_stop_does_not_restart_the_wait():
    robot = Robot().start()
    robot.controller.protective_stop("first")
    robot.seconds(4.0)
    robot.controller.protective_stop("second")
    robot.seconds(1.1)
    assert robot.controller.unlock()


@pytest.mark.parametrize("system", [False, True])
def test_emergency_stop_takes_power_and_program(system):
    robot = servoing(Robot().start())
    pressed = SafetyEvent.SYSTEM_EMERGENCY if system else SafetyEvent.ROBOT_EMERGENCY
    stopped = SafetyMode.SYSTEM_EMERGENCY_STOP if system else SafetyMode.ROBOT_EMERGENCY_STOP
    robot.controller.safety_event(pressed)
    robot.seconds(0.2)
    assert modes(robot) == (stopped, RobotMode.POWER_OFF, RuntimeState.STOPPED)
    robot.controller.power_on()  # still pressed
    assert robot.controller.power.mode == RobotMode.POWER_OFF
    robot.seconds(1.0)
    assert robot.controller.power.mode == RobotMode.POWER_OFF
    robot.controller.safety_event(SafetyEvent.EMERGENCY_RELEASED)
    robot.controller.brake_release()
    robot.seconds(1.0)
    assert modes(robot) == (SafetyMode.NORMAL, RobotMode.POWER_OFF, RuntimeState.STOPPED)
    robot.controller.upload()
    robot.seconds(0.1)
    assert "program not started" in robot.controller.message_log[-1]
    robot.controller.power_on()
    robot.cycles()
    assert robot.controller.power.mode == RobotMode.POWER_ON
    robot.seconds(0.3)
    assert robot.controller.power.mode == RobotMode.IDLE
    robot.controller.brake_release()
    robot.seconds(0.3)
    assert robot.controller.power.mode == RobotMode.RUNNING
    robot.start()


@pytest.mark.parametrize("event", [SafetyEvent.VIOLATION, SafetyEvent.FAULT])
def test_violation_and_fault_need_restart_safety(event):
    robot = Robot().start()
    robot.controller.safety_event(event)
    robot.seconds(6.0)
    robot.controller.unlock()
    robot.controller.safety_event(SafetyEvent.EMERGENCY_RELEASED)
    assert robot.controller.safety_mode == SafetyMode[event.name]
    robot.controller.safety_event(SafetyEvent.RESTART)
    assert modes(robot) == (SafetyMode.NORMAL, RobotMode.POWER_OFF, RuntimeState.STOPPED)


def test_safeguard_pauses_the_program():
    robot = servoing(Robot().start())
    robot.controller.safety_event(SafetyEvent.SAFEGUARD_OPENED)
    robot.seconds(0.2)
    assert modes(robot) == (SafetyMode.SAFEGUARD_STOP, RobotMode.RUNNING, RuntimeState.PAUSED)
    assert not robot.controller.play()
    robot.controller.safety_event(SafetyEvent.SAFEGUARD_CLOSED)
    assert robot.controller.play()
    robot.seconds(1.0)
    np.testing.assert_allclose(robot.arm.q_ref, HOME + 0.5, atol=1e-3)


def test_every_row_of_the_safety_table():
    for before, row in SAFETY_TABLE.items():
        for event in SafetyEvent:
            robot = Robot()
            robot.controller.safety_mode = before
            robot.controller.safety_event(event)
            assert robot.controller.safety_mode == row.get(event, before)


def test_every_row_of_the_power_table():
    for before, row in POWER_TABLE.items():
        for event in PowerEvent:
            power = Power(before, 0.1)
            assert power.apply(event) == (event in row)
            assert power.mode == row.get(event, before)


def test_contact_force_above_the_setting_stops():
    robot = Robot(protective_force_n=100.0).start()
    robot.arm.contact_force_n = 99.0
    robot.cycles(3)
    assert robot.controller.safety_mode == SafetyMode.NORMAL
    robot.arm.contact_force_n = 101.0
    robot.cycles()
    assert robot.controller.safety_mode == SafetyMode.PROTECTIVE_STOP


def test_joint_limit_stops_and_the_arm_stays_within():
    robot = Robot(initial_q=(6.2, -1.5, 1.5, -1.5, -1.5, 0.0)).start()
    robot.send(9, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0)  # speedJ
    robot.seconds(1.0)
    assert robot.controller.safety_mode == SafetyMode.PROTECTIVE_STOP
    assert robot.arm.q_ref[0] <= 2 * np.pi


def test_status_bits():
    robot = Robot()
    assert robot_status_bits(robot.controller) == 0b01
    robot.start()
    assert robot_status_bits(robot.controller) == 0b11
    robot.controller.power_off()
    robot.cycles(2)
    assert robot_status_bits(robot.controller) == 0b00


def test_an_arm_carried_by_hand_stands_where_it_was_put():
    robot = servoing(Robot().start())
    elsewhere = HOME + np.array([1.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    robot.controller.carry(elsewhere)
    robot.seconds(1.0)
    assert robot.controller.program.state == RuntimeState.STOPPED
    np.testing.assert_array_equal(robot.arm.q, elsewhere)
    np.testing.assert_array_equal(robot.arm.q_ref, elsewhere)
    robot.start()


class Physics:
    """Joints that go to the reference at once, and can be carried away."""

    def __init__(self, robot, q):
        self.robot, self.q, self.resets, self.force_n, self.time_s = robot, np.array(q), 0, 0.0, 0.0
        self.qd = np.zeros(6)

    def cycles(self, count=1):
        for _ in range(count):
            target = self.robot.controller.plant_target()
            self.time_s += 0.008
            if target.resets == self.resets and self.time_s > 0.05:
                self.q = np.array(target.q_rad)
            self.robot.cycles(1, ArmState(self.resets, self.time_s, self.force_n, self.q, self.qd))


def physical():
    robot = Robot(plant=True)
    physics = Physics(robot, HOME + 0.3)
    physics.resets = 4
    return robot, physics


def test_without_a_state_of_the_physics_the_robot_is_booting():
    robot = Robot(plant=True)
    robot.controller.upload()
    robot.seconds(2.0)
    assert modes(robot) == (SafetyMode.NORMAL, RobotMode.BOOTING, RuntimeState.STOPPED)
    assert "program not started" in robot.controller.message_log[-1]


def test_the_first_state_is_the_first_reference():
    robot, physics = physical()
    physics.cycles(2)
    assert robot.controller.power.mode == RobotMode.RUNNING
    np.testing.assert_array_equal(robot.controller.plant_target().q_rad, HOME + 0.3)
    assert robot.controller.plant_target().resets == 4


def test_joints_are_those_of_the_physics():
    robot, physics = physical()
    physics.cycles(20)
    robot.controller.upload()
    physics.cycles(2)
    robot.send(SERVOJ, *(HOME + 0.4), *SERVO_REST)
    physics.cycles(200)
    np.testing.assert_allclose(robot.arm.q, HOME + 0.4, atol=1e-4)
    np.testing.assert_array_equal(robot.arm.q, physics.q)


def test_joints_that_the_physics_carried_end_the_program():
    robot, physics = physical()
    physics.cycles(2)
    robot.controller.upload()
    physics.cycles(2)
    assert robot.controller.program.state == RuntimeState.PLAYING
    physics.resets, physics.q = 5, HOME - 0.2
    physics.cycles(2)
    assert robot.controller.program.state == RuntimeState.STOPPED
    target = robot.controller.plant_target()
    assert target.resets == 5
    np.testing.assert_array_equal(target.q_rad, HOME - 0.2)
    assert robot.controller.safety_mode == SafetyMode.NORMAL


def test_force_and_speed_of_the_physics_are_watched():
    robot, physics = physical()
    physics.cycles(2)
    physics.force_n = 200.0
    physics.cycles(1)
    assert "contact force 200 N" in robot.controller.message_log[-1]
    robot, physics = physical()
    physics.cycles(2)
    physics.qd = np.array([0.0, 0.0, 0.0, -4.0, 0.0, 0.0])
    physics.cycles(1)
    assert "joint speed 4.00 rad/s" in robot.controller.message_log[-1]


def test_silent_physics_is_a_fault():
    robot, physics = physical()
    physics.cycles(2)
    robot.seconds(0.45)
    assert robot.controller.safety_mode == SafetyMode.NORMAL
    robot.seconds(0.2)
    assert modes(robot) == (SafetyMode.FAULT, RobotMode.POWER_OFF, RuntimeState.STOPPED)
    robot.controller.safety_event(SafetyEvent.RESTART)
    robot.cycles()
    assert robot.controller.safety_mode == SafetyMode.FAULT  # still silent
    physics.cycles(1)
    robot.controller.safety_event(SafetyEvent.RESTART)
    physics.cycles(2)
    assert robot.controller.safety_mode == SafetyMode.NORMAL


def test_physics_that_answers_now_and_then_is_alive():
    robot, physics = physical()
    for _ in range(4):
        physics.cycles(1)
        robot.seconds(0.3)
    assert robot.controller.safety_mode == SafetyMode.NORMAL


def test_a_controller_that_hung_does_not_blame_the_physics():
    robot, physics = physical()
    physics.cycles(2)
    robot.now += 3.0
    robot.controller.advance(robot.now)
    assert robot.controller.safety_mode == SafetyMode.NORMAL


def dashboard(model="cb3"):
    robot = Robot(model)
    return robot, Dashboard(robot.controller)


@pytest.mark.parametrize(
    "line, answer",
    [
        ("robotmode", "Robotmode: RUNNING"),
        ("safetymode", "Safetymode: NORMAL"),
        ("safetystatus", "Safetystatus: NORMAL"),
        ("running", "Program running: false"),
        ("programState", "STOPPED unnamed"),
        ("PolyscopeVersion", "URSoftware 3.15.8.106339 (Mar 17 2021)"),
        ("stop", "Stopped"),
        ("play", "Failed to execute: play"),
        ("pause", "Failed to execute: pause"),
        ("close popup", "closing popup"),
        ("close safety popup", "closing safety popup"),
        ("popup mind your head", "showing popup"),
        ("power on", "Powering on"),
        ("power off", "Powering off"),
        ("brake release", "Brake releasing"),
        ("restart safety", "Restarting safety"),
        ("load cell.urp", "Loading program: cell.urp"),
        ("get loaded program", "No program loaded"),
        ("is in remote control", "could not understand: 'is in remote control'"),
        ("nonsense", "could not understand: 'nonsense'"),
        ("quit", "Disconnected"),
    ],
)
def test_dashboard_texts(line, answer):
    assert dashboard()[1].answer(line) == answer


def test_dashboard_of_polyscope_5():
    robot, board = dashboard("e-series")
    assert board.answer("get serial number").isdigit()
    assert board.answer("is in remote control") == "true"
    robot.controller.remote_control = False
    assert board.answer("is in remote control") == "false"
    assert not robot.controller.accepts_programs


def test_dashboard_tells_of_the_program():
    robot, board = dashboard()
    robot.start()
    assert board.answer("running") == "Program running: true"
    assert board.answer("pause") == "Pausing program"
    robot.seconds(0.2)
    assert board.answer("programState") == "PAUSED unnamed"
    assert board.answer("running") == "Program running: false"
    assert board.answer("play") == "Starting program"
    robot.seconds(0.2)
    assert board.answer("programState") == "PLAYING unnamed"


def test_dashboard_refuses_an_early_unlock():
    robot, board = dashboard()
    robot.controller.protective_stop("test")
    robot.seconds(1.0)
    assert board.answer("unlock protective stop") == TOO_EARLY
    assert board.answer("safetymode") == "Safetymode: PROTECTIVE_STOP"
    robot.seconds(4.5)
    assert board.answer("unlock protective stop") == "Protective stop releasing"
    assert board.answer("safetymode") == "Safetymode: NORMAL"
