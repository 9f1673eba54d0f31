"""Query text without anything that a person typed into it.

Literals, comments and bind numbers go, lists of them become one, space collapses, the rest is clipped. The text may be
cut off in the middle (servers keep a kilobyte), and a backslash before a quote means two things by a server's settings:
where it is not certain where a literal ends, everything after its beginning goes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

CLIP = 240

_TOKEN = re.compile(
    r"""
      (?P<comment>   --[^\n\r]* )
    | (?P<block>     /\* )
    | (?P<string>    (?:[eEbBxXnN]|[uU]&)?' )
    | (?P<dollar>    \$(?P<tag>(?:[^\W\d]\w*)?)\$ )
    | (?P<bind>      \$\d+ )
    | (?P<quoted>    (?:[uU]&)?"(?:[^"]|"")*(?:"|$) )
    | (?P<number>    (?:\d|\.\d)[\w.]*(?:(?<=[eE])[+-]\d+)? )
    | (?P<word>      [^\W\d][\w$]* )
    | (?P<space>     \s+ )
    | (?P<sign>      . )
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK_EDGE = re.compile(r"/\*|\*/")
_LIST = re.compile(r"\? ?(?:, ?\? ?)+")
_ROWS = re.compile(r"\(\?\)(?: ?, ?\(\?\))+")
_SIGNED = re.compile(r"(?<=[=<>(,]) ?[-+] ?\?")
_SETTING = re.compile(
    r"^((?:set|reset|alter|notify|listen|discard|execute|call)\b.*?(?: to | = ?|=)).*$", re.IGNORECASE
)


def fingerprint(query: str, clip: int = CLIP) -> str:
    """The query's shape, at most `clip` characters; nothing of a literal's or comment's text is in it."""
    text = " ".join("".join(_tokens(query)).split())
    text = _SIGNED.sub(" ?", text)
    text = _LIST.sub("?", text)
    text = _ROWS.sub("(?)", text)
    text = _SETTING.sub(r"\1?", text)
    return text if len(text) <= clip else text[: clip - 1] + "…"


def _tokens(query: str) -> Iterator[str]:
    at = 0
    while at < len(query):
        found = _TOKEN.match(query, at)
        if found is None:  # pragma: no cover - `sign` takes any character
            return
        kind, at = found.lastgroup, found.end()
        match "dollar" if found["dollar"] else kind:
            case "comment" | "space":
                yield " "
            case "block":
                at = _after_block(query, at)
                yield " "
            case "string":
                at = _after_string(query, at, escapes=found[0][:1] in "eE")
                yield " ? "
            case "dollar":
                end = query.find(found["dollar"], at)
                at = len(query) if end < 0 else end + len(found["dollar"])
                yield " ? "
            case "bind" | "number":
                yield "?"
            case _:
                yield found[0]


def _after_block(query: str, at: int) -> int:
    """Behind a comment that may hold comments."""
    depth = 1
    while depth and (edge := _BLOCK_EDGE.search(query, at)):
        depth += 1 if edge[0] == "/*" else -1
        at = edge.end()
    return at if depth == 0 else len(query)


def _after_string(query: str, at: int, escapes: bool) -> int:
    """Behind the closing quote. In a plain string a backslash before a quote is read both ways: the rest goes."""
    while (quote := query.find("'", at)) >= 0:
        backslashes = len(query[at:quote]) - len(query[at:quote].rstrip("\\"))
        if backslashes and not escapes:
            return len(query)
        if backslashes % 2:
            at = quote + 1
        elif query[quote + 1 : quote + 2] == "'":
            at = quote + 2
        else:
            return quote + 1
    return len(query)
