"""What must not leave this process is struck out: of messages, of stored bundles, of log lines, of error texts.

Striking out too much is the harmless mistake here, so patterns are wide. Names stay, values go. The literals of queries
are not looked for: fingerprints never contain them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

MARK = "[redacted]"
DEEPEST = 40
# What is shorter than this is struck out only beside one of these marks: no rule takes it otherwise.
SHORTEST = 13
_MARKS = re.compile(r"[:=@]|--|-u|hooks\.")

LONGEST_NAME, MOST_NAMES = 64, 4096
_NAMES: dict[str, bool] = {}

_SECRET = r"""(?:pass(?:word|wd|phrase|code)|pwd\b|\bpass\b|_pass\b|secret|credential|authorization|cookie|token(?!iz|s)
 |(?:api|app|access|account|auth|private|signing|encryption|routing|integration|master|client|shared|storage)
  [_\-.\s]?key
 |amz-signature|[?&]sig\b|(?<![a-z])dsn\b)"""  # noqa: S105 - what secrets are called
_SECRET_NAME = re.compile(_SECRET, re.IGNORECASE | re.VERBOSE)
_NAMED = rf"""({_SECRET}[\w.\-]{{0,40}})(\\*["']?\s*(?:=>|:=|[:=])\s*)"""
# Where a word may begin: also behind an escape of JSON, or of a terminal's colours.
_START = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrtbf])|(?<=\\u[0-9a-f]{4})|(?<=\[\dm)|(?<=\[\d\dm))"
_FLAG = r"(--[\w-]{0,40}?(?:password|passwd|secret|token|api-key)[\w-]{0,20})(\s+)"
_QUOTED = r"""(?:(")(?:[^"\\]|\\.)*(?:"|$)|(')(?:[^'\\]|\\.)*(?:'|$)|(?!["'])\S+)"""


def _without_user(found: re.Match[str]) -> str:
    """Addresses without who logs in. Passwords are seen with @ and / in them, so it goes up to the last @."""
    return "://".join(_host_of(part) for part in found[0].split("://"))


def _host_of(part: str) -> str:
    first = re.search(r"[/:@?#]", part)
    if first is None or "@" not in part or first[0] in "/?#":
        return part
    return f"{MARK}@{part.rpartition('@')[2]}"


def _header_without_value(found: re.Match[str]) -> str:
    """Up to the next quote; a space keeps what follows from being taken for a part of the value."""
    following = found.string[found.end() : found.end() + 1]
    opens = following != "" and following in "\"'" and not found[2].endswith(following)
    return f"{found[1]}{found[2]}{MARK}" + (" " if opens else "")


def _without_value(found: re.Match[str]) -> str:
    quote = found[3] or found[4] or ""
    return f"{found[1]}{found[2]}{quote}{MARK}{quote}"


_KEY_BLOCK = re.compile(r"-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|\Z)", re.DOTALL)

# Each: what calls for the pattern at all (quick to look for), the pattern, what stands there afterwards.
_RULES: tuple[tuple[str, re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    ("-----BEGIN", _KEY_BLOCK, MARK),
    ("://", re.compile(r"://[^\s\"'<>]+"), _without_user),
    (
        "@",
        re.compile(
            r"(?<![\w/.:+-])(?!service:[\w.@-]{1,200}\.service@)[\w.+-]{1,64}:(?!//)"
            r"[^\s:@\"'<>]{1,256}@(?!sha\d)(?=[\w\[(])"
        ),
        f"{MARK}@",
    ),
    ("hooks.", re.compile(r"(hooks\.[\w.-]{1,80}/[\w-]{1,40}/)[^\s\"'<>|]+"), rf"\1{MARK}"),
    (
        "",
        re.compile(r"(?i)((?:proxy-)?authorization|(?:set-)?cookie)(\\*[\"']?\s*[:=]\s*\\*[\"']?)[^\r\n\"'\\]+"),
        _header_without_value,
    ),
    ("-u", re.compile(r"((?<!\S)(?:-u|--user)[ =]\s*)([\"']?)[^\s:\"']{1,128}:\S+"), rf"\1\2{MARK}"),
    ("", re.compile(r"(?i)(bearer)\s+[\w.~+/=-]{6,}"), rf"\1 {MARK}"),
    ("", re.compile(_START + r"((?i:basic))\s+(?=[a-z]*[A-Z0-9+/=])[A-Za-z0-9+/]{8,}={0,2}"), rf"\1 {MARK}"),
    ("", re.compile(_NAMED + _QUOTED, re.IGNORECASE | re.VERBOSE), _without_value),
    ("--", re.compile(_FLAG + _QUOTED), _without_value),
    (
        "",
        re.compile(
            r"""(?x)(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA|AGPA|ANPA)[A-Z0-9]{12,}
            | x(?:ox[a-z]|app)[-.][\w.-]{8,}
            | (?:gh[oprsu]|github_pat|glpat|gldt|dop_v1|doo_v1|lin_api|whsec|[rs]k_live|[rs]k_test)[_-][\w-]{16,}
            | AIza[\w-]{30,}
            | ya29\.[\w.-]{10,}
            | eyJ[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*)?
            | AGE-SECRET-KEY-[A-Z0-9]+
            """
        ),
        MARK,
    ),
    (
        "",
        re.compile(
            _START + r"(?:(?:npm|pypi|rnd|hf|shp[a-z]{2})[_-][\w-]{16,}|sk-[\w-]{16,}|hv[sbr]\.[\w-]{16,}"
            r"|SG\.[\w-]{16,}\.[\w-]{16,})"
        ),
        MARK,
    ),
    (
        "",
        re.compile(
            r"(?:(?<![\w/+=.-])|(?<=\\[nrtbf]))"
            r"(?=\S{0,39}[a-z])(?=\S{0,39}[A-Z])(?=\S{0,39}\d)[A-Za-z0-9/+]{40}(?![\w/+=.-])"
        ),
        MARK,
    ),
    # An address of mail; a release (shop@2.0.1, as Sentry's clients name theirs) is none, nor is worker@1.service, or
    # shop.service@web1.example.net.
    (
        "@",
        re.compile(
            r"[\w.+%-]{1,64}(?<!\.service)@(?!\d{1,9}\.\d)(?!(?:[\w-]{1,63}\.){1,4}service(?![\w-]|\.\w))"
            r"[\w-]{1,63}(?:\.[\w-]{1,63})+"
        ),
        MARK,
    ),
)


class Redacted(dict[str, Any]):
    """JSON that was redacted by who made it, so that nobody looks through it again. Whatever copies it, loses that."""


def redact(value: object) -> Any:
    """The same JSON with secrets struck out; what is no JSON becomes its redacted text. Twice is the same as once."""
    return value if isinstance(value, Redacted) else _redacted(value, DEEPEST)


def redact_text(text: str) -> str:
    """The same text with secrets struck out."""
    if len(text) < SHORTEST and not _MARKS.search(text):
        return text
    for needs, pattern, instead in _RULES:
        if needs in text:
            text = pattern.sub(instead, text)
    return text


def redact_keys(text: str) -> str:
    """The same text without key blocks, for whoever looks at its lines one by one: a line of a key tells nothing of
    being one."""
    return _KEY_BLOCK.sub(MARK, text) if "-----BEGIN" in text else text


def looks_secret(name: str) -> bool:
    """Whether a value of this name is not to be shown."""
    return _SECRET_NAME.search(name) is not None


def _name(name: str) -> tuple[str, bool]:
    """A name as it may be shown, and whether its value may not. The same names come with every signal, so those that
    hold no secret themselves are remembered."""
    if (hides := _NAMES.get(name)) is not None:
        return name, hides
    shown, hides = redact_text(name), looks_secret(name)
    if shown == name and len(name) <= LONGEST_NAME:
        if len(_NAMES) >= MOST_NAMES:
            _NAMES.clear()
        _NAMES[name] = hides
    return shown, hides


def _redacted(value: object, deeper: int) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redact_text(value)
    if deeper == 0:
        return MARK
    if isinstance(value, Mapping):
        return _redacted_mapping(value, deeper - 1)
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(item, deeper - 1) for item in value]
    if isinstance(value, bytes | bytearray):
        return redact_text(bytes(value).decode("utf-8", "replace"))
    return redact_text(str(value))


def _redacted_mapping(value: Mapping[Any, Any], deeper: int) -> dict[str, object]:
    """Also {"name": "DB_PASSWORD", "value": …}, as environments are written, and a Kubernetes Secret's data."""
    hidden = {"data", "stringData"} if value.get("kind") == "Secret" else set()
    if any(name in value and looks_secret(str(value[name])) for name in ("name", "key")):
        hidden.add("value")
    seen = ((*_name(str(name)), name, item) for name, item in value.items())
    return {
        shown: _struck(item) if is_secret or name in hidden else _redacted(item, deeper)
        for shown, is_secret, name, item in seen
    }


def _struck(value: object) -> object:
    """Names are shown, values are not; that nothing is set is no secret."""
    if value is None or isinstance(value, bool) or value == "":
        return value
    if isinstance(value, Mapping):
        return {redact_text(str(name)): _struck(item) for name, item in value.items()}
    return MARK
