"""What a host's people have written about it: /etc/byteport/host.yaml, the same keys as annotations have elsewhere.

It counts where nobody but root could have written it, for whoever can write it could let BytePort act.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from byteport.adapters.transport import ByName
from byteport.model.facts.hosts import HostInventory

FOLDER, FILE = "/etc/byteport", "/etc/byteport/host.yaml"
MOST = 65_536
SCRIPT = f"""
LC_ALL=C stat -c '%u %a %s %F' {FOLDER} {FILE} 2>/dev/null || exit 3
cat {FILE}
"""


@dataclass(frozen=True)
class InventoryFiles:
    """Over whichever transport a host has."""

    hosts: ByName
    groups: Mapping[str, str] = field(default_factory=dict)

    def inventory(self, host: str) -> HostInventory:
        """Raises Transient, Denied or Permanent where the host cannot be asked; no file is an answer."""
        return self._read(host).with_(group=self.groups.get(host, "default"))

    def _read(self, host: str) -> HostInventory:
        told = self.hosts.get(host).run(("sh", "-c", SCRIPT))
        if told.status == 3:
            return HostInventory(why=f"{FILE} is not there")
        folder, file, *text = [*told.stdout.split("\n"), "", ""]
        if why := _doubtful(folder, "directory", FOLDER) or _doubtful(file, "regular file", FILE):
            return HostInventory(why=why)
        if told.status != 0 or told.truncated:
            return HostInventory(why=f"{FILE} cannot be read: {told.stderr.strip()[:200]}")
        return parsed("\n".join(text))


def _doubtful(line: str, kind: str, path: str) -> str:
    """Why it may have been written by somebody else than root; empty where it cannot."""
    owner, mode, size, *is_a = [*line.split(" ", 3), "", "", ""]
    if " ".join(is_a).strip() != kind:
        return f"{path} is no {kind}"
    if owner != "0" or int(mode or "777", 8) & 0o022:
        return f"{path} can be written by others than root"
    return f"{path} has more than {MOST} bytes" if kind == "regular file" and int(size) > MOST else ""


def parsed(text: str) -> HostInventory:
    """Pure. A list is written as a comma-separated set; what is neither text nor a list of texts does not count."""
    try:
        told = yaml.safe_load(text)
    except yaml.YAMLError:
        return HostInventory(why=f"{FILE} is no YAML")
    if not isinstance(told, dict):
        return HostInventory(why=f"{FILE} holds no keys")
    return HostInventory(annotations=dict(_annotations(told)))


def _annotations(told: dict[Any, Any]) -> Iterator[tuple[str, str]]:
    for key, value in told.items():
        words = value if isinstance(value, list) else [value]
        if isinstance(key, str) and all(isinstance(word, str) for word in words):
            yield key, ",".join(words)
