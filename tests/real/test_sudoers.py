"""What `permissions --format sudoers` writes, before a real sudo: these words go, and no others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from byteport.shown.sudoers import sudoers, written
from tests import machine
from tests.machine import Machine

ODD = ("/bin/sh", "-c", "printf '%s|' \"$1\" [a-z]* ? {x,y}: !k \\\\n = # $((1+2))", "byteport", "a:b=c,d#e")


@pytest.fixture(scope="module")
def host() -> Iterator[Machine]:
    with machine.running() as one:
        yield one


def may(host: Machine, *command: str) -> bool:
    told = host.tried("sudo", "-n", *command)
    assert told.returncode == 0 or "password is required" in told.stderr, told.stderr
    return told.returncode == 0


def test_exactly_the_words_that_are_written_may_be_run_as_root(host):
    host.install_sudoers(sudoers("a_page", host.user, [ODD, ("/usr/bin/journalctl", "--rotate"), ("/usr/bin/id",)]))
    assert may(host, *ODD)
    assert may(host, "/usr/bin/journalctl", "--rotate")
    assert host.as_user("sudo", "-n", "/usr/bin/id").startswith("uid=0(root)")
    for more in ("", "x"):
        assert not may(host, *ODD, more)
    assert not may(host, *ODD[:-1], "aXb=c,d#e")
    assert not may(host, *ODD[:2], ODD[2].replace("[a-z]*", "b"), *ODD[3:])
    assert not may(host, *ODD[:2], ODD[2].replace("?", "q"), *ODD[3:])
    assert not may(host, *ODD[:2], ODD[2].replace("\\\\n", "\\n"), *ODD[3:])
    assert not may(host, "/usr/bin/journalctl", "--rotate", "--vacuum-size=1K")
    assert not may(host, "/usr/bin/id", "-u")
    assert not may(host, "/bin/sh", "-c", "id")


@pytest.mark.parametrize(
    "words", [("sh", "-c", "x"), ("/bin/sh", "a\nb"), ("/bin/sh", "a  b"), ("/bin/sh", "a\tb"), ("/bin/sh", "a", "")]
)
def test_what_sudoers_cannot_say_exactly_is_refused(words):
    with pytest.raises(ValueError, match="an absolute path, and words without"):
        written(words)
