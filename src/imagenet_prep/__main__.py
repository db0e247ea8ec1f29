"""Start of the command ``imagenet-prep`` and of ``python -m imagenet_prep``.

Worker processes import this module too, so it imports nothing of the program until it is called.
"""

import os
import signal
import sys


def main() -> None:
    """Run the command line; ends the process with one of the documented exit codes."""
    # NumPy's linear algebra starts a thread for each processor as it is loaded; nothing here multiplies matrices.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _open_missing()
    # An interrupt that falls into an import comes out as any error: it waits until all are done.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    from imagenet_prep.cli.main import run

    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    except KeyboardInterrupt:  # before anything was begun
        sys.exit(130)
    run()


def _open_missing() -> None:
    """Give the process the outputs that it was started without: the next file it opens would take their place."""
    for name, descriptor in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(descriptor, "r" if descriptor == 0 else "w", closefd=False))  # noqa: SIM115


if __name__ == "__main__":
    main()
