"""What memory is measured against: the acting worker without preloading and without freezing. Each child imports what
it uses when it first uses it, which is what Celery does by itself."""

from __future__ import annotations

import sys

from celery import signals

from workers import boot
from workers.__main__ import main

if __name__ == "__main__":
    signals.worker_init.disconnect(boot._parent_starts, dispatch_uid="byteport.parent")
    sys.exit(main(sys.argv[1:]))
