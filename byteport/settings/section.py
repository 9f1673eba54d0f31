"""What every part of the configuration has in common: frozen, strict about keys, secrets by value or by file."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationInfo, field_validator, model_validator

LONGEST_SECRET = 64 * 1024


class Section(BaseModel):
    """Frozen; unknown keys are errors. A field `x` that stands in `SECRETS` may be given as `x_file` instead."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, hide_input_in_errors=True)

    SECRETS: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="after")
    def _one_way_each(self) -> Self:
        for name in self.SECRETS:
            if getattr(self, name) is not None and getattr(self, f"{name}_file") is not None:
                raise ValueError(f"either {name} or {name}_file, not both")
        return self

    @field_validator("*", mode="after")
    @classmethod
    def _readable_secrets(cls, value: object, info: ValidationInfo) -> object:
        """A secret's file is read once at load, so that a wrong path is told at start and not at the first use."""
        if isinstance(value, Path) and (info.field_name or "").removesuffix("_file") in cls.SECRETS:
            secret_in(value)
        return value

    def in_clear(self, name: str) -> str | None:
        """The secret in clear, its file read anew (a rotated one counts at once); None where it is not configured.

        Raises ValueError where the file has become unreadable or empty.
        """
        given: SecretStr | None = getattr(self, name)
        if given is not None:
            return given.get_secret_value()
        path: Path | None = getattr(self, f"{name}_file")
        return secret_in(path) if path is not None else None


def secret_in(path: Path) -> str:
    """The file's text without the newline at its end; raises ValueError without ever quoting it."""
    try:
        with path.open("rb") as file:
            text = file.read(LONGEST_SECRET + 1).decode().strip()
    except OSError as problem:
        raise ValueError(f"a readable file ({path}: {problem.strerror})") from problem
    except UnicodeDecodeError as problem:
        raise ValueError(f"a text file in UTF-8 ({path})") from problem
    if not text or len(text) > LONGEST_SECRET:
        raise ValueError(f"a file with one secret ({path} is empty or longer than {LONGEST_SECRET} bytes)")
    return text
