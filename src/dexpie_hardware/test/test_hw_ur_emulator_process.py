"""The emulator against the genuine ur_rtde, each in a process of its own."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from ur_client_for_tests import ClientError, ur_client
from ur_emulator_for_tests import own_host, ur_emulator

from dexpie_core import se3, ur5
from dexpie_core.plant import ArmState, decode, encode
from dexpie_hardware.emulators.control import ControlError
from dexpie_hardware.emulators.ur.controller import BRAKING_S
from dexpie_hardware.emulators.ur.poses import matrix_from_pose, pose_from_matrix
from dexpie_ros.testing import await_true

pytestmark = pytest.mark.processes

HOME = [0.0, -1.5708, 1.5708, -1.5708, -1.5708, 0.0]
CYCLE_S = {"cb3": 0.008, "e-series": 0.002}
UNREACHABLE = [1.5, 0.0, 0.3, 0.0, 3.0, 0.0]
QUICK = ("--program-start", "0.02", "--power-change", "0.05")


@contextlib.contextmanager
def connected(*options, interfaces=("receive", "control")):
    """An emulator and the library's interfaces to it, each named as its kind."""
    with ur_emulator(*QUICK, *options) as emulator, ur_client(emulator.host) as client:
        for interface in interfaces:
            client.open(interface, interface)
            if interface == "dashboard":
                client.call("dashboard", "connect")
        yield emulator, client


def cpu_s(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pose_error(pose, T):
    """Metres and radians between a pose and a transform."""
    found = matrix_from_pose(pose)
    turned = float(se3.rotation_angle(found[:3, :3], T[:3, :3]))
    return float(np.linalg.norm(found[:3, 3] - T[:3, 3])), turned


def restart_program(client):
    client.call("control", "reuploadScript")
    await_true(lambda: client.call("control", "isProgramRunning"), "the program", 5.0)


@pytest.mark.parametrize("model", ["cb3", "e-series"])
def test_both_generations_connect_and_tell_the_truth(model):
    everything = ("receive", "control", "io", "dashboard")
    with connected("--model", model, interfaces=everything) as (_, client):
        assert client.call("control", "isProgramRunning")
        assert client.call("receive", "getRobotMode") == 7
        assert client.call("receive", "getSafetyMode") == 1
        assert client.call("receive", "getSafetyStatusBits") == 1
        assert client.call("receive", "getRobotStatus") == 3
        assert client.call("receive", "getRuntimeState") == 2
        assert client.call("receive", "getJointMode") == [253] * 6
        assert client.call("receive", "getActualQ") == HOME
        pose = client.call("receive", "getActualTCPPose")
        assert pose_error(pose, ur5.forward(HOME)) < (1e-9, 1e-9)
        version = {"cb3": "3.15.8.106339", "e-series": "5.11.6.1010"}[model]
        assert client.call("dashboard", "polyscopeVersion") == version
        assert client.call("dashboard", "programState") == "PLAYING unnamed"
        assert client.call("dashboard", "robotmode") == "Robotmode: RUNNING"
        rows = client.collect("receive", ["getTimestamp", "getTargetQ"], 0.6)
        steps = np.diff([row[0] for row in rows]) / CYCLE_S[model]
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)
        assert steps.min() > 0.5


@pytest.mark.realtime
def test_timestamps_tell_the_time_that_has_passed_even_when_cycles_were_missed():
    with ur_emulator("--model", "e-series") as emulator:
        first, begun_s = emulator.state(), time.monotonic()
        emulator.command("freeze", duration_s=0.6)
        time.sleep(0.7)
        last, passed_s = emulator.state(), time.monotonic() - begun_s
        assert last["skipped_cycles"] - first["skipped_cycles"] > 200
        # The process may have been late by the load of the machine, at either end.
        assert abs(last["timestamp_s"] - first["timestamp_s"] - passed_s) < 0.3


def test_a_recipe_of_the_clients_own_choice_at_25_hz():
    names = ["timestamp", "actual_q", "actual_TCP_pose", "safety_status_bits", "runtime_state", "robot_mode"]
    with connected(interfaces=()) as (_, client):
        client.open("receive", "receive", 25.0, names)
        rows = client.collect("receive", ["getTimestamp", "getActualQ"], 0.5)
        periods = np.diff([row[0] for row in rows]) / 0.04
        np.testing.assert_allclose(periods, np.round(periods), atol=1e-6)
        assert periods.min() > 0.5
        with pytest.raises(ClientError, match="actual_TCP_speed"):
            client.call("receive", "getActualTCPSpeed")


