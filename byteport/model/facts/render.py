"""What Render tells of deploys, in our words."""

from __future__ import annotations

from pydantic import AwareDatetime

from byteport.model.base import Value


class Deploy(Value):
    """`status` in Render's own word: live, build_failed, update_failed, canceled …"""

    id: str
    status: str
    trigger: str = ""
    commit: str = ""
    created_at: AwareDatetime
    finished_at: AwareDatetime | None = None
