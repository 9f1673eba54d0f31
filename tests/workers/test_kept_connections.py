"""A kept connection that the server has ended is known to be gone before anybody asks over it."""

from __future__ import annotations

from collections.abc import Callable

from byteport.adapters.database_pool import KeptConnection
from byteport.adapters.postgres import reading_login
from tests.patients import Patient
from tests.servers import eventually

WHO = "SELECT pg_backend_pid() AS pid"


def test_an_ended_connection_is_seen_without_a_question_and_opened_again(patient: Callable[..., Patient]) -> None:
    one = patient()
    with KeptConnection(reading_login("shop", one.url)).open() as kept:
        before = kept.rows(WHO)[0]["pid"]
        one.run("SELECT pg_terminate_backend(%s)", before)
        eventually(lambda: not kept.is_open)
        assert kept.open().is_open
        assert kept.rows(WHO)[0]["pid"] != before


def test_a_reloaded_server_costs_no_connection(patient: Callable[..., Patient]) -> None:
    one = patient()
    with KeptConnection(reading_login("shop", one.url)).open() as kept:
        before = kept.rows(WHO)[0]["pid"]
        one.run("ALTER SYSTEM SET standard_conforming_strings = off")
        one.run("SELECT pg_reload_conf()")
        eventually(lambda: one.run("SHOW standard_conforming_strings")[0]["standard_conforming_strings"] == "off")
        assert kept.is_open
        assert kept.open().rows(WHO)[0]["pid"] == before
