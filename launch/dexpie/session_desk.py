"""Where a session stands and what its operator may ask of it; pure, no ROS.

Requests come at any time from another thread of the session; they are answered at once and take effect when
the session asks for its next episode or looks whether the person has continued.
"""

from __future__ import annotations

from dataclasses import dataclass

from dexpie_core.collection import (
    CollectedEpisode,
    CollectionPlan,
    Phase,
    PlannedEpisode,
    StageCoverage,
    coverage,
    next_episode,
)


@dataclass(frozen=True)
class Answer:
    """Reply to a request of the operator."""

    accepted: bool
    message: str


STOPPED = "the collection is stopped already"
CONTINUE: dict[Phase, Answer] = {
    Phase.RESETTING: Answer(False, "the scene is being reset: nothing waits for you"),
    Phase.WAITING: Answer(True, "going on"),
    Phase.ATTEMPT: Answer(False, "an episode is running: nothing waits for you"),
    Phase.CORRECTION: Answer(False, "an episode is running: nothing waits for you"),
    Phase.FINISHED: Answer(False, "the collection is finished"),
}
STOP: dict[Phase, Answer] = {
    Phase.RESETTING: Answer(True, "stopping before the next episode"),
    Phase.WAITING: Answer(True, "stopping now"),
    Phase.ATTEMPT: Answer(True, "stopping after this episode"),
    Phase.CORRECTION: Answer(True, "stopping after this episode"),
    Phase.FINISHED: Answer(False, "the collection is finished"),
}


@dataclass
class SessionDesk:
    """The plan, what is recorded of it, and the requests that are not yet met."""

    plan: CollectionPlan
    recorded: list[CollectedEpisode]
    phase: Phase = Phase.RESETTING
    planned: PlannedEpisode | None = None
    prompt: str = ""
    stopped: bool = False
    continued: bool = False  # the person has done what the prompt says
    left: bool = False  # the person wants another stage than that of the planned episode
    _stage: str = ""  # where to look first

    def plan_next(self) -> PlannedEpisode | None:
        """The next episode; None when the plan is fulfilled or the operator has stopped."""
        self.left = self.continued = False
        self.planned = None if self.stopped else next_episode(self.plan, self.recorded, self._stage)
        self.enter(Phase.FINISHED if self.planned is None else Phase.RESETTING)
        return self.planned

    def enter(self, phase: Phase, prompt: str = "") -> None:
        """Another phase; `prompt` is what a person is to do."""
        self.phase, self.prompt = phase, prompt
        self.continued = False

    def add(self, episode: CollectedEpisode) -> None:
        """An episode is recorded."""
        self.recorded.append(episode)

    @property
    def coverage(self) -> tuple[StageCoverage, ...]:
        return coverage(self.plan, self.recorded)

    @property
    def count(self) -> int:
        """Episodes recorded so far that count."""
        return sum(row.episodes for row in self.coverage)

    def ask_continue(self) -> Answer:
        """The person has done what the prompt says."""
        answer = CONTINUE[self.phase]
        self.continued = self.continued or answer.accepted
        return answer

    def ask_stop(self) -> Answer:
        """No further episode."""
        if self.stopped:
            return Answer(False, STOPPED)
        answer = STOP[self.phase]
        self.stopped = answer.accepted
        return answer

    def ask_next_stage(self) -> Answer:
        """Go on with the next stage that still wants episodes; this one is come back to at the end."""
        if self.planned is None or self.stopped:
            return Answer(False, STOPPED if self.stopped else "the collection is finished")
        stages, now = self.plan.stages, self.planned.stage
        after = next_episode(self.plan, self.recorded, stages[(stages.index(now) + 1) % len(stages)])
        if after is None or after.stage == now:
            return Answer(False, f"no other stage than {now} wants episodes")
        self._stage = after.stage
        self.left = self.phase in (Phase.RESETTING, Phase.WAITING)
        when = "now" if self.left else "after this episode"
        return Answer(True, f"stage {after.stage} {when}")
