"""What a plan holds while it acts: its target, the subjects of its actions, and what these are within. Pure."""

from __future__ import annotations

from byteport.engine.policy import Policy
from byteport.grammar.action import Action
from byteport.grammar.guards import Lock
from byteport.grammar.plan import Plan
from byteport.grammar.runbook import Runbook
from byteport.model.target import Target
from byteport.records.change import LockWanted

REMEDIATIONS = "remediations"


def wanted(page: Runbook, target: Target, plan: Plan, policy: Policy, known_targets: int) -> tuple[LockWanted, ...]:
    """All locks of the plan and its undos, each once; exclusive beats shared. The two capacities stand beside them."""
    exclusive = {str(target)} | {action.subject for action in plan.actions}
    shared = set(target.within) | {key for action in plan.actions for key in action.within}
    named = {
        guard.key(step.action): guard.name
        for _, step in plan.dos
        for guard in page.guards_of(step.move)
        if isinstance(guard, Lock)
    }
    locks = [LockWanted(key=key) for key in sorted(exclusive)]
    locks += [LockWanted(key=key, exclusive=False) for key in sorted(shared - exclusive)]
    locks += [LockWanted(key=key, guard=name) for key, name in sorted(named.items()) if key not in exclusive]
    return (*locks, *capacities(target, policy, known_targets))


def of_undo(target: Target, undo: Action) -> tuple[LockWanted, ...]:
    """What an undo that is performed after its run's locks have ended takes again. No capacity: it is never put off
    by how many others are at work."""
    exclusive = sorted({str(target), undo.subject})
    shared = sorted({*target.within, *undo.within} - set(exclusive))
    return (*(LockWanted(key=key) for key in exclusive), *(LockWanted(key=key, exclusive=False) for key in shared))


def capacities(target: Target, policy: Policy, known_targets: int) -> tuple[LockWanted, ...]:
    """How many may be under remediation at once: in all, and of this kind (10 % of the known targets, at least one)."""
    share = max(1, known_targets // 10)
    return (
        LockWanted(
            key=REMEDIATIONS, exclusive=False, capacity=policy.max_concurrent, guard="max_concurrent_remediations"
        ),
        LockWanted(key=f"share:{target.kind}", exclusive=False, capacity=share, guard="share_of_targets"),
    )