@pytest.mark.realtime
def test_servol_follows_with_the_lag_and_costs_little():
    with connected() as (emulator, client):
        start = client.call("receive", "getActualTCPPose")
        speed_m_s, period_s = 0.05, 0.008
        targets = [[*start[:2], start[2] + speed_m_s * period_s * k, *start[3:]] for k in range(200)]
        used_s, begun_s = cpu_s(emulator.process.pid), time.monotonic()
        seen = client.stream("control", "servoL", targets, 0.5, 0.5, period_s, 0.1, 300.0)
        share = (cpu_s(emulator.process.pid) - used_s) / (time.monotonic() - begun_s)
        assert seen["accepted"]
        behind_m = [target[2] - row[2][2] for target, row in zip(targets, seen["rows"], strict=True)]
        assert 0.08 < np.median(behind_m[80:]) / speed_m_s < 0.16
        assert share < 0.25
        log = emulator.command("servo_log", newest=200)["targets"]
        assert [entry[1] for entry in log] == [24] * 200
        np.testing.assert_allclose([entry[2:] for entry in log], targets)
        assert client.call("control", "servoStop", 10.0)
        assert emulator.state()["motion"] != "Servo"


def test_servoj_and_moves_arrive():
    with connected() as (emulator, client):
        target = [0.1, -1.5, 1.6, -1.6, -1.5, 0.1]
        client.stream("control", "servoJ", [target] * 120, 0.5, 0.5, 0.008, 0.05, 300.0)
        np.testing.assert_allclose(client.call("receive", "getActualQ"), target, atol=1e-3)
        assert client.call("control", "servoStop", 10.0)
        assert client.call("control", "moveJ", HOME, 2.0, 8.0)
        emulator.await_state("the joints at home", q=HOME)
        up = ur5.forward(HOME)
        up[2, 3] += 0.05
        assert client.call("control", "moveL", pose_from_matrix(up), 0.5, 2.0)
        await_true(
            lambda: max(pose_error(client.call("receive", "getActualTCPPose"), up)) < 1e-6, "the line's end"
        )
        away = ur5.forward(target)
        assert client.call("control", "moveJ_IK", pose_from_matrix(away), 2.0, 8.0)
        assert client.call("control", "moveJ", HOME, 0.2, 1.0, True)
        await_true(lambda: client.call("control", "getAsyncOperationProgress") == 0, "the move under way")
        client.call("control", "stopJ", 10.0)
        await_true(lambda: client.call("control", "getAsyncOperationProgress") < 0, "the end of the move")


def test_queries_and_tool_equal_the_kinematics():
    offset = [0.01, -0.02, 0.12, 0.0, 0.4, 0.1]
    q = [0.2, -1.3, 1.4, -1.7, -1.4, 0.3]
    T_offset = matrix_from_pose(offset)
    with connected() as (emulator, client):
        assert client.call("control", "setTcp", offset)
        assert client.call("control", "setPayload", 1.25, [0.0, 0.01, 0.06])
        state = emulator.state()
        assert state["payload_kg"] == 1.25
        assert state["payload_cog_m"] == [0.0, 0.01, 0.06]
        assert client.call("control", "getTCPOffset") == pytest.approx(offset)
        in_hand = ur5.forward(HOME, T_offset)
        await_true(
            lambda: max(pose_error(client.call("receive", "getActualTCPPose"), in_hand)) < 1e-9, "the tool"
        )
        assert max(pose_error(client.call("control", "getForwardKinematics", q, offset), in_hand)) > 0.1
        reached = ur5.forward(q, T_offset)
        assert max(pose_error(client.call("control", "getForwardKinematics", q, offset), reached)) < 1e-9
        pose = pose_from_matrix(reached)
        assert client.call("control", "getInverseKinematics", pose, q) == pytest.approx(q)
        near_home = ur5.inverse(reached, HOME, T_offset)
        assert client.call("control", "getInverseKinematics", pose) == pytest.approx(near_home)
        assert client.call("control", "getInverseKinematicsHasSolution", pose)
        assert not client.call("control", "getInverseKinematicsHasSolution", UNREACHABLE)
        assert client.call("control", "isPoseWithinSafetyLimits", pose)
        assert not client.call("control", "isPoseWithinSafetyLimits", UNREACHABLE)
        assert client.call("control", "isJointsWithinSafetyLimits", q)
        assert not client.call("control", "isJointsWithinSafetyLimits", [6.5, *q[1:]])
        assert client.call("control", "isSteady")


