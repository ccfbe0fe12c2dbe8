"""When a session ends an episode: by hand, on an explicit clock."""

from dexpie.episode_watch import EpisodeWatch, Verdict


def test_success_must_last_for_the_settling_time() -> None:
    watch = EpisodeWatch(started_s=10.0, limit_s=20.0, settle_s=0.5)
    assert watch.heard(11.0, False, False, "") is None
    assert watch.heard(12.0, True, False, "") is None
    assert watch.heard(12.25, True, False, "") is None
    assert watch.heard(12.5, True, False, "") == Verdict("success", "")


def test_a_success_that_is_undone_starts_again() -> None:
    watch = EpisodeWatch(0.0, 20.0, settle_s=0.5)
    watch.heard(1.0, True, False, "")
    assert watch.heard(1.25, False, False, "") is None
    assert watch.heard(1.5, True, False, "") is None
    assert watch.heard(1.75, True, False, "") is None
    assert watch.heard(2.0, True, False, "") == Verdict("success", "")


def test_failure_ends_at_once_with_its_reason() -> None:
    assert EpisodeWatch(0.0, 20.0).heard(1.0, True, True, "bottle fell") == Verdict("failure", "bottle fell")


def test_time_is_a_failure_and_silence_a_discard() -> None:
    watch = EpisodeWatch(0.0, 20.0, lost_after_s=3.0)
    watch.heard(18.5, False, False, "")
    assert watch.passed(19.75) is None
    assert watch.passed(20.0) == Verdict("failure", "not done after 20 s")
    silent = EpisodeWatch(0.0, 20.0, lost_after_s=3.0)
    assert silent.passed(2.75) is None
    assert silent.passed(3.0) == Verdict("discard", "no scene state for 3 s")
