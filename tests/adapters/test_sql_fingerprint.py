"""What a person typed into a query is in no fingerprint of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byteport.adapters.sql_fingerprint import CLIP, fingerprint

SECRET = "5ecretvalue"


@pytest.mark.parametrize(
    ("query", "shape"),
    [
        ("SELECT * FROM t WHERE a = 'x''y' AND b=-3.5e-10", "SELECT * FROM t WHERE a = ? AND b= ?"),
        ("select 1 from t where id in (1, 2,3)", "select ? from t where id in (?)"),
        ("insert into t values (1,'a'),(2,'b')", "insert into t values (?)"),
        ("select $1, $body$ it's $body$, E'a\\'b', B'01', X'1F', U&'d'", "select ?"),
        ("select a -- who\n, b /* why /* nested */ still */ from t", "select a , b from t"),
        ("select col1 from t2 where x = 0x1F or y = 1_000", "select col1 from t2 where x = ? or y = ?"),
        ("SET app.tenant TO acme", "SET app.tenant TO ?"),
        ('select "Mixed"."Name" from "T"', 'select "Mixed"."Name" from "T"'),
        ("  SELECT\n\t1  ", "SELECT ?"),
        ("", ""),
    ],
)
def test_the_shape_stays_and_the_values_go(query: str, shape: str):
    assert fingerprint(query) == shape


@pytest.mark.parametrize(
    "query",
    [
        f"select '{SECRET}",
        f"select $a$ {SECRET}",
        f"select 1 /* {SECRET}",
        f"select 'it\\'s {SECRET}' from t",
        f"select 'a\\' || '{SECRET}'",
        f"select E'it\\'s {SECRET}'",
        f"select $$ ' $$ || '{SECRET}'",
        f"select 1 -- ' {SECRET}\n",
        f"set session.who = {SECRET}",
    ],
)
def test_a_cut_off_or_ambiguous_literal_takes_the_rest_with_it(query: str):
    assert SECRET not in fingerprint(query)


def _plain(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _escaped(text: str) -> str:
    return "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _dollar(text: str) -> str:
    return f"$q${text.replace('$', '')}$q$"


def _comment(text: str) -> str:
    return "/*" + text.replace("*", "").replace("/", "") + "*/ 1"


LITERALS = st.sampled_from([_plain, _escaped, _dollar, _comment])
NOISE = st.text(alphabet="ab '\"\\$-/*\n;é", max_size=6)


@given(st.lists(st.tuples(LITERALS, NOISE, NOISE), min_size=1, max_size=5), st.integers(0, 200))
def test_no_literal_survives_wherever_it_stands_and_wherever_the_text_is_cut(parts, cut):
    literals = [form(before + SECRET + after) for form, before, after in parts]
    query = "select " + ", ".join(literals) + " from orders"
    assert SECRET not in fingerprint(query)
    shortened = fingerprint(query[:cut])
    assert not any(SECRET[: n + 4] in shortened for n in range(len(SECRET) - 3))


@given(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
def test_no_number_survives(whole, broken):
    assert not any(character.isdigit() for character in fingerprint(f"select {whole}, {broken!r} from t"))


@given(st.text(max_size=2000))
def test_any_text_has_a_short_fingerprint_on_one_line(query):
    told = fingerprint(query)
    assert len(told) <= CLIP
    assert "\n" not in told


@given(st.text(alphabet="abc 123'(),=", max_size=80))
def test_queries_that_differ_in_whitespace_only_are_one(query):
    assert fingerprint(query) == fingerprint(" " + query.replace(" ", "  "))
