"""The first lines of the `sew` command, which also runs as `python -m sewcli`.

Loading the libraries takes most of a second on a busy machine. A stop signal in that time is answered as later ones
are: exit 75, run the same command again; Ctrl-C: 130.
"""

import os
import signal
import sys
from types import FrameType

from sewcli.base import gc_tuning, standard


def main() -> None:
    """Load the command and run it."""
    standard.open_closed()
    gc_tuning.relax()
    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN  # in the background of a shell
    for number in (signal.SIGTERM, signal.SIGUSR1, *(() if ignored else (signal.SIGINT,))):
        signal.signal(number, _leave)
    try:
        from sewcli.cli.app import main as run
    except MemoryError:
        os.write(2, b"error: there is not enough memory\n  hint: allow more (ulimit -v)\n")
        sys.exit(2)
    if not ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


def _leave(number: int, frame: FrameType | None) -> None:
    """Nothing is begun yet, so nothing has to be put away."""
    name = signal.Signals(number).name
    os.write(2, f"stopped by {name} before the work began\n  hint: run the same command to go on\n".encode())
    os._exit(130 if number == signal.SIGINT else 75)


if __name__ == "__main__":
    main()
