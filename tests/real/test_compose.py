"""The compose file, built and started for real: the fleet with Flower beside it, as the README promises."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.real.dockerd import docker
from tests.real.images import make_images
from tests.real.site import FLEET, FLOWER, WEB, Site
from tests.servers import eventually, program

pytestmark = [
    pytest.mark.compose,
    pytest.mark.timeout(480),  # the first test pays for building and starting; two busy cores need minutes for that
]

# In the order in which they stand: one installation lives through them all, from its start to its end.
PAGE = "db_connection_pool_exhaustion"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Built, started, healthy; everything of it is removed afterwards."""
    program("docker-compose", "docker-compose")
    with docker() as daemon:
        ours = Site(daemon, daemon.folder / "byteport")
        ours.folder.mkdir()
        ours.prepare()
        ours.fetch_wheels()
        make_images(daemon)
        ours.compose("build", "migrate", within=240)
        try:
            ours.start()
            yield ours
        finally:
            ours.compose("down", "--volumes", "--timeout", "20", within=180)


def ended(site: Site, incident: str, within: float = 40) -> str:
    """The word that people see once it is closed."""

    def word() -> str:
        told = site.incident(incident)
        assert told["phase"] == "closed", told["word"]
        return str(told["word"])

    return eventually(word, within=within, every=0.5)


def test_every_service_is_healthy_and_the_ledger_was_migrated_first(site: Site) -> None:
    states = site.states()
    assert site.health() == {}
    assert (states["migrate"]["State"]["Status"], states["migrate"]["State"]["ExitCode"]) == ("exited", 0)
    assert {states[name]["RestartCount"] for name in FLEET} == {0}


def test_a_signed_message_is_diagnosed_and_rehearsed_and_ends_no_session(site: Site) -> None:
    eventually(lambda: "5 transactions forgotten" in site.compose("logs", "application"), within=60, every=1.0)
    assert ended(site, site.signal()) == "rehearsed"
    assert site.forgotten() == 5


def test_the_acting_worker_is_restarted_and_then_ends_them_when_a_person_has_said_live(site: Site) -> None:
    before = site.states()["act"]["State"]["StartedAt"]
    site.compose("restart", "act")
    site.compose("exec", "-T", "web", "byteport", "promote", PAGE, "--override", "--why=a drill")
    assert ended(site, site.signal(), within=100) == "resolved"
    assert site.forgotten() == 0
    assert site.states()["act"]["State"]["StartedAt"] != before
    assert site.health() == {}


def test_flower_has_seen_every_task_on_the_worker_it_is_meant_for(site: Site) -> None:
    seen = {(task, role) for task, state, role in site.tasks() if state == "SUCCESS"}
    assert seen >= {
        ("byteport.diagnose", "probe"), ("byteport.remediate", "act"), ("byteport.verify", "probe"),
        ("byteport.poll", "probe"), ("byteport.sweep", "decide"), ("byteport.deliver", "decide"),
    }  # fmt: skip


def test_the_command_line_works_in_the_container(site: Site) -> None:
    assert "rehearsed" in site.compose("exec", "-T", "web", "byteport", "incidents", "list")


def test_console_and_flower_let_nobody_in_without_a_login(site: Site) -> None:
    assert site.ask(f"{WEB}/api/v1/incidents")[0] == 401
    assert site.ask(f"{FLOWER}/api/tasks")[0] == 401


def test_only_console_and_flower_are_published_and_only_here(site: Site) -> None:
    published = {
        (name, bound["HostIp"], bound["HostPort"])
        for name, state in site.states().items()
        for bounds in state["NetworkSettings"]["Ports"].values()
        for bound in bounds or ()
    }
    assert published == {("web", "127.0.0.1", "8321"), ("flower", "127.0.0.1", "5555")}


def test_no_secret_stands_in_what_docker_shows_or_logs(site: Site) -> None:
    names = ("postgres_password", "redis_password", "console_token", "webhook_secret", "flower_password")
    shown = (
        str(site.states())
        + site.compose("logs", "--no-color")
        + site.docker.run("history", "--no-trunc", "byteport:local")
    )
    assert [name for name in names if site.secret(name) in shown] == []
    found = site.compose(
        "exec", "-T", "web", "python", "-c", "import pathlib; print(*pathlib.Path('/opt').rglob('local'))"
    )
    assert found.strip() == ""


def test_the_fleet_runs_as_nobody_in_particular_and_writes_where_it_may(site: Site) -> None:
    states = site.states()
    ours = [states[name] for name in ("probe", "act", "decide", "beat", "web", "flower")]
    assert {one["Config"]["User"] for one in ours} == {"10001:10001"}
    assert {one["HostConfig"]["ReadonlyRootfs"] for one in ours} == {True}
    assert {tuple(one["HostConfig"]["CapDrop"]) for one in ours} == {("ALL",)}


def test_everybody_leaves_when_told_to(site: Site) -> None:
    site.compose("stop", within=180)
    codes = {name: one["State"]["ExitCode"] for name, one in site.states().items() if name in FLEET}
    assert {name: code for name, code in codes.items() if code not in (0, 143)} == {}, codes
    assert not re.search(r"Traceback", site.compose("logs", "--no-color", "probe", "act", "decide", "beat", "web"))
