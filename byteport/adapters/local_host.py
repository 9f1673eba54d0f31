"""The machine that BytePort itself runs on, with the interface of a host that is reached over SSH."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from byteport.adapters.transport import COMMAND, Completed, Kept, checked
from byteport.errors import Permanent, Transient

PASSED_ON = ("HOME", "LOGNAME", "USER")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class LocalTransport:
    """Runs without a shell, in a process group of its own, which is ended with it; nothing of our environment."""

    def run(self, argv: Sequence[str], *, within: timedelta = COMMAND, stdin: bytes = b"") -> Completed:
        """See `Transport.run`."""
        words = checked(argv)
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        try:
            process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
                env={**environment, "PATH": PATH, "LANG": "C.UTF-8"}, cwd="/",
            )  # fmt: skip
        except OSError as problem:
            if isinstance(problem, FileNotFoundError | PermissionError):
                status = 127 if isinstance(problem, FileNotFoundError) else 126
                return Completed(status, "", f"{words[0]}: {problem.strerror}")
            raise Permanent(f"{words[0]}: {problem.strerror}") from None
        try:
            return self._heard(process, stdin, time.monotonic() + within.total_seconds(), words[0])
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    with suppress(OSError):
                        stream.close()

    def close(self) -> None:
        """Nothing is kept."""

    def _heard(self, process: subprocess.Popen[bytes], stdin: bytes, until: float, name: str) -> Completed:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None  # noqa: S101, PT018
        out, err, left = Kept(), Kept(), memoryview(stdin)
        with selectors.DefaultSelector() as waiting:
            waiting.register(process.stdout, selectors.EVENT_READ, out)
            waiting.register(process.stderr, selectors.EVENT_READ, err)
            if stdin:
                os.set_blocking(process.stdin.fileno(), False)
                waiting.register(process.stdin, selectors.EVENT_WRITE, None)
            else:
                process.stdin.close()
            while waiting.get_map():
                if (patience := until - time.monotonic()) <= 0:
                    raise Transient(f"{name} did not end in time")
                for key, _ in waiting.select(min(patience, 0.2)):
                    left = _moved(waiting, key, left)
                if process.poll() is not None and not waiting.select(0):
                    break  # whatever it left running keeps its output open
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, until - time.monotonic()))
            return Completed(process.returncode, out.text, err.text, out.cut or err.cut)
        raise Transient(f"{name} did not end in time")


def _moved(waiting: selectors.BaseSelector, key: selectors.SelectorKey, left: memoryview) -> memoryview:
    """One reading or writing that will not block."""
    if isinstance(key.data, Kept):
        chunk = os.read(key.fd, 65_536)
        if not chunk:
            waiting.unregister(key.fileobj)
        key.data.add(chunk)
        return left
    try:
        left = left[os.write(key.fd, left[:65_536]) :]
    except BrokenPipeError:
        left = left[:0]
    if not left:
        waiting.unregister(key.fileobj)
        key.fileobj.close()  # type: ignore[union-attr]
    return left
