"""What a login left: cookies and headers, read from files, because everybody on a machine can read command lines.

They are sent where they belong, and neither printed, logged nor stored: messages name the file and the line alone.
"""

from __future__ import annotations

import re
from http.cookiejar import CookieJar, LoadError, MozillaCookieJar
from pathlib import Path

from imagenet_prep.errors import UsageError, printable

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, "token"
# The program's own: a browser's copied headers have them, and would have the server send something else.
_OWN = ("accept-encoding", "connection", "content-length", "host", "if-range", "range", "te", "transfer-encoding")


def read_cookies(path: Path) -> CookieJar:
    """Read cookies in Netscape's format, as curl and extensions of browsers export them. Raises UsageError."""
    jar = MozillaCookieJar()
    try:
        jar.load(str(path), ignore_discard=True)
    except LoadError as error:
        raise UsageError(
            f"{printable(str(path))} is no cookie file in Netscape's format.",
            remedy="Its first line is `# Netscape HTTP Cookie File`; then each cookie has seven fields between tabs.",
        ) from error
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if not len(jar):
        raise UsageError(
            f"No cookie of {printable(str(path))} is valid any more.", remedy="Log in again and export them anew."
        )
    return jar


def read_headers(path: Path) -> dict[str, str]:
    """Read ``Name: value`` lines; blank ones and those with # are passed over, and so are headers that are the
    program's own. Raises UsageError.
    """
    try:
        lines = path.read_text(encoding="latin-1").splitlines()
    except OSError as error:
        raise _unreadable(path, error) from error
    headers = {}
    for number, line in enumerate(lines, 1):
        name, colon, value = line.strip().partition(":")
        if not name or name.startswith("#"):
            continue
        if not colon or not _NAME.fullmatch(name) or not value.strip().isprintable():
            raise UsageError(
                f"Line {number:,} of {printable(str(path))} is no header.", remedy="It looks like `Name: value`."
            )
        if name.lower() not in _OWN:
            headers[name] = value.strip()
    return headers


def _unreadable(path: Path, error: Exception) -> UsageError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is no text"
    return UsageError(f"Cannot read {printable(str(path))}: {reason}.")