def test_unreachable_pose_stops_the_program_and_uploading_again_starts_it():
    with connected() as (emulator, client):
        client.call("control", "setTcp", [0.0, 0.0, 0.1, 0.0, 0.0, 0.0])
        client.call("control", "servoL", UNREACHABLE, 0.5, 0.5, 0.008, 0.1, 300.0)
        await_true(lambda: not client.call("control", "isProgramRunning"), "the end of the program")
        assert "no solution" in emulator.state()["messages"][-1]
        assert emulator.state()["q"] == HOME
        assert not client.call("control", "servoJ", HOME, 0.5, 0.5, 0.008, 0.1, 300.0)
        restart_program(client)
        assert client.call("control", "getTCPOffset") == [0.0] * 6
        assert client.call("control", "moveJ", [0.05, *HOME[1:]], 2.0, 8.0)


def test_controllers_watchdog_stops_a_program_that_hears_nothing():
    with connected() as (emulator, client):
        assert client.call("control", "setWatchdog", 5.0)
        assert emulator.state()["watchdog_hz"] == 5.0
        client.stream("control", "servoJ", [HOME] * 60, 0.5, 0.5, 0.008, 0.1, 300.0)
        assert client.call("control", "isProgramRunning")
        await_true(lambda: not client.call("control", "isProgramRunning"), "the watchdog", 5.0)
        assert "watchdog" in emulator.state()["messages"][-1]


def await_braked(emulator):
    """Until it has run the cycles of its braking: what is commanded meanwhile may move the arm a little."""

    def cycles_run():
        state = emulator.state()
        return state["cycles"] - state["skipped_cycles"]

    standing = cycles_run() + BRAKING_S / CYCLE_S["cb3"] + 1
    await_true(lambda: cycles_run() > standing, "the arm to stand")


@pytest.mark.parametrize("paused", [False, True])
def test_protective_stop_and_recovery(paused):
    options = ["--unlock-after", "1.0", *(["--paused-when-stopped"] if paused else [])]
    with connected(*options, interfaces=("receive", "control", "dashboard")) as (emulator, client):
        emulator.command("protective_stop")
        await_true(lambda: client.call("receive", "isProtectiveStopped"), "the stop")
        with pytest.raises(ClientError, match="Cannot unlock protective stop until 5s after occurrence"):
            client.call("dashboard", "unlockProtectiveStop")
        assert client.call("dashboard", "safetymode") == "Safetymode: PROTECTIVE_STOP"
        runtime = 4 if paused else 2
        await_true(lambda: client.call("receive", "getRuntimeState") == runtime, "the state of the program")
        await_braked(emulator)
        # The library says yes although nothing moves, as long as the program says it plays.
        servo = client.call("control", "servoJ", [0.3, *HOME[1:]], 0.5, 0.5, 0.008, 0.1, 300.0)
        assert servo is not paused
        assert not client.call("control", "moveJ", [0.3, *HOME[1:]])
        assert emulator.state()["q"] == HOME

        def unlocked():
            with contextlib.suppress(ClientError):
                client.call("dashboard", "unlockProtectiveStop")
                return True
            return False

        client.call("dashboard", "closeSafetyPopup")
        await_true(unlocked, "the unlocking", 5.0)
        await_true(lambda: client.call("receive", "getSafetyMode") == 1, "safety normal")
        restart_program(client)
        assert client.call("control", "moveJ", [0.1, *HOME[1:]], 2.0, 8.0)


def test_emergency_stop_and_recovery():
    with connected(interfaces=("receive", "control", "dashboard")) as (emulator, client):
        emulator.command("emergency_stop", pressed=True)
        await_true(lambda: client.call("receive", "isEmergencyStopped"), "the stop")
        assert not client.call("receive", "isProtectiveStopped")
        await_true(lambda: client.call("receive", "getRobotMode") == 3, "power off")
        assert client.call("receive", "getRobotStatus") == 0
        assert client.call("dashboard", "safetymode") == "Safetymode: ROBOT_EMERGENCY_STOP"
        emulator.command("emergency_stop", pressed=False)
        client.call("dashboard", "powerOn")
        await_true(lambda: client.call("receive", "getRobotMode") == 5, "idle")
        client.call("dashboard", "brakeRelease")
        await_true(lambda: client.call("receive", "getRobotMode") == 7, "running")
        restart_program(client)
        assert client.call("control", "moveJ", [0.1, *HOME[1:]], 2.0, 8.0)


