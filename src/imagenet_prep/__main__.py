"""Start of the command ``imagenet-prep`` and of ``python -m imagenet_prep``.

Worker processes import this module too, so it imports nothing of the program until it is called.
"""

import os
import sys


def main() -> None:
    """Run the command line; ends the process with one of the documented exit codes."""
    # NumPy's linear algebra starts a thread for each processor as it is loaded; nothing here multiplies matrices.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from imagenet_prep.cli.main import run
    except KeyboardInterrupt:  # before anything was begun
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
