"""`python -m byteport.web`: the HTTP service as a process of its own."""

from __future__ import annotations

import sys

from byteport.errors import BadConfiguration
from byteport.settings import Settings


def main() -> int:
    """Serve until told to stop; 2 for a wrong configuration."""
    from byteport import wiring
    from byteport.web.serve import serve

    try:
        settings = Settings.load()
        with wiring.build(settings, role="web") as world:
            serve(world)
    except BadConfiguration as wrong:
        print(wrong, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
