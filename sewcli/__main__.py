"""The first lines of the `sew` command, which also runs as `python -m sewcli`.

Loading the libraries takes most of a second on a busy machine. A stop signal in that time is answered as later ones
are: exit 75, run the same command again.
"""

import os
import signal
from types import FrameType

from sewcli.base import collector


def main() -> None:
    """Load the command and run it."""
    collector.rest()
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, _leave)
    from sewcli.cli.app import main as run

    run()


def _leave(number: int, frame: FrameType | None) -> None:
    """Nothing is begun yet, so nothing has to be put away."""
    name = signal.Signals(number).name
    os.write(2, f"stopped by {name} before the work began\n  mend: run the same command to go on\n".encode())
    os._exit(75)


if __name__ == "__main__":
    main()
