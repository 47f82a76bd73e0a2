"""Python's collector of cycles, which has little to find while libraries are imported.

Importing makes objects by the hundred thousand and hardly a cycle of them; looking for one every 700 objects was a tenth of
the time that `sew transcribe` takes on a short recording.
"""

from __future__ import annotations

import gc

SELDOM = 50_000  # new objects between two searches
_USUAL = gc.get_threshold()


def relax() -> None:
    """Search seldom: libraries are about to be imported."""
    gc.set_threshold(SELDOM, *_USUAL[1:])


def restore() -> None:
    """End the start-up: leave alone what is there by now, and search as often as ever."""
    gc.freeze()
    gc.set_threshold(*_USUAL)
