"""Looks at what is known of the workloads that use a database. None: no such source is configured, an answer."""

from __future__ import annotations

from byteport.grammar.evidence import probe
from byteport.model.facts.database import AppPoolConfig
from byteport.model.facts.deploys import DeployCorrelation, ErrorRate, Rollout
from byteport.model.target import Target
from byteport.ports import Readers

DEPLOYS = "deploys"


@probe(over=DEPLOYS)
def deploy_correlation(target: Target, readers: Readers) -> DeployCorrelation | None:
    """The last deploy of a workload that uses the target."""
    return readers.deploys.last_deploy(target.key)


@probe(over=DEPLOYS)
def app_pool_config(target: Target, readers: Readers) -> tuple[AppPoolConfig, ...] | None:
    """Pool settings in the environment of the workloads."""
    return readers.deploys.app_pool_config(target.key)


@probe(over=DEPLOYS)
def error_rate(target: Target, readers: Readers) -> ErrorRate | None:
    """Failed requests of the workloads, now and usually at this hour."""
    return readers.deploys.error_rate(target.key)


@probe(over=DEPLOYS)
def rollout(target: Target, readers: Readers) -> Rollout | None:
    """How the rollout of the workload that was deployed last stands."""
    deploy = readers.deploys.last_deploy(target.key)
    return None if deploy is None else readers.deploys.rollout(deploy.workload)
