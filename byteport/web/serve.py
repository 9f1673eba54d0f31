"""Run the service: uvicorn, on the configured address, until it is told to stop."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from byteport import logs
from byteport.settings import Settings
from byteport.web.app import create
from byteport.web.standby import standing_by

if TYPE_CHECKING:
    from byteport.wiring import Wired


def serve(world: Wired) -> None:
    """Serves until SIGINT or SIGTERM; open requests get ten seconds to finish. Stands in while the broker is gone."""
    settings: Settings = world.settings
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _already_heard)
    logs.configure()
    with standing_by(world):
        uvicorn.run(
            create(world), host=settings.web.host, port=settings.web.port, access_log=False, log_config=None,
            server_header=False, date_header=True, proxy_headers=False, timeout_graceful_shutdown=10,
            limit_concurrency=200,
        )  # fmt: skip


def _already_heard(_number: int, _frame: FrameType | None) -> None:
    """uvicorn raises the signal again when it has stopped; ended by it, we would leave the stores' connections open."""
