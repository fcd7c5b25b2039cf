"""An app that runs already, as its watch sees it: answers and clock are the test's own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.app_under_test import AppFacts, ExternalTarget, external_app
from harness.errors import TargetError

FACTS = AppFacts(
    url="http://127.0.0.1:7860/",
    gradio_version="6.31.0",
    protocol="sse_v3",
    api_prefix="gradio_api",
    app_id=7,
    asks_login=False,
)
Answers = Callable[[object], None]


@pytest.fixture
def target() -> ExternalTarget:
    return ExternalTarget(FACTS, None, gone_after_s=10.0)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Decides what the app says the next time that it is asked."""

    def say(answer: object) -> None:
        def app_id(*_: object) -> object:
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(external_app, "app_id", app_id)

    return say


def test_an_app_that_answers_is_alive(target: ExternalTarget, answers: Answers) -> None:
    answers(7)
    target.look(0.0)
    target.check_alive("during a test")
    assert target.news() == []


def test_an_app_is_gone_after_it_has_refused_connections_for_a_while(
    target: ExternalTarget, answers: Answers
) -> None:
    answers(ConnectionError("refused"))
    for now in (100.0, 109.0):
        target.look(now)
        target.check_alive("during a test")
    target.look(110.0)
    with pytest.raises(TargetError, match="gone during a test: it has accepted no connection for 10 s"):
        target.check_alive("during a test")


def test_an_app_that_comes_back_in_time_is_not_gone(target: ExternalTarget, answers: Answers) -> None:
    for now, answer in (
        (0.0, ConnectionError()),
        (9.0, 7),
        (9.5, ConnectionError()),
        (19.0, ConnectionError()),
    ):
        answers(answer)
        target.look(now)
        target.check_alive("during a test")


def test_an_app_that_is_too_busy_to_answer_is_not_gone(target: ExternalTarget, answers: Answers) -> None:
    answers(TimeoutError())
    for now in range(0, 100, 5):
        target.look(float(now))
    target.check_alive("during a test")
    (news,) = target.news()
    assert "did not return its app_id" in news


def test_another_app_id_is_a_restart_and_reported_once(target: ExternalTarget, answers: Answers) -> None:
    for found in (7, None, 8, 7, 8):  # replicas would take turns for ever
        answers(found)
        target.look(0.0)
    (news,) = target.news()
    assert "restarted" in news
    assert target.news() == []


def test_an_app_without_an_app_id_is_still_monitored(answers: Answers) -> None:
    import msgspec

    target = ExternalTarget(msgspec.structs.replace(FACTS, app_id=None), None)
    for found in (None, 5, 5):
        answers(found)
        target.look(0.0)
    assert target.news() == []
    answers(6)
    target.look(0.0)
    assert len(target.news()) == 1


def test_a_process_that_has_ended_is_not_sampled(answers: Answers) -> None:
    assert ExternalTarget(FACTS, 2**22 + 1).pid is None
