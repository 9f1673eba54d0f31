"""A host that BytePort reaches: over SSH, or the machine that it runs on itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from byteport.settings.channels import HttpUrl
from byteport.settings.section import Section

Seconds = Annotated[float, Field(gt=0, le=3600)]
Address = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:%-]{0,253}$")]
GoogleName = Annotated[str, StringConstraints(pattern=r"^([a-z]([-a-z0-9]{0,61}[a-z0-9])?)?$")]
# What each cloud is told by, and whether it must be.
OF_CLOUD: dict[str, dict[str, bool]] = {
    "aws": {"region": True, "profile": False},
    "gcp": {"project": True, "zone": True, "instance": False, "credentials_file": False, "api_url": False},
}


class CloudSection(Section):
    """The cloud that a host's disks are of. Logins are found by the cloud's own library; no key stands here."""

    provider: Literal["aws", "gcp"] = "aws"
    """aws: EBS. gcp: persistent disks of Compute Engine."""
    region: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{0,64}$")] = ""
    """aws: its region."""
    profile: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{0,64}$")] = ""
    """aws: a profile of boto3's; not given: its usual chain (role, environment)."""
    project: Annotated[str, StringConstraints(pattern=r"^([a-z0-9][a-z0-9.:-]{0,126}[a-z0-9])?$")] = ""
    """gcp: the id of its project (no number)."""
    zone: GoogleName = ""
    """gcp: the zone of its instance; disks may be regional all the same."""
    instance: GoogleName = ""
    """gcp: the instance's name; not given: the host's name here."""
    credentials_file: Path | None = None
    """gcp: file of a service account, or of a workload identity; not given: application default credentials."""
    api_url: HttpUrl = "https://compute.googleapis.com"
    """gcp: where Compute Engine answers; another one behind Private Service Connect."""

    @model_validator(mode="after")
    def _of_one_cloud(self) -> Self:
        needed, others = OF_CLOUD[self.provider], {name for of in OF_CLOUD.values() for name in of}
        if missing := [name for name, must in needed.items() if must and not getattr(self, name)]:
            raise ValueError(f"{' and '.join(missing)}: required where provider is {self.provider}")
        if strange := sorted(self.model_fields_set & others - set(needed)):
            raise ValueError(f"{', '.join(strange)}: not where provider is {self.provider}")
        return self


class HostSection(Section):
    """How a host is reached, and as whom. Its host key must stand in `known_hosts` before: none is learnt."""

    transport: Literal["ssh", "local"] = "ssh"
    """ssh, or local for the machine that BytePort itself runs on."""
    address: Address = ""
    """Name or address; not given: the host's name here."""
    port: int = Field(default=22, ge=1, le=65_535)
    """Port of its sshd."""
    user: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{0,64}$")] = ""
    """The ordinary user to log in as."""
    key_file: Path | None = None
    """Its private key, without a passphrase, readable for BytePort alone; not given: the agent's."""
    certificate_file: Path | None = None
    """The key's certificate, where the host trusts an authority instead of keys."""
    agent: bool = False
    """Whether keys of the ssh-agent (SSH_AUTH_SOCK) are offered."""
    known_hosts: Path | None = None
    """File with the host's key, as ssh-keyscan and ssh write it; not given: ~/.ssh/known_hosts."""
    jump: str = ""
    """Another host of these, through which it is reached."""
    connect_timeout: Seconds = 5.0
    """Seconds until it must have let us in."""
    command_timeout: Seconds = 20.0
    """Seconds that a command may take where nothing else is said."""
    idle_timeout: Seconds = 300.0
    """Seconds after which a connection that nobody used is not trusted any more."""
    group: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")] = "default"
    """The inventory group whose ceiling on writes it counts against."""

    cloud: CloudSection | None = None
    """Whose disks it has, where a runbook may make them larger."""

    @model_validator(mode="after")
    def _a_login(self) -> Self:
        if self.transport == "local":
            if self.jump or self.key_file is not None or self.address:
                raise ValueError("a local host has no address, key or jump host")
            return self
        if not self.user:
            raise ValueError("user is required")
        if self.key_file is None and not self.agent:
            raise ValueError("key_file, or agent: true")
        if self.certificate_file is not None and self.key_file is None:
            raise ValueError("a certificate_file goes with its key_file")
        return self


class VitalsPollerSection(Section):
    """CPU, memory, disk, inodes and OOM kills of every one of `hosts`, looked at by BytePort itself."""

    enabled: bool = False
    """Whether it runs."""
    cpu_percent: float = Field(default=90.0, ge=1, le=100)
    """Share of the CPUs that is busy from which it is told."""
    cpu_seconds: float = Field(default=300.0, ge=0, le=86_400)
    """Seconds that it must last."""
    memory_percent: float = Field(default=90.0, ge=1, le=100)
    """Share of the memory that cannot be had any more (page cache can)."""
    memory_seconds: float = Field(default=120.0, ge=0, le=86_400)
    """Seconds that it must last."""
    disk_percent: float = Field(default=85.0, ge=1, le=100)
    """Share of a file system's bytes."""
    inodes_percent: float = Field(default=85.0, ge=1, le=100)
    """Share of a file system's inodes."""
    period: Seconds = 30.0
    """Seconds between two looks."""
    timeout: Seconds = 10.0
    """Seconds that one host may take. A look at all of them takes 25."""
    memory_looks: float = Field(default=300.0, ge=60, le=900)
    """Seconds between two looks at who holds how much memory, which are kept for five hours: what has grown."""


def problems_of(hosts: dict[str, HostSection]) -> list[str]:
    """Jump hosts that do not exist, and ways that lead round in a circle."""
    wrong = [
        f"{name}.jump: one of these hosts, not {one.jump!r}"
        for name, one in hosts.items()
        if one.jump and one.jump not in hosts
    ]
    return wrong + [f"{name}.jump: a way that ends" for name in hosts if _goes_round(hosts, name)]


def _goes_round(hosts: dict[str, HostSection], name: str) -> bool:
    seen: set[str] = set()
    while name in hosts and name not in seen:
        seen.add(name)
        name = hosts[name].jump
    return name in seen
