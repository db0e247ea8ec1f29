"""Start of the command ``imagenet-prep`` and of ``python -m imagenet_prep``.

Worker processes import this module too, so it imports nothing of the program until it is called.
"""

import codecs
import io
import os
import signal
import sys

_PLAIN = {"…": "...", "→": "->", "–": "-", "×": "x"}  # replacements where an encoding lacks these


def main() -> None:
    """Run the command line; ends the process with one of the documented exit codes."""
    # NumPy's linear algebra starts a thread for each processor as it is loaded; nothing here multiplies matrices.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Arrow's own allocator keeps freed memory, a fifth of an audit's, and is not faster here.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    _open_missing()
    _write_whatever_the_encoding()
    # An interrupt during an import surfaces as any error, so it waits until all imports are done.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    from imagenet_prep.cli.main import run

    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    except KeyboardInterrupt:  # before anything was started
        sys.exit(130)
    run()


def _open_missing() -> None:
    """Open standard output and error if the process was started without them: the next file that is opened would
    take their place.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115 — for as long as the process


def _write_whatever_the_encoding() -> None:
    """Let both outputs take every text, whatever the encoding of the terminal: a message must not end the work."""
    codecs.register_error("plainly", _plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plainly")


def _plainly(error: UnicodeError) -> tuple[str | bytes, int]:
    """Write characters that an encoding lacks in ASCII, and bytes of a file name that are not text as they are."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if "\udc80" <= character <= "\udcff":  # so Python has them from the command line
        return character.encode("ascii", "surrogateescape"), error.start + 1
    return _PLAIN.get(character) or character.encode("ascii", "backslashreplace").decode(), error.start + 1


if __name__ == "__main__":
    main()
