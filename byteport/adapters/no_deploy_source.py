"""No deploy source is configured: an answer, not a failure."""

from __future__ import annotations

from byteport.errors import Permanent
from byteport.model.facts.deploys import Rollout

_NONE = "no deploy source is configured"


class NoDeploySource:
    """Stands in for `Deploys` and `Rollouts`: it knows of no deploy, and can restart nothing."""

    def last_deploy(self, database: str) -> None:
        return None

    def app_pool_config(self, database: str) -> None:
        return None

    def error_rate(self, database: str) -> None:
        return None

    def rollout(self, workload: str) -> Rollout:
        raise Permanent(_NONE)

    def restart(self, workload: str, revision: str, mark: str) -> None:
        raise Permanent(_NONE)

    def restore_surge(self, workload: str, max_surge: str, max_unavailable: str) -> None:
        raise Permanent(_NONE)
