"""Render, asked: the newest deploy of a service decides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from byteport.adapters.render import Render
from byteport.errors import Denied, NotFound, Permanent, Transient
from byteport.model.alert import Alert
from byteport.model.facts.render import Deploy
from byteport.sources.incoming import Malformed
from byteport.sources.parts import AT_ONCE
from byteport.sources.render import RenderPoller, alerts_of
from tests.http_server import HANGS, Asked, Reply, loopback

NOW = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def deploy(status: str, minutes_ago: float, id_: str = "dep-1") -> Deploy:
    at = NOW - timedelta(minutes=minutes_ago)
    return Deploy(id=id_, status=status, created_at=at, finished_at=at)


@pytest.mark.parametrize(
    ("deploys", "told"),
    [
        ([deploy("build_failed", 5)], [("render_deploy_failed", False)]),
        ([deploy("update_failed", 5), deploy("live", 90, "dep-0")], [("render_deploy_failed", False)]),
        ([deploy("live", 2, "dep-2"), deploy("build_failed", 9)], [("render_deploy_failed", True)]),
        ([deploy("live", 2)], []),
        ([deploy("canceled", 2, "dep-2"), deploy("live", 9)], []),
        ([deploy("build_in_progress", 1, "dep-2"), deploy("pre_deploy_failed", 9)], [("render_deploy_failed", False)]),
        ([deploy("build_failed", 600)], []),
        ([], []),
    ],
)
def test_the_newest_deploy_decides(deploys, told):
    assert [(one.name, one.resolved) for one in alerts_of("srv-1", "shop", deploys, NOW)] == told


def test_render_is_asked_for_each_service_and_one_that_is_gone_costs_no_other():
    def answer(asked: Asked) -> Reply:
        if asked.headers.get("authorization") != "Bearer rnd_key":
            return Reply(401, {"message": "Unauthorized"})
        if "srv-gone" in asked.path:
            return Reply(404, {"message": "not found: service"})
        told = {"id": "dep-1", "status": "build_failed", "trigger": "new_commit", "commit": {"id": "a" * 40},
                "createdAt": "2026-11-26T09:50:00Z", "finishedAt": "2026-11-26T09:55:00Z"}  # fmt: skip
        return Reply(200, [{"deploy": told, "cursor": "x"}])

    with loopback(answer) as server:
        asked = RenderPoller(Render.at("rnd_key", server.url), (("srv-1", "shop"), ("srv-gone", "old")), MINUTE, MINUTE)
        failed, gone = asked.ask(NOW)
        with pytest.raises(NotFound):
            RenderPoller(asked.render, (("srv-gone", "old"),), MINUTE, MINUTE).ask(NOW)
        with pytest.raises(Denied):
            Render.at("wrong", server.url).deploys("srv-1")
        server.instead.append(Reply(200, [{"cursor": "x"}]))
        with pytest.raises(Permanent, match="not known here"):
            asked.render.deploys("srv-1")
    assert isinstance(failed, Alert)
    assert (failed.labels["service_id"], failed.labels["commit"], failed.labels["trigger"]) == (
        "srv-1",
        "a" * 40,
        "new_commit",
    )
    assert failed.fired_at == NOW - timedelta(minutes=5)
    assert isinstance(gone, Malformed)


@pytest.mark.parametrize("from_now", [True, False])
def test_a_rate_limit_says_when_it_ends_in_either_form_and_nobody_else_is_asked(from_now):
    reset = 45 if from_now else int(datetime.now(UTC).timestamp()) + 45
    with loopback(lambda _asked: Reply(429, {"message": "slow down"}, {"Ratelimit-Reset": str(reset)})) as server:
        asked = RenderPoller(Render.at("k", server.url), [(f"srv-{n}", "x") for n in range(50)], MINUTE, MINUTE)
        with pytest.raises(Transient) as limited:
            asked.ask(NOW)
    assert timedelta(seconds=30) <= limited.value.retry_after <= timedelta(seconds=45)
    assert len(server.asked) <= AT_ONCE * 2


@pytest.mark.parametrize("instead", [Reply(503, "no"), Reply(200, "<html>"), HANGS])
def test_an_answer_that_is_none_is_no_all_clear(instead):
    with loopback(lambda _asked: Reply(200, [])) as server:
        server.instead.append(instead)
        with pytest.raises(Transient):
            RenderPoller(Render.at("k", server.url, MINUTE / 200), [("srv-1", "x")], MINUTE, MINUTE).ask(NOW)


def test_a_service_s_id_goes_nowhere_else():
    with loopback(lambda _asked: Reply(404, {"message": "not found"})) as server:
        with pytest.raises(NotFound):
            Render.at("k", server.url).deploys("../owners?x=")
        assert [asked.raw_path for asked in server.asked] == ["/v1/services/..%2Fowners%3Fx%3D/deploys"]
