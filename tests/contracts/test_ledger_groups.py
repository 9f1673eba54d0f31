"""Many signals in one transaction: each becomes what it would have become by itself, and none suffers by another."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg

from byteport.model.signal import Mode, Severity
from byteport.model.target import Target
from byteport.records.incident import Phase
from byteport.stores_signals import Admission, Opening, Seen
from tests.contracts.conftest import RUNBOOK, race


def words(admissions: list[Admission | Exception]) -> list[str]:
    assert all(isinstance(one, Admission) for one in admissions), admissions
    return ["duplicate" if one.duplicate else "absorbed" if one.absorbed else "opened" for one in admissions]


def test_a_group_opens_absorbs_and_knows_again_as_each_would_have_by_itself(world):
    first = world.open("db-1", of={"event_id": "e-1"})
    asked = [
        world.opening("db-1", of={"event_id": "e-1"}),  # told before
        world.opening("db-1", of={"event_id": "e-2"}, severity=Severity.CRITICAL),
        world.opening("db-2", of={"event_id": "e-3"}),
        world.opening("db-2", of={"event_id": "e-4"}, severity=Severity.HIGH),
        world.opening("db-3", of={"event_id": "e-3"}),  # told a moment ago, of another target
        world.opening("db-3"),
        world.opening("db-3"),
    ]
    became = world.ledger.admit_all(asked)
    assert words(became) == ["duplicate", "absorbed", "opened", "absorbed", "duplicate", "opened", "absorbed"]
    second, third = became[2].incident, became[5].incident
    assert [one.incident for one in became] == [first, first, second, second, second, third, third]
    seen = {name: world.ledger.incident(name) for name in (first, second, third)}
    assert [one.signals_seen for one in seen.values()] == [2, 2, 2]
    assert [str(one.signal.severity) for one in seen.values()] == ["critical", "high", "warning"]
    assert all(world.kinds(name) == ["signal", "signal"] for name in seen)
    assert [world.ledger.verify_chain(name) for name in seen] == [None, None, None]
    assert len(world.sql("select id from byteport.signals")) == 6
    assert {due.incident for due in world.ledger.wake_due()} == set(seen)


def test_what_a_group_stores_reads_as_what_one_alone_stores(world):
    odd = {"raw": {"nul": "a\x00b", "over": float("inf")}, "summary": "'; drop table byteport.events; --", "value": 2.5}
    alone = world.open("db-1", of=odd)
    grouped = world.ledger.admit_all([world.opening("db-2", of=odd)])[0].incident
    columns = """phase, mode, severity, signals_seen, signals_read, nudges, version, driver, driver_until, parent,
                 due_at = opened_at as at_once, opened_at = last_signal_at as heard,
                 signal - 'target' - 'fired_at' as told,
                 state - '{id,due_at,opened_at,last_signal_at}'::text[] as kept"""
    one, other = (world.sql(f"select {columns} from byteport.incidents where id = %s", n) for n in (alone, grouped))
    assert one == other
    lines = [world.sql("select kind, text, data from byteport.events where incident = %s", n) for n in (alone, grouped)]
    assert lines[0] == lines[1]
    kept = world.sql("select signal - 'target' - 'fired_at' as told from byteport.signals")
    assert kept[0] == kept[1] == {"told": one[0]["told"]}


def test_one_that_cannot_be_stored_fails_alone(world):
    too_large = world.opening("db-2", of={"raw": {"n": 10**5000}})
    became = world.ledger.admit_all([world.opening("db-1"), too_large, world.opening("db-3")])
    assert isinstance(became[1], Exception)
    assert words([became[0], became[2]]) == ["opened", "opened"]
    assert len(world.ledger.listing()) == 2


def test_a_row_that_a_move_holds_keeps_nobody_else_from_being_stored(world):
    """And its own signal is stored as soon as the row is free."""
    held = world.open("db-1")
    with ThreadPoolExecutor(1) as pool, psycopg.connect(world.url) as mover:
        mover.execute("select from byteport.incidents where id = %s for update", [held])
        under_way = pool.submit(world.ledger.admit_all, [world.opening("db-1"), world.opening("db-2")])
        while len(world.ledger.listing()) < 2:
            assert not under_way.done()
        assert world.ledger.incident(held).signals_seen == 1
        mover.rollback()
        assert words(under_way.result(20)) == ["absorbed", "opened"]
    assert world.ledger.incident(held).signals_seen == 2


def test_a_row_that_is_held_too_long_fails_its_own_signal_only(world):
    held = world.open("db-1")
    with psycopg.connect(world.url) as mover:
        mover.execute("select from byteport.incidents where id = %s for update", [held])
        became = world.ledger.admit_all([world.opening("db-1"), world.opening("db-2"), world.opening("db-1")])
    assert [type(one).__name__ for one in became] == ["Unavailable", "Admission", "Unavailable"]
    assert world.ledger.incident(held).signals_seen == 1


def test_groups_and_single_signals_of_the_same_targets_from_everywhere_at_once_lose_nothing(world):
    def group() -> int:
        keys = [f"db-{n % 4}" for n in range(20)]
        return sum(isinstance(one, Admission) for one in world.ledger.admit_all([world.opening(key) for key in keys]))

    def alone() -> int:
        return sum(bool(world.open(f"db-{n % 4}")) for n in range(8))

    assert race([group, alone, group, group, alone, group]) == [20, 8, 20, 20, 8, 20]
    found = world.ledger.listing()
    assert (len(found), sum(line.signals for line in found)) == (4, 96)
    assert all(world.ledger.verify_chain(line.id) is None for line in found)


def test_the_same_events_from_everywhere_at_once_are_one_signal_each(world):
    asked = [world.opening(f"db-{n}", of={"event_id": f"e-{n}"}) for n in range(6)]
    became = race([lambda: world.ledger.admit_all(asked), lambda: world.ledger.admit_all(asked[::-1])] * 3)
    assert sum(words(one).count("opened") for one in became) == 6
    assert len(world.sql("select id from byteport.signals")) == 6


def test_a_resting_rehearsal_makes_way_in_a_group_too(world):
    first = world.open(mode=Mode.DRY_RUN)
    world.move(first, phase=Phase.ESCALATE, escalated_at=world.ledger.incident(first).opened_at)
    became = world.ledger.admit_all([world.opening("db-2"), world.opening(), world.opening()])
    assert words(became) == ["opened", "opened", "absorbed"]
    assert world.ledger.incident(first).phase is Phase.CLOSED


def test_what_may_be_opened_once_is_not_opened_again_by_a_group(world):
    first = world.open(once=True)
    world.move(first, phase=Phase.CLOSED, ending="resolved")
    became = world.ledger.admit_all([world.opening(once=True), world.opening("db-2", once=True)])
    assert words(became) == ["duplicate", "opened"]
    assert became[0].incident == first


def test_a_group_on_an_escalated_incident_makes_it_due_at_once_and_takes_its_clearing_back(world):
    incident = world.open()
    rest = world.claim(incident)[1].now + timedelta(days=7)
    world.travel(41)
    world.move(incident, phase=Phase.ESCALATE, due_at=rest)
    world.sql("update byteport.incidents set clear_since = byteport.clock() where id = %s", incident)
    assert words(world.ledger.admit_all([world.opening(), world.opening()])) == ["absorbed", "absorbed"]
    seen = world.ledger.incident(incident)
    assert (seen.signals_seen, seen.clear_since) == (3, None)
    assert [due.incident for due in world.ledger.wake_due()] == [incident]


def test_each_is_settled_by_what_the_ledger_knows_unless_it_was_told_before(world):
    world.open(of={"event_id": "e-1"})
    world.ledger.see_target(Target(kind="database", key="db-2", within=("server:s-1",), coordinates={"name": "shop"}))
    world.ledger.promote(RUNBOOK, Mode.LIVE, "ada", "it works")
    settled = []

    def settle(opening: Opening, seen: Seen) -> Opening:
        settled.append(opening.signal.target.key)
        target = seen.targets.get(str(opening.signal.target), opening.signal.target)
        mode = seen.promotions[opening.runbook].mode
        return opening.model_copy(update={"signal": opening.signal.with_(target=target), "mode": mode})

    asked = [
        world.opening("db-1", of={"event_id": "e-1"}, mode=Mode.DRY_RUN),
        world.opening("db-2", mode=Mode.DRY_RUN),
        world.opening("db-3", mode=Mode.DRY_RUN, once=True),  # by itself, and settled all the same
    ]
    became = world.ledger.admit_all(asked, settle)
    assert words(became) == ["duplicate", "opened", "opened"]
    assert "db-1" not in settled
    opened = [world.ledger.incident(one.incident) for one in became[1:]]
    assert [(one.signal.target.within, one.mode) for one in opened] == [(("server:s-1",), Mode.LIVE), ((), Mode.LIVE)]