def test_only_one_client_controls():
    with connected(interfaces=("receive", "control", "io")) as (_, client):
        with pytest.raises(ClientError, match="already in use"):
            client.open("second", "control")
        assert client.call("control", "moveJ", [0.05, *HOME[1:]], 2.0, 8.0)
        client.call("control", "stopScript")
        client.call("control", "disconnect")
        client.open("second", "control")
        assert client.call("second", "isProgramRunning")


def test_io_beside_control():
    with connected(interfaces=("receive", "control", "io")) as (emulator, client):
        assert client.call("io", "setSpeedSlider", 0.25)
        await_true(lambda: client.call("receive", "getTargetSpeedFraction") == 0.25, "the speed slider")
        assert client.call("receive", "getSpeedScaling") == 0.25
        assert client.call("io", "setStandardDigitalOut", 3, True)
        await_true(lambda: client.call("receive", "getDigitalOutState", 3), "the output")
        assert client.call("io", "setInputDoubleRegister", 20, 1.5)
        await_true(lambda: emulator.state()["input_doubles"][20] == 1.5, "the register")
        # 0.2 rad at 1 rad/s and 8 rad/s^2 take 0.325 s at full speed, at a quarter of it four times that.
        begun_s = emulator.state()["timestamp_s"]
        assert client.call("control", "moveJ", [0.2, *HOME[1:]], 1.0, 8.0)
        assert emulator.state()["timestamp_s"] - begun_s > 1.25


def test_frozen_link_and_reconnection():
    with connected(interfaces=("receive",)) as (emulator, client):
        emulator.command("freeze")
        held = client.call("receive", "getTimestamp")
        frozen_at = emulator.state()["cycles"]
        await_true(lambda: not client.call("receive", "isConnected"), "the library's own time limit", 6.0)
        assert emulator.state()["cycles"] == frozen_at
        assert client.call("receive", "getTimestamp") - held < 0.1  # the last value, without any error
        emulator.command("unfreeze")
        assert client.call("receive", "reconnect")
        await_true(lambda: client.call("receive", "getTimestamp") > held + 1.0, "fresh data")


def test_silent_link_while_the_robot_goes_on():
    with connected() as (emulator, client):
        assert client.call("control", "setWatchdog", 10.0)
        emulator.command("freeze", link_only=True, duration_s=0.4)
        emulator.await_state("the watchdog", runtime_state="STOPPED")
        await_true(lambda: not client.call("control", "isProgramRunning"), "the news of it")
        assert client.call("receive", "isConnected")


def test_dropped_connections_and_reconnection():
    with connected(interfaces=("receive",)) as (emulator, client):
        assert emulator.command("drop_connections", port=30004) == {"dropped": 1}
        await_true(lambda: not client.call("receive", "isConnected"), "the loss")
        assert client.call("receive", "reconnect")
        assert client.call("receive", "isConnected")
        client.open("control", "control")
        assert client.call("control", "moveJ", [0.05, *HOME[1:]], 2.0, 8.0)


def test_killed_and_back():
    with ur_client(own_host(1)) as client:
        with ur_emulator(*QUICK, host=own_host(1)) as emulator:
            client.open("receive", "receive")
            emulator.process.kill()
            await_true(lambda: not client.call("receive", "isConnected"), "the loss")
        with pytest.raises(ClientError, match="Could not connect"):
            client.open("other", "receive")
        with ur_emulator(*QUICK, "--initial-q", "0.5,-1.5,1.5,-1.5,-1.5,0", host=own_host(1)):
            assert client.call("receive", "reconnect")
            await_true(lambda: client.call("receive", "getActualQ")[0] == 0.5, "data of the new one")


def test_local_control_refuses_programs_of_polyscope_5():
    with connected("--model", "e-series", interfaces=()) as (emulator, client):
        emulator.command("remote_control", enabled=False)
        with pytest.raises(ClientError, match="remote control"):
            client.open("control", "control")
        emulator.command("remote_control", enabled=True)
        client.open("control", "control")
        assert client.call("control", "isProgramRunning")


def test_carried_arm_and_contact():
    with connected() as (emulator, client):
        elsewhere = [0.4, -1.4, 1.4, -1.5, -1.5, 0.2]
        emulator.command("move_by_hand", q=elsewhere)
        await_true(lambda: client.call("receive", "getActualQ") == elsewhere, "the joints elsewhere")
        await_true(lambda: not client.call("control", "isProgramRunning"), "the end of the program")
        emulator.command("contact_force", newton=200.0)
        await_true(lambda: client.call("receive", "isProtectiveStopped"), "the stop")
        assert client.call("receive", "getActualTCPForce")[2] == 200.0


