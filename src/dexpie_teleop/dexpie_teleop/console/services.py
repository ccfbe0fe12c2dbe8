"""What every action calls, and what its answer means; pure. Scripts and pedals may call the same services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from dexpie_core import topics
from dexpie_teleop.console.keys import TARGETS, Action

SET_MODE: Final = "dexpie_msgs/srv/SetMode"
END_EPISODE: Final = "dexpie_msgs/srv/EndEpisode"
TRIGGER: Final = "std_srvs/srv/Trigger"

SERVICES: Final[dict[str, tuple[str, float]]] = {
    topics.SET_MODE_SERVICE: (SET_MODE, 2.0),
    topics.EPISODE_END_SERVICE: (END_EPISODE, 15.0),  # it answers when the bag is on the disk
    topics.ARM_RECOVER_SERVICE: (TRIGGER, 30.0),  # brakes and a program that starts again take their time
    topics.HAND_RECOVER_SERVICE: (TRIGGER, 10.0),
    topics.COLLECTION_CONTINUE_SERVICE: (TRIGGER, 5.0),
    topics.COLLECTION_NEXT_STAGE_SERVICE: (TRIGGER, 5.0),
    topics.COLLECTION_STOP_SERVICE: (TRIGGER, 5.0),
}
"""Type of each service, and how long to wait for its answer, s."""

_EPISODE_ACTIONS: Final = (Action.SUCCESS, Action.FAILURE, Action.DISCARD)
_COLLECTION_SERVICES: Final[dict[Action, str]] = {
    Action.CONTINUE: topics.COLLECTION_CONTINUE_SERVICE,
    Action.NEXT_STAGE: topics.COLLECTION_NEXT_STAGE_SERVICE,
    Action.END_COLLECTION: topics.COLLECTION_STOP_SERVICE,
}


@dataclass(frozen=True)
class ServiceCall:
    """One request; `what` is the operator's word for it."""

    what: str
    service: str
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def typename(self) -> str:
        """Type of the service."""
        return SERVICES[self.service][0]

    @property
    def timeout_s(self) -> float:
        """How long to wait for the answer."""
        return SERVICES[self.service][1]


@dataclass(frozen=True)
class Answer:
    """What came of a call."""

    call: ServiceCall
    accepted: bool
    message: str

    def __str__(self) -> str:
        """One line for the log."""
        verdict = "accepted" if self.accepted else "REFUSED"
        return f"{self.call.what}: {verdict}{': ' if self.message else ''}{self.message}"


def calls_for(action: Action, arm_problem: str = "", hand_problem: str = "") -> tuple[ServiceCall, ...]:
    """The calls of an action, each made when the one before was accepted; empty for QUIT.

    Recovery recovers the devices that have a problem, then asks the executor for IDLE.
    """
    if action is Action.RECOVER:
        calls = []
        if arm_problem:
            calls.append(ServiceCall("recover arm", topics.ARM_RECOVER_SERVICE))
        if hand_problem:
            calls.append(ServiceCall("recover hand", topics.HAND_RECOVER_SERVICE))
        return (*calls, _set_mode(Action.STOP, "recover"))
    if action in TARGETS:
        return (_set_mode(action, action.value),)
    if action in _EPISODE_ACTIONS:
        fields = {"outcome": action.value, "reason": "the operator says so"}
        return (ServiceCall(action.value, topics.EPISODE_END_SERVICE, fields),)
    if action in _COLLECTION_SERVICES:
        return (ServiceCall(action.value, _COLLECTION_SERVICES[action]),)
    return ()


def answer_of(call: ServiceCall, response: Any) -> Answer:
    """The answer in a response of SetMode, EndEpisode or Trigger."""
    if call.typename == TRIGGER:
        return Answer(call, bool(response.success), response.message)
    bag_path = getattr(response, "bag_path", "")
    return Answer(call, bool(response.accepted), response.message or bag_path)


def _set_mode(action: Action, what: str) -> ServiceCall:
    fields = {"mode": int(TARGETS[action]), "reason": f"operator: {what}"}
    return ServiceCall(what, topics.SET_MODE_SERVICE, fields)
