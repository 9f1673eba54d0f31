"""`byteport run --host` on a real host whose disk is really full, as its ordinary user."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from byteport.runbooks.linux.disk_pressure_auto_cleanup import RUNBOOK
from byteport.shown.sudoers import sudoers
from tests import machine
from tests.cli.conftest import Home
from tests.machine import Machine
from tests.pages.full_disk import OLD_DATA, OLD_LOG, Old, full


@pytest.fixture
def web() -> Iterator[Machine]:
    scratch = {"/var": full(OLD_LOG, OLD_DATA, Old("lib/shop/data.bin", 24.5))}
    with machine.running(scratch, keeps_journal=False) as one:
        folder = one.root / "etc/byteport"
        folder.mkdir()
        (folder / "host.yaml").write_text("byteport.io/auto-remediate: disk\n")
        yield one


def reached(home: Home, web: Machine) -> None:
    section = {"address": web.address, "user": web.user, "key_file": str(web.key), "known_hosts": str(web.known_hosts)}
    home.configure(hosts={"web1": section})


def used(web: Machine) -> int:
    return int(web.as_root("df", "--output=pcent", "/var").split()[-1].rstrip("%"))


def test_a_full_mount_is_cleaned_and_the_bytes_are_shown_by_step(home: Home, web: Machine):
    reached(home, web)
    written = home.run("permissions", "disk_pressure_auto_cleanup", "--format", "sudoers", "--user", web.user)
    web.install_sudoers(written.out.splitlines())
    rehearsed = home.run("run", "disk_pressure_auto_cleanup", "--host", "web1", "--mount", "/var")
    assert rehearsed.code == 0, rehearsed.out + rehearsed.err
    assert "/var/tmp/left-behind.bin (10.5 MB)" in rehearsed.out
    assert used(web) > 85
    done = home.run("run", "disk_pressure_auto_cleanup", "--host", web.address, "--mount", "/var", "--no-dry-run")
    assert done.code == 0, done.out + done.err
    assert used(web) < 80
    assert "bytes_per_step  tmp_sweep: 10.5 MB (done)\n" in done.out
    assert "total_freed: 10.5 MB\n" in done.out


def test_a_wrong_target_says_which_one_is_meant(home: Home):
    home.configure(hosts={"here": {"transport": "local"}})
    for words, told in (
        (("--host", "here", "--db", "x"), "--db or --host, one of the two"),
        ((), "--db or --host, one of the two"),
        (("--host", "there"), "a configured host (here)"),
        (("--host", "here", "--mount", "var"), "an absolute path"),
        (("--host", "here", "--unit", "shop.service"), "is about a host: --host"),
    ):
        refused = home.run("run", "disk_pressure", *words)
        assert refused.code == 2, refused.err
        assert told in refused.err


def test_the_sudoers_file_holds_what_the_options_ask_for_and_no_more(home: Home):
    home.configure(runbooks={"disk_pressure": {"options": {"dockerPruneEnabled": True}}})
    pressure = home.run("permissions", "disk_pressure", "--format", "sudoers").out
    assert "byteport ALL=(root) NOPASSWD: /usr/bin/docker container prune --force --filter until\\=24h\n" in pressure
    assert "--all" not in pressure
    cleanup = home.run("permissions", "disk_pressure_auto_cleanup", "--format", "sudoers").out
    assert "docker prune" not in cleanup
    assert "apt-get" not in cleanup
    refused = home.run("permissions", "deploy_failure", "--format", "sudoers")
    assert refused.code == 2


def test_what_it_writes_is_what_the_page_runs(home: Home):
    options = {option.name: option.default for option in RUNBOOK.options}
    assert RUNBOOK.as_root is not None
    told = home.run("permissions", RUNBOOK.name, "--format", "sudoers").out.splitlines()
    assert told == list(sudoers(RUNBOOK.name, "byteport", RUNBOOK.as_root(options, ())))
