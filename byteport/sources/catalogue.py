"""Every source under /webhooks/ that speaks a form of its own, by name."""

from __future__ import annotations

from collections.abc import Mapping

from byteport.sources import alertmanager, argocd, datadog, flux, github, grafana, sentry, spinnaker
from byteport.sources.incoming import Source

SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (
        alertmanager.SOURCE, grafana.SOURCE, github.SOURCE, argocd.SOURCE, flux.SOURCE, spinnaker.SOURCE,
        sentry.SOURCE, datadog.SOURCE,
    )
}  # fmt: skip
