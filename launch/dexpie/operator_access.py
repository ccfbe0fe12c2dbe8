"""The session's face to the operator: /collection/status and the three services on /collection."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from std_srvs.srv import Trigger

from dexpie.graph_client import GraphClient
from dexpie.session_desk import Answer, SessionDesk
from dexpie_core import messages
from dexpie_core.topics import (
    COLLECTION_CONTINUE_SERVICE,
    COLLECTION_NEXT_STAGE_SERVICE,
    COLLECTION_STATUS,
    COLLECTION_STOP_SERVICE,
)
from dexpie_msgs.msg import CollectionStatus
from dexpie_ros.factory import make
from dexpie_ros.qos import profile


class OperatorAccess:
    """Publishes where the desk stands, and takes the operator's requests to it."""

    def __init__(self, client: GraphClient, desk: SessionDesk, task: str) -> None:
        self._client, self._desk, self._task = client, desk, task
        self._publisher = client.node.create_publisher(
            CollectionStatus, COLLECTION_STATUS.name, profile(COLLECTION_STATUS)
        )
        for service, ask in (
            (COLLECTION_CONTINUE_SERVICE, desk.ask_continue),
            (COLLECTION_NEXT_STAGE_SERVICE, desk.ask_next_stage),
            (COLLECTION_STOP_SERVICE, desk.ask_stop),
        ):
            self._serve(service, ask)

    def _serve(self, service: str, ask: Callable[[], Answer]) -> None:
        def answer(_: Any, response: Any) -> Any:
            with self._client.changed:
                given = ask()
                self._client.changed.notify_all()
            response.success, response.message = given.accepted, given.message
            return response

        self._client.node.create_service(Trigger, service, answer)

    def publish(self) -> None:
        """Say where the collection stands; to be called at every change."""
        desk, planned, rows = self._desk, self._desk.planned, self._desk.coverage
        self._publisher.publish(
            CollectionStatus(
                header=messages.header(make, time.time_ns(), ""),
                phase=int(desk.phase),
                prompt=desk.prompt,
                task=self._task,
                stage=planned.stage if planned else "",
                seed=planned.seed if planned else 0,
                pair_id=planned.pair_id if planned else "",
                episodes=desk.count,
                wanted=desk.plan.episodes,
                stages=[row.stage for row in rows],
                stage_quota=[row.quota for row in rows],
                stage_episodes=[row.episodes for row in rows],
                stage_attempts=[row.attempts for row in rows],
                stage_successes=[row.successes for row in rows],
            )
        )
