"""BytePort: signals become incidents; incidents are diagnosed, remediated inside hard limits, verified and told."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from byteport.enqueueing import enqueue
    from byteport.model.signal import Mode, Severity, Signal
    from byteport.model.target import Target, TargetKind

__version__ = "0.1.0"

__all__ = ["Mode", "Severity", "Signal", "Target", "TargetKind", "__version__", "enqueue"]

_HOMES = {
    "Mode": "byteport.model.signal",
    "Severity": "byteport.model.signal",
    "Signal": "byteport.model.signal",
    "Target": "byteport.model.target",
    "TargetKind": "byteport.model.target",
    "enqueue": "byteport.enqueueing",
}


def __getattr__(name: str) -> object:
    """Names are fetched when they are first asked for, so that importing the package costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'byteport' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
