"""The project's own text, read as a tree."""

from __future__ import annotations

import ast
import os
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("byteport", "workers", "beat_schedules")
NOT_OURS = {
    ".git",
    ".venv",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
    "__pycache__",
    "build",
    "dist",
}


def modules(*folders: str) -> list[Path]:
    """Every Python file below the folders, the packages' if none is named."""
    return sorted(path for folder in folders or PACKAGES for path in (ROOT / folder).rglob("*.py"))


@cache
def tree(path: Path) -> ast.Module:
    """The file, parsed."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def named(path: Path) -> str:
    """The file as a reader would name it."""
    return path.relative_to(ROOT).as_posix()


def committed() -> list[Path]:
    """Every file that git knows or would add; of a copy without git, every file that is not a by-product."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0 and listed.stdout:
        files = [ROOT / os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
    else:
        files = list(_walked(ROOT))
    return sorted(path for path in files if path.is_file() and not path.is_symlink())


def _walked(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            if entry.name not in NOT_OURS and not entry.name.endswith(".egg-info"):
                yield from _walked(entry)
        else:
            yield entry


def functions(path: Path) -> list[ast.FunctionDef]:
    """Every function of the file, also those in classes."""
    return [node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef)]
