"""Every topic and service of the cell, once: name, type, quality of service, whether it is recorded."""

from dataclasses import dataclass
from typing import Final, Literal

Qos = Literal["sensor", "command", "latched", "default"]
CAMERAS: Final = ("front", "wrist")


@dataclass(frozen=True)
class TopicSpec:
    """One topic. rate_hz is nominal (0 = on change); `recorded` topics make an episode's bag."""

    name: str
    type: str
    qos: Qos = "default"
    recorded: bool = True
    rate_hz: float = 0.0


JOINT_STATES: Final = TopicSpec("/arm/joint_states", "sensor_msgs/msg/JointState", "sensor", True, 50.0)
TCP_POSE: Final = TopicSpec("/arm/tcp_pose", "geometry_msgs/msg/PoseStamped", "sensor", True, 50.0)
ARM_STATUS: Final = TopicSpec("/arm/status", "dexpie_msgs/msg/ArmStatus", "latched", True, 1.0)
ARM_COMMAND: Final = TopicSpec("/arm/command", "dexpie_msgs/msg/ArmCommand", "command", False, 25.0)
HAND_STATE: Final = TopicSpec("/hand/state", "dexpie_msgs/msg/HandState", "sensor", True, 50.0)
HAND_COMMAND: Final = TopicSpec("/hand/command", "dexpie_msgs/msg/HandCommand", "command", False, 25.0)
TRACKER_POSE: Final = TopicSpec("/teleop/tracker_pose", "geometry_msgs/msg/PoseStamped", "sensor", True, 90.0)
GLOVE: Final = TopicSpec("/teleop/glove", "dexpie_msgs/msg/GloveState", "sensor", True, 120.0)
TELEOP_ACTION: Final = TopicSpec("/teleop/action", "dexpie_msgs/msg/Action", "command", True, 50.0)
POLICY_REQUEST: Final = TopicSpec("/policy/request", "dexpie_msgs/msg/ChunkRequest", "command")
POLICY_CHUNK: Final = TopicSpec("/policy/chunk", "dexpie_msgs/msg/ActionChunk", "command")
EXECUTED_ACTION: Final = TopicSpec(
    "/executor/action", "dexpie_msgs/msg/ExecutedAction", "default", True, 25.0
)
MODE: Final = TopicSpec("/executor/mode", "dexpie_msgs/msg/Mode", "latched")
EPISODE_EVENT: Final = TopicSpec("/episode/event", "dexpie_msgs/msg/EpisodeEvent", "latched")
COLLECTION_STATUS: Final = TopicSpec(
    "/collection/status", "dexpie_msgs/msg/CollectionStatus", "latched", recorded=False
)
CONSOLE: Final = TopicSpec("/operator/console", "std_msgs/msg/Header", "sensor", False, 10.0)
"""Life sign of the operator's console; silence of one that was heard stops the policy."""
CONSOLE_BYE: Final = "bye"
"""frame_id of the last life sign of a console that is closed on purpose."""
DIAGNOSTICS: Final = TopicSpec("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", "default", False, 1.0)
SCENE_STATE: Final = TopicSpec("/sim/scene_state", "dexpie_msgs/msg/SceneState", "sensor", True, 25.0)
SIM_QPOS: Final = TopicSpec("/sim/qpos", "std_msgs/msg/Float64MultiArray", "sensor", False, 25.0)

SET_MODE_SERVICE: Final = "/executor/set_mode"
EPISODE_START_SERVICE: Final = "/episode/start"
EPISODE_END_SERVICE: Final = "/episode/end"
ARM_RECOVER_SERVICE: Final = "/arm/recover"
HAND_RECOVER_SERVICE: Final = "/hand/recover"
POLICY_LOAD_SERVICE: Final = "/policy/load"
SIM_RESET_SERVICE: Final = "/sim/reset"
COLLECTION_CONTINUE_SERVICE: Final = "/collection/continue"
COLLECTION_NEXT_STAGE_SERVICE: Final = "/collection/next_stage"
COLLECTION_STOP_SERVICE: Final = "/collection/stop"


def compressed_image(camera: str) -> TopicSpec:
    """JPEG stream of a camera, at the recording rate."""
    return TopicSpec(
        f"/camera/{camera}/color/compressed", "sensor_msgs/msg/CompressedImage", "sensor", True, 25.0
    )


def raw_image(camera: str) -> TopicSpec:
    """Raw rgb8 stream of a camera."""
    return TopicSpec(f"/camera/{camera}/color/image_raw", "sensor_msgs/msg/Image", "sensor", False, 60.0)


def camera_info(camera: str) -> TopicSpec:
    """Intrinsics of a camera."""
    return TopicSpec(
        f"/camera/{camera}/color/camera_info", "sensor_msgs/msg/CameraInfo", "sensor", True, 25.0
    )


TOPICS: Final[tuple[TopicSpec, ...]] = (
    JOINT_STATES,
    TCP_POSE,
    ARM_STATUS,
    ARM_COMMAND,
    HAND_STATE,
    HAND_COMMAND,
    *(spec(camera) for camera in CAMERAS for spec in (compressed_image, raw_image, camera_info)),
    TRACKER_POSE,
    GLOVE,
    TELEOP_ACTION,
    POLICY_REQUEST,
    POLICY_CHUNK,
    EXECUTED_ACTION,
    MODE,
    EPISODE_EVENT,
    COLLECTION_STATUS,
    CONSOLE,
    DIAGNOSTICS,
    SCENE_STATE,
    SIM_QPOS,
)
RECORDED: Final = tuple(spec for spec in TOPICS if spec.recorded)
