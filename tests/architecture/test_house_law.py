"""What no linter knows: the laws of this house."""

import ast
import re

import pytest

import byteport
from tests.architecture.source import committed, modules, named, tree

LONGEST_MODULE = 300

# Written so that this file does not contain what it looks for.
ADDRESSES = re.compile(
    r"/[w]ork/(main|shared)|/[f]arm/|/[r]oot/|/[o]pt/(pypi|wheels)|p[y]pi\.org|p[y]thonhosted|registry\.n[p]mjs|"
    r"deb\.d[e]bian\.org|--(extra-)?i[n]dex-url[ =]+\S*://"
)
SHELLS = {("os", "system"), ("os", "popen"), ("subprocess", "getoutput"), ("subprocess", "getstatusoutput")}
# What a user may import from `byteport` itself; a change here is a change of the product's interface.
PUBLIC = {"Mode", "Severity", "Signal", "Target", "TargetKind", "__version__", "enqueue"}
SENT_AWAY = {"unittest.mock", "mock"}


def attributes(path):
    return [node for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)]


def keywords(path):
    return [
        (node, keyword.arg, keyword.value)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        for keyword in node.keywords
    ]


def is_constant(value, wanted):
    return isinstance(value, ast.Constant) and value.value is wanted


def test_only_the_gate_applies_actions():
    applied = [named(path) for path in modules() for node in attributes(path) if node.attr == "apply"]
    assert applied == ["byteport/engine/gate.py"]


@pytest.mark.parametrize("path", modules("byteport", "workers", "beat_schedules", "tests"), ids=named)
def test_no_module_is_too_long_to_read(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_MODULE, f"{named(path)} has {lines} lines; split it by what its parts are about"


def test_nothing_goes_through_a_shell():
    found = [
        f"{named(p)}:{n.lineno}"
        for p in modules()
        for n, name, v in keywords(p)
        if name == "shell" and not is_constant(v, False)
    ]
    found += [
        f"{named(path)}:{node.lineno}"
        for path in modules()
        for node in attributes(path)
        if isinstance(node.value, ast.Name) and (node.value.id, node.attr) in SHELLS
    ]
    assert not found


def test_no_host_key_and_no_certificate_goes_unchecked():
    """But by the one that reads what an endpoint serves in order to say what is wrong with it; it sends nothing there."""
    found = [
        f"{named(path)}:{node.lineno}"
        for path in modules()
        for node in ast.walk(tree(path))
        if getattr(node, "attr", getattr(node, "id", "")) in ("AutoAddPolicy", "WarningPolicy", "CERT_NONE")
        and named(path) != "byteport/adapters/tls.py"
    ]
    unchecked = {"verify", "check_hostname", "verify_ssl"}
    found += [
        f"{named(p)}:{n.lineno}"
        for p in modules()
        for n, name, v in keywords(p)
        if name in unchecked and is_constant(v, False)
    ]
    assert not found


def test_nothing_of_ours_is_patched_or_mocked():
    found = []
    for path in modules("byteport", "workers", "beat_schedules", "tests"):
        for node in ast.walk(tree(path)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [f"{named(path)}:{node.lineno}" for name in names if name in SENT_AWAY]
            setting = isinstance(node, ast.Attribute) and node.attr in ("setattr", "delattr")
            if setting and isinstance(node.value, ast.Name) and node.value.id == "monkeypatch":
                found.append(f"{named(path)}:{node.lineno}")
    assert not found


def test_no_test_is_skipped():
    away = {"skip", "skipif", "xfail", "importorskip"}
    found = [
        f"{named(path)}:{node.lineno}"
        for path in modules("tests")
        for node in attributes(path)
        if node.attr in away and ast.unparse(node.value) in ("pytest", "pytest.mark")
    ]
    assert not found


def test_what_is_exported_is_what_is_meant_to_be_public():
    assert set(byteport.__all__) == PUBLIC
    assert len(byteport.__all__) == len(PUBLIC)
    for name in PUBLIC:
        assert getattr(byteport, name) is not None
    strays = {
        name
        for name, value in vars(byteport).items()
        if not name.startswith("_") and str(getattr(value, "__module__", "")).startswith("byteport")
    }
    assert strays <= PUBLIC


def test_no_committed_text_names_a_registry_or_a_path_of_one_machine():
    found = []
    for path in committed():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{named(path)}: {match.group()}" for match in ADDRESSES.finditer(text)]
    assert not found


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_pins_every_package_with_its_hashes_and_no_address(lock):
    text = next(path for path in committed() if named(path) == lock).read_text(encoding="utf-8")
    pinned = [line for line in text.splitlines() if line and line[0] not in " #"]
    assert len(pinned) > 50
    assert [line for line in pinned if not re.match(r"[a-z0-9._-]+==[^ ]+ .*\\$", line, re.IGNORECASE)] == []
    assert "://" not in text
    assert text.count("==") - text.count("python_full_version ==") <= text.count("--hash=sha256:")
