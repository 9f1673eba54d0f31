"""What `docker system df --verbose` tells, in our words. Sizes are docker's own, as people read them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from byteport.errors import Permanent
from byteport.model.facts.disks import ContainerUse, Image, NamedVolume

JUST = re.compile(r"Exited \(\d+\) (less than a second|about a minute|\d+ (seconds?|minutes?)) ago", re.IGNORECASE)
UNITS = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def used(text: str) -> ContainerUse:
    """Pure. Raises Permanent where it is none of docker's."""
    try:
        told = json.loads(text)
        return ContainerUse(
            images=tuple(_image(row) for row in _rows(told, "Images")),
            volumes=tuple(
                NamedVolume(name=str(row["Name"]), bytes=size(row.get("Size"))) for row in _rows(told, "Volumes")
            ),
            just_ended=tuple(
                str(row.get("Names", "")) for row in _rows(told, "Containers") if JUST.match(str(row.get("Status", "")))
            ),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as wrong:
        raise Permanent(f"docker did not tell what it keeps: {type(wrong).__name__}") from None


def _rows(told: Any, name: str) -> Iterable[dict[str, Any]]:
    return told.get(name) or ()


def _image(row: dict[str, Any]) -> Image:
    return Image(
        id=str(row["ID"]), repository=str(row.get("Repository", "")), tag=str(row.get("Tag", "")),
        created=str(row.get("CreatedAt", "")), bytes=size(row.get("UniqueSize") or row.get("Size")),
        containers=int(row.get("Containers", 0) or 0),
    )  # fmt: skip


def size(told: Any) -> int:
    """`5.24MB` in bytes; nothing for what is no size."""
    found = re.match(r"([0-9.]+)\s*([kKMGT]?B)", str(told))
    return round(float(found[1]) * UNITS[found[2]]) if found else 0
