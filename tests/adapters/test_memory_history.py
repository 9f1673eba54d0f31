"""Who remembers: Prometheus where people have said how to ask it, else BytePort itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from byteport.adapters.memory_history import MemoryOf
from byteport.errors import Denied, Permanent
from byteport.model.facts.memory import MIB, Consumer, History, TopMemory
from byteport.model.facts.prometheus import Run
from byteport.sources.memory_looks import MemoryLooksPoller

AT = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
QUERY = 'container_memory_rss{id=~"/system.slice/.+[.]service",instance=~"{host}(:.*)?"}'


@dataclass
class Record:
    noted: list[tuple[str, dict[str, int]]] = field(default_factory=list)

    def remember_memory(self, host: str, held: dict[str, int]) -> None:
        self.noted.append((host, held))

    def memory_of(self, host: str, since: timedelta) -> History | None:
        return History(source=f"own looks at {host}")


@dataclass
class Prometheus:
    runs: Sequence[Run] = ()
    asked: list[str] = field(default_factory=list)

    def query_range(self, expression: str, since: datetime, until: datetime, step: timedelta) -> Sequence[Run]:
        assert (until - since, step) == (HOUR, timedelta(minutes=5))
        self.asked.append(expression)
        return self.runs


def test_without_a_query_byteport_s_own_looks_tell():
    prometheus = Prometheus()
    assert MemoryOf(Record(), prometheus).held("web1", HOUR, "").source == "own looks at web1"
    assert prometheus.asked == []


@pytest.mark.parametrize("label", [{"unit": "shop.service"}, {"id": "/system.slice/shop.service"}])
def test_a_query_is_asked_of_prometheus_and_of_nobody_else(label):
    prometheus = Prometheus([Run(labels=label, points=((AT, 5.0),)), Run(labels={"job": "x"}, points=((AT, 7.0),))])
    seen = MemoryOf(Record(), prometheus).held("web1.example", HOUR, QUERY)
    assert (seen.source, seen.of("shop.service"), len(seen.series)) == ("prometheus", ((AT, 5),), 1)
    assert 'instance=~"web1\\\\.example(:.*)?"' in prometheus.asked[0]


def test_a_prometheus_that_does_not_know_the_host_does_not_remember_it():
    assert MemoryOf(Record(), Prometheus()).held("web1", HOUR, QUERY) is None


def test_a_query_without_a_prometheus_is_a_mistake_and_no_reason_to_ask_elsewhere():
    with pytest.raises(Denied, match="no Prometheus"):
        MemoryOf(Record()).held("web1", HOUR, QUERY)


@pytest.mark.parametrize("host", ['web"1', "web1} or up{", "a b", ""])
def test_a_host_s_name_is_never_a_part_of_the_query(host):
    with pytest.raises(Permanent):
        MemoryOf(Record(), Prometheus()).held(host, HOUR, QUERY)


def test_each_host_is_written_down_and_one_that_does_not_answer_leaves_a_gap():
    record = Record()

    class Looking:
        def top(self, host: str) -> TopMemory:
            if host == "web2":
                raise Denied("no login")
            big, small = (Consumer(unit=f"{n}.service", rss=n * MIB, pid=n, name="x", age=5.0) for n in (500, 3))
            return TopMemory(consumers=(big, small))

    poller = MemoryLooksPoller(Looking(), record, ("web1", "web2"), timedelta(minutes=5), HOUR)
    assert poller.ask(AT) == ()
    assert record.noted == [("web1", {"500.service": 500 * MIB})]
