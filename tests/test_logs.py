"""One line for each event, with what is bound, and no secret in it: ours and every library's."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog

from byteport import logs

Lines = Callable[[], list[dict[str, object]]]


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    quiet = {name: logging.getLogger(name).level for name in logs.QUIET}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in quiet.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def lines(stream: io.StringIO) -> Lines:
    logs.configure(stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_time_level_and_logger(lines: Lines):
    structlog.get_logger("byteport.engine").info("moved", phase="ACT", seconds=1.5)
    (line,) = lines()
    assert line["timestamp"].endswith("Z")
    del line["timestamp"]
    assert line == {"event": "moved", "phase": "ACT", "seconds": 1.5, "level": "info", "logger": "byteport.engine"}


def test_what_is_bound_stands_on_every_line_within_ours_and_others(lines: Lines):
    with logs.bound(incident="i1", task="t1"):
        structlog.get_logger("a").info("ours")
        logging.getLogger("library").warning("%s of %s", 3, 4)
        with logs.bound(incident="i2"):
            structlog.get_logger("a").info("child")
        structlog.get_logger("a").info("again")
    structlog.get_logger("a").info("outside")
    assert [(line["event"], line.get("incident"), line.get("task")) for line in lines()] == [
        ("ours", "i1", "t1"),
        ("3 of 4", "i1", "t1"),
        ("child", "i2", "t1"),
        ("again", "i1", "t1"),
        ("outside", None, None),
    ]


def test_no_secret_gets_into_a_line(lines: Lines, stream: io.StringIO):
    log = structlog.get_logger("a")
    log.info("connecting to postgres://u:canary7@h/d", password="canary7", nested={"token": ["canary7"]})
    log.info("%s", "Authorization: Bearer canary7canary7")
    logging.getLogger("library").error("GET https://u:canary7@h/x", extra={"api_key": "canary7"})
    assert "canary7" not in stream.getvalue()
    assert lines()[0]["event"] == "connecting to postgres://[redacted]@h/d"
    assert lines()[0]["password"] == "[redacted]"


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_secret_gets_into_a_traceback(stream: io.StringIO, form: logs.Format):
    logs.configure(stream, form=form)
    try:
        raise ValueError("no such host in postgres://u:canary7@h/d")
    except ValueError:
        structlog.get_logger("a").exception("failed")
        logging.getLogger("library").exception("failed too")
    text = stream.getvalue()
    assert text.count("ValueError: no such host in postgres://[redacted]@h/d") == 2
    assert "canary7" not in text


def test_a_traceback_stays_on_one_line(lines: Lines):
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        structlog.get_logger("a").exception("failed")
    (line,) = lines()
    assert "Traceback" in line["exception"]


def test_lines_below_the_level_are_left_out(stream: io.StringIO):
    logs.configure(stream, level=logging.WARNING)
    structlog.get_logger("a").info("quiet")
    logging.getLogger("library").info("quiet")
    assert stream.getvalue() == ""


def test_talkative_libraries_are_heard_from_warning_on(lines: Lines):
    logging.getLogger("httpx").info("each request")
    logging.getLogger("httpx").warning("a problem")
    assert [line["event"] for line in lines()] == ["a problem"]


def test_a_second_configuration_replaces_the_first(stream: io.StringIO):
    logs.configure(io.StringIO())
    logs.configure(stream)
    structlog.get_logger("a").info("once")
    assert len(stream.getvalue().splitlines()) == 1


def test_a_value_that_is_no_json_does_not_break_the_line(lines: Lines):
    structlog.get_logger("a").info("odd", value={1, 2}, other=object)
    (line,) = lines()
    assert line["value"] == [1, 2]
    assert "object" in line["other"]


def test_people_get_lines_without_braces(stream: io.StringIO):
    logs.configure(stream, form="console")
    structlog.get_logger("a").info("moved", phase="ACT")
    assert "moved" in stream.getvalue()
    assert not stream.getvalue().startswith("{")
