"""The ways to people that are configured. Clients are imported where their channel is."""

from __future__ import annotations

from collections.abc import Callable

from byteport.channels.journal import Journal
from byteport.engine.outbox import Channel
from byteport.settings import Settings
from byteport.settings.channels import (
    ChannelsSection,
    GitHubIssuesSection,
    PagerDutySection,
    PostmarkSection,
    SlackSection,
)


def channels_of(settings: Settings) -> dict[str, Channel]:
    """By name; the journal is always among them. A team's own are named CHANNEL/TEAM."""
    ways: dict[str, Channel] = {"journal": Journal(settings.journal_folder), **ways_of(settings.channels)}
    for team, section in settings.teams.items():
        ways |= {f"{name}/{team}": way for name, way in ways_of(section.channels).items()}
    return ways


def ways_of(section: ChannelsSection) -> dict[str, Channel]:
    """Those of one section whose secrets are given."""
    made = {
        "slack": _slack(section.slack),
        "pagerduty": _pagerduty(section.pagerduty),
        "postmark": _postmark(section.postmark),
        "github_issue": _github_issue(section.github_issue),
    }
    return {name: way for name, way in made.items() if way is not None}


def slack_answers() -> Callable[[str, str], None]:
    """What came of a click, said in Slack."""
    from byteport.adapters.slack import SlackAnswers

    return SlackAnswers()


def _slack(section: SlackSection) -> Channel | None:
    token, hook = section.in_clear("token"), section.in_clear("webhook")
    if token is None and hook is None:
        return None
    from byteport.adapters.slack import SlackIncomingWebhook, SlackWeb
    from byteport.channels.slack import Slack, SlackWebhook

    if hook is not None:
        return SlackWebhook(SlackIncomingWebhook(hook))
    return Slack(SlackWeb(str(token), str(section.api_url)), section.channel, interactive=section.interactive)


def _pagerduty(section: PagerDutySection) -> Channel | None:
    if (key := section.in_clear("routing_key")) is None:
        return None
    from byteport.adapters.pagerduty import PagerDutyEvents
    from byteport.channels.pagerduty import PagerDuty

    return PagerDuty(PagerDutyEvents(key, str(section.api_url)))


def _postmark(section: PostmarkSection) -> Channel | None:
    if (token := section.in_clear("token")) is None:
        return None
    from byteport.adapters.postmark import PostmarkServer
    from byteport.channels.postmark import Postmark

    server = PostmarkServer.at(token, str(section.api_url))
    return Postmark(server, str(section.sender), section.recipients, section.stream)


def _github_issue(section: GitHubIssuesSection) -> Channel | None:
    if (token := section.in_clear("token")) is None:
        return None
    from byteport.adapters import github
    from byteport.adapters.github_issues import GitHubIssues
    from byteport.channels.github_issues import GitHubIssuesChannel

    issues = GitHubIssues(github.api(token, str(section.api_url)), section.repository)
    return GitHubIssuesChannel(issues, section.labels)
