"""When what a service runs was changed last: by the change time of its program, of the files that its command line
names, of the links on the way to them, of its working folder and of its unit file. A package that is installed, a link
that is turned to another release, a file that is copied: all of them change one of these, whatever date the file bears.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from byteport.adapters.transport import ByName
from byteport.errors import Permanent, Transient
from byteport.model.facts.services import Release
from byteport.model.facts.system_units import NAME

NO_SYSTEMD = 3
SCRIPT = f"""
command -v systemctl >/dev/null 2>&1 || exit {NO_SYSTEMD}
echo "now $(date +%s)"
told=$(systemctl show --property=ExecStart,FragmentPath,WorkingDirectory -- "$1") || exit 4
echo "$told" | tr ' =;' '\\n\\n\\n' | grep '^/' | sort -u | while IFS= read -r f; do
  [ -e "$f" ] || continue
  stat -L -c 'changed %Z %n' -- "$f"
  while [ -n "$f" ]; do [ ! -L "$f" ] || stat -c 'changed %Z %n' -- "$f"; f=${{f%/*}}; done
done
exit 0
"""
SYSTEM = ("/bin", "/sbin", "/lib", "/lib64", "/usr/bin", "/usr/sbin")  # links of the system's own, and plain folders


@dataclass(frozen=True)
class HostReleases:
    """Over whichever transport a host has."""

    hosts: ByName

    def newest(self, host: str, unit: str) -> Release:
        """Raises Transient, Denied or Permanent."""
        if not NAME.fullmatch(unit):
            raise Permanent(f"{unit!r} is no service that can be named exactly")
        told = self.hosts.get(host).run(("sh", "-c", SCRIPT, "sh", unit), within=timedelta(seconds=8))
        if told.status not in (0, NO_SYSTEMD):
            raise Transient(f"{host}: what {unit} runs could not be looked at")
        return newest(told.stdout)


def newest(text: str) -> Release:
    """Pure."""
    lines = [line.split(" ", 2) for line in text.splitlines()]
    now = next((int(line[1]) for line in lines if line[0] == "now" and line[1].isdigit()), None)
    seen = [(int(at), path) for kind, at, path in (line for line in lines if len(line) == 3) if kind == "changed"]
    seen = [(at, path) for at, path in seen if path not in SYSTEM]
    if now is None or not seen:
        return Release()
    at, path = max(seen)
    return Release(what=path, age=float(max(0, now - at)))
