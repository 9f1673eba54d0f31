"""`byteport doctor` on the configured hosts."""

from __future__ import annotations

from tests.cli.conftest import Home


def test_doctor_says_which_hosts_let_us_in(home: Home):
    home.configure(
        hosts={"here": {"transport": "local"}, "away": {"address": "127.0.0.1", "port": 1, "user": "x", "agent": True}},
        runbooks={"application_error": {"options": {"commandHost": "here"}}},
    )
    found = {row["check"]: row for row in home.run("doctor", "--json").json["findings"]}
    assert found["host here"]["word"] == "ok"
    assert found["host away"]["word"] == "failed"
    assert "host here, commands" in found
    assert "host away, commands" not in found
