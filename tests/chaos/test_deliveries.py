"""A delivery campaign: every channel fails, hangs, limits and loses answers, two senders work, and each message arrives
once at every channel that can be asked (or, PagerDuty, that knows it by its key)."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from byteport.adapters import github as github_adapter
from byteport.adapters.github_issues import GitHubIssues
from byteport.adapters.ledger import PostgresLedger, migrate
from byteport.adapters.pagerduty import PagerDutyEvents
from byteport.adapters.postmark import PostmarkServer
from byteport.channels.github_issues import GitHubIssuesChannel
from byteport.channels.journal import Journal
from byteport.channels.pagerduty import PagerDuty
from byteport.channels.postmark import Postmark
from byteport.engine.outbox import Outbox
from byteport.records.delivery import Message
from byteport.testing.time_travel import travel
from tests import github_server
from tests.channels import test_pagerduty as pd
from tests.channels import test_postmark as pm
from tests.http_server import HANGS, LOST, Instead, Reply, loopback

MESSAGES = 12
PATIENCE = timedelta(seconds=0.4)
CHANNELS = ("github_issue", "postmark", "pagerduty")


class Trouble(list[Instead]):
    """What a server does instead of answering, drawn anew for every request: about half of them go wrong."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__([None])
        self.dice = dice
        self.had: Counter[str] = Counter()
        self.calm = False

    def pop(self, _place: Any = -1) -> Instead:  # type: ignore[override]
        drawn = self.dice.random()
        if self.calm or drawn > 0.55:
            return None
        for limit, what, instead in (
            (0.25, "lost", LOST), (0.40, "down", Reply(503, "away")), (0.45, "hangs", HANGS),
            (0.50, "limited", Reply(429, {"message": "slow down"}, {"Retry-After": "1"})),
        ):  # fmt: skip
            if drawn < limit:
                self.had[what] += 1
                return instead
        self.had["garbled"] += 1
        return Reply(200, "<html>a portal</html>", {"Content-Type": "text/html"})


@dataclass
class Site:
    outbox: Callable[[], Outbox]
    ledger: PostgresLedger
    url: str
    arrived: dict[str, Callable[[], Counter[str]]]
    troubles: dict[str, Trouble]


@pytest.fixture
def site(ledger_url: str, tmp_path) -> Iterator[Site]:
    migrate(ledger_url)
    ledger = PostgresLedger(ledger_url)
    with ExitStack() as stack:
        github, _ = stack.enter_context(github_server.running())
        github.now = datetime.now(UTC)  # as the ledger has it: what is looked for is looked for by its date
        postmark, pagerduty = pm.Server(), pd.Service()
        postmark.http = stack.enter_context(loopback(postmark.answer))
        pagerduty.http = stack.enter_context(loopback(pagerduty.answer))
        servers = {"github_issue": github.http, "postmark": postmark.http, "pagerduty": pagerduty.http}
        troubles = {name: Trouble(random.Random(f"{name} 4")) for name in servers}
        for name, server in servers.items():
            server.instead = troubles[name]
        issues = GitHubIssues(
            github_adapter.api(github_server.TOKEN, github.http.url, PATIENCE), github_server.REPOSITORY
        )
        ways = {
            "github_issue": GitHubIssuesChannel(issues),
            "postmark": Postmark(
                PostmarkServer.at(pm.TOKEN, postmark.http.url, PATIENCE), pm.SENDER, ("a@ops.example",)
            ),
            "pagerduty": PagerDuty(PagerDutyEvents(pd.KEY, pagerduty.http.url, PATIENCE)),
            "journal": Journal(tmp_path),
        }
        yield Site(
            lambda: Outbox(ledger, ways),
            ledger,
            ledger_url,
            {
                "github_issue": lambda: Counter(issue["title"] for issue in github.issues),
                "postmark": lambda: Counter(mail["Subject"].partition("] ")[2] for mail in postmark.mails),
                "pagerduty": lambda: Counter(
                    {events[0]["payload"]["summary"].partition(": told")[0]: 1 for events in pagerduty.alerts.values()}
                ),
            },
            troubles,
        )
    ledger.close()


def messages(channel: str) -> list[Message]:
    return [
        Message(
            kind="notice",
            channel=channel,
            dedup_key=f"matter {n}",
            title=f"matter: number {n} of {channel}",
            text="told once",
        )
        for n in range(MESSAGES)
    ]


def states(site: Site) -> Counter[str]:
    rows = site.ledger.rows("select state, count(*)::int as n from byteport.deliveries group by state")
    return Counter({row["state"]: row["n"] for row in rows})


def two_senders(site: Site) -> None:
    def send() -> None:
        site.outbox().deliver_due(limit=10)

    senders = [threading.Thread(target=send) for _ in range(2)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()


def test_each_message_arrives_once_whatever_goes_wrong(site: Site) -> None:
    for channel in CHANNELS:
        site.ledger.notify(messages(channel))
        site.ledger.notify(messages(channel))  # said again within the window: it is said already
    for turn in range(60):
        two_senders(site)
        travel(site.url, 30)
        if turn == 25:
            for trouble in site.troubles.values():
                trouble.calm = True
        if not {"due", "sending"} & states(site).keys():
            break
    assert states(site) == {"sent": MESSAGES * len(CHANNELS), "suppressed": MESSAGES * len(CHANNELS)}
    for channel in CHANNELS:
        arrived = site.arrived[channel]()
        assert arrived == Counter({message.title: 1 for message in messages(channel)}), channel
        assert site.troubles[channel].had["lost"] > 0, "the campaign lost no answer at all"
        assert site.troubles[channel].had["down"] + site.troubles[channel].had["hangs"] > 0


def test_a_channel_that_is_down_keeps_none_of_the_others_waiting(site: Site) -> None:
    for name, trouble in site.troubles.items():
        trouble.calm = name != "postmark"
    down = site.troubles["postmark"]
    down.dice = type("Down", (random.Random,), {"random": lambda _self: 0.3})()
    for channel in CHANNELS:
        site.ledger.notify(messages(channel)[:3])
    site.outbox().deliver_due(limit=20)
    assert len(site.arrived["github_issue"]()) == len(site.arrived["pagerduty"]()) == 3
    assert site.arrived["postmark"]() == Counter()
    assert states(site) == {"sent": 6, "due": 3}