class Physics(threading.Thread):
    """Answers every target of the arm; its joints go to the reference at once, unless they are carried."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self.q, self.resets, self.carry_to = np.array(HOME) + 0.2, 7, None
        self.silent, self.force_n = False, 0.0
        self.start()

    def run(self):
        while True:
            datagram, sender = self._socket.recvfrom(256)
            if not datagram:
                return
            if self.carry_to is not None:
                self.q, self.resets, self.carry_to = self.carry_to, self.resets + 1, None
            target = decode(datagram)
            if target.resets == self.resets:
                self.q = target.q_rad
            state = ArmState(self.resets, time.monotonic(), self.force_n, self.q, np.zeros(6))
            if not self.silent:
                with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                    self._socket.sendto(encode(state), sender)

    def stop(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"", self._socket.getsockname())
        self.join()
        self._socket.close()


def test_physics_moves_the_joints(tmp_path):
    path = tmp_path / "plant"
    options = [*QUICK, "--plant", str(path)]
    with ur_emulator(*options) as emulator, ur_client(emulator.host) as client:
        client.open("receive", "receive")
        assert client.call("receive", "getRobotMode") == 2  # booting: nothing has come from the physics
        physics = Physics(path)
        try:
            emulator.await_state("the first state", robot_mode="RUNNING")
            client.open("control", "control")
            target = [0.1, -1.5, 1.6, -1.6, -1.5, 0.1]
            assert client.call("control", "moveJ", target, 2.0, 8.0)
            np.testing.assert_allclose(physics.q, target, atol=1e-2)
            elsewhere = np.array([0.4, -1.4, 1.4, -1.5, -1.5, 0.2])
            physics.carry_to = elsewhere
            await_true(lambda: client.call("receive", "getActualQ") == elsewhere.tolist(), "the joints there")
            await_true(lambda: not client.call("control", "isProgramRunning"), "the end of the program")
            restart_program(client)
            np.testing.assert_array_equal(physics.q, elsewhere)
            physics.force_n = 200.0
            await_true(lambda: client.call("receive", "isProtectiveStopped"), "the stop by contact")
            physics.silent = True
            await_true(lambda: client.call("receive", "getSafetyMode") == 9, "the fault of silent physics")
        finally:
            physics.stop()


def test_it_may_wait_for_the_physics_before_it_takes_clients(tmp_path):
    address = (own_host(8), 30004)
    command = [sys.executable, "-m", "dexpie_hardware.emulators.ur", "--host", address[0], *QUICK]
    command += [
        "--control",
        str(tmp_path / "control"),
        "--plant",
        str(tmp_path / "plant"),
        "--wait-for-plant",
    ]
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as physics,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process,
    ):
        try:
            physics.bind(str(tmp_path / "plant"))
            physics.settimeout(20.0)
            target, sender = physics.recvfrom(256)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address, timeout=5.0)
            state = ArmState(1, 0.0, 0.0, decode(target).q_rad, np.zeros(6))
            physics.sendto(encode(state), sender)
            assert process.stdout.readline() == f"ready {address[0]}\n"
            socket.create_connection(address, timeout=5.0).close()
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(5.0) == 0


def test_wrong_use_of_the_control_channel_is_refused():
    with ur_emulator() as emulator:
        with pytest.raises(ControlError, match="no command 'explode'"):
            emulator.command("explode")
        with pytest.raises(ControlError, match="six joint angles"):
            emulator.command("move_by_hand", q=[1.0, 2.0])
        with pytest.raises(ControlError, match=r"fraction 1.5"):
            emulator.command("speed_slider", fraction=1.5)
        with pytest.raises(ControlError, match="unexpected keyword"):
            emulator.command("protective_stop", hard=True)
        assert emulator.state()["safety_mode"] == "NORMAL"
        emulator.command("freeze")
        emulator.process.send_signal(signal.SIGTERM)
        assert emulator.process.wait(5.0) == 0
        assert not emulator.control.exists()


def test_an_address_that_is_taken_is_an_error_of_one_line(tmp_path):
    with ur_emulator() as emulator:
        command = [sys.executable, "-m", "dexpie_hardware.emulators.ur", "--host", emulator.host]
        command += ["--control", str(tmp_path / "control")]
        second = subprocess.run(command, capture_output=True, text=True, timeout=20.0)
    assert second.returncode == 1
    assert f"{emulator.host}:30004: Address already in use" in second.stderr
    assert len(second.stderr.splitlines()) == 1
