"""`make chaos`: KILLS (500), SEED (drawn), RESUME=1, and --json for one object as the last line."""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
from typing import Any

from byteport.embedded import NotStarted
from tests.chaos import stores
from tests.chaos.campaign import Campaign
from tests.chaos.judge import Verdict
from tests.chaos.site import IN_FLIGHT, POLICY, ROOT, site
from tests.chaos.tally import Tally

FOLDER = ROOT / ".byteport" / "chaos"
KNOWN_FOR_EACH_KILL = 8
SHOWN = 40


def main(arguments: list[str]) -> int:
    """0 where nothing was lost, doubled or exceeded; 1 otherwise; 2 for wrong words; 130 when interrupted."""
    try:
        wanted, seed, resume = int(os.environ.get("KILLS") or 500), os.environ.get("SEED"), os.environ.get("RESUME")
        tally = _tally(wanted, int(seed) if seed else secrets.randbelow(1_000_000), resume == "1")
    except (ValueError, OSError) as wrong:
        print(f"chaos: {wrong}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _interrupted)
    say = lambda text: print(text, file=sys.stderr, flush=True)  # noqa: E731
    say(f"campaign with seed {tally.seed}: {tally.wanted} kills, {IN_FLIGHT} incidents under way; raised: {POLICY}")
    try:
        with site(FOLDER, tally.seed, known_for(tally.wanted), tally.sent) as place:
            verdict = Campaign(place, tally, say).run()
    except (KeyboardInterrupt, NotStarted, TimeoutError) as stop:
        say(f"interrupted ({stop or type(stop).__name__}); go on with: RESUME=1 make chaos (logs in {FOLDER})")
        return 130
    report(tally, verdict, as_json="--json" in arguments)
    if verdict.is_clean:
        stores.remove(FOLDER)
    else:
        say(f"the evidence is kept in {FOLDER}")
    return 0 if verdict.is_clean else 1


def known_for(kills: int) -> int:
    """Signals in the inventory: a tenth of the known targets may be under remediation at once."""
    return max(1200, KNOWN_FOR_EACH_KILL * kills)


def _tally(wanted: int, seed: int, resume: bool) -> Tally:
    kept = FOLDER / "tally.json"
    if resume:
        if not kept.exists():
            raise ValueError("there is no campaign to go on with")
        tally = Tally.load(kept)
        tally.wanted = max(tally.wanted, wanted if "KILLS" in os.environ else 0)
        return tally
    if FOLDER.exists():
        stores.remove(FOLDER)
    return Tally(seed, wanted)


def _interrupted(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def figures(tally: Tally, verdict: Verdict) -> dict[str, Any]:
    return {
        "signals": verdict.signals, "ended": dict(sorted(verdict.ended.items())), "kills": tally.killed,
        "faults": sum(tally.faults.values()), "lost": len(verdict.lost), "doubled": len(verdict.doubled),
        "exceeded": len(verdict.exceeded), "messages_lost": len(verdict.messages_lost),
        "messages_doubled": len(verdict.messages_doubled), "slowest_recovery_s": round(tally.slowest, 1),
        "kills_inside_intents": tally.inside, "seed": tally.seed, "seconds": round(tally.seconds, 1),
    }  # fmt: skip


def report(tally: Tally, verdict: Verdict, *, as_json: bool) -> None:
    """Details to standard error, then one line."""
    by_kind = lambda counted: ", ".join(f"{n} {name}" for name, n in sorted(counted.items(), key=lambda x: -x[1]))  # noqa: E731
    told = [
        f"killed: {by_kind(tally.kills)}",
        f"inside an intent: {by_kind(tally.hits)}",
        f"also: {by_kind(tally.faults)}",
        f"slowest recovery: {tally.slowest:.1f} s ({tally.slowest_of})",
        f"{verdict.effects} effects at the patient, {verdict.messages} messages in the channel",
    ]
    told += [f"slow: {line}" for line in tally.slow[:SHOWN]]
    for name in ("lost", "doubled", "exceeded", "messages_lost", "messages_doubled"):
        told += [f"{name}: {line}" for line in getattr(verdict, name)[:SHOWN]]
    print("\n".join(told), file=sys.stderr, flush=True)
    known = figures(tally, verdict)
    if as_json:
        print(json.dumps(known), flush=True)
        return
    ended = by_kind(verdict.ended)
    print(
        f"chaos: {known['signals']} signals in; {sum(verdict.ended.values())} incidents ended ({ended}); "
        f"{known['kills']} kills ({known['kills_inside_intents']} inside an intent) and {known['faults']} faults; "
        f"effects lost {known['lost']}, doubled {known['doubled']}, caps exceeded {known['exceeded']}, "
        f"messages lost {known['messages_lost']}, doubled {known['messages_doubled']}; "
        f"slowest recovery {known['slowest_recovery_s']} s; seed {known['seed']}, {known['seconds']} s",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
