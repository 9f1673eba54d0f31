"""Die before or after any call to ledger, budgets or target; start again; the patient saw the same."""

from __future__ import annotations

import pytest

from byteport.records.incident import Incident, Phase
from byteport.testing.time_travel import travel
from tests.ward.world import Cuts, PowerCut, World

pytestmark = pytest.mark.timeout(600)  # some two hundred incidents each

EXPECTED = {
    "ward_one": (Phase.CLOSED, ["pulse"]),
    "ward_several": (Phase.CLOSED, ["pulse", "pulse"]),
    "ward_stepwise": (Phase.CLOSED, ["pulse", "pulse"]),
    "ward_undoing": (Phase.ESCALATE, ["set", "set"]),
    "ward_batched": (Phase.CLOSED, ["set"]),
    "ward_failing": (Phase.ESCALATE, ["pulse"]),
    "ward_lasting": (Phase.CLOSED, ["set"]),
}


def calls_of(world: World, runbook: str) -> int:
    world.cuts = Cuts()
    world.run(world.open(runbook, "measured"))
    return world.cuts.seen


def gave_up_honestly(ended: Incident, kinds: list[str], done: list[str]) -> bool:
    """Begun, not idempotent, and the power went before the effect: never sent again, told to a person as unknown."""
    unknown = ended.phase is Phase.ESCALATE and "begun, effect never seen" in ended.reason
    return unknown and "pulse" in kinds and done == kinds[: len(done)] and len(done) < len(kinds)


@pytest.mark.parametrize(
    ("runbook", "together"), [*((name, True) for name in EXPECTED), ("ward_one", False), ("ward_undoing", False)]
)
def test_power_cut_anywhere(world: World, runbook: str, together: bool) -> None:
    world.together = together
    phase, kinds = EXPECTED[runbook]
    calls = calls_of(world, runbook)
    reached = 0
    for n in range(1, calls + 1):
        for after in (False, True):
            valve = f"cut{n}{'a' if after else 'b'}"
            incident = world.open(runbook, valve)
            world.cuts = Cuts(at=n, after=after)
            try:
                world.run(incident)
            except PowerCut:
                reached += 1
                world.cuts = Cuts()
                travel(world.url, 61)
                world.run(incident)
            world.cuts = Cuts()
            ended = world.now(incident)
            done = [e["kind"] for e in world.ward.effects(valve)]
            if not gave_up_honestly(ended, kinds, done):
                assert ended.phase is phase, (n, after, ended.reason)
                assert done == kinds, (n, after, ended.reason)
            assert all(intent.outcome is not None for intent in world.ledger.intents_of(incident))
            told = [d for d in world.notebook.sent if d.incident == incident]
            assert len({(d.message.kind, d.message.channel) for d in told}) == len(told), (n, after)
    assert world.ward.doubled() == []
    assert reached >= calls, (reached, calls)
