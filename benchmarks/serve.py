"""A server on loopback for the benchmarks: ranges, and otherwise nothing; the kernel sends the file (``sendfile``).

    python benchmarks/serve.py FOLDER [--rate BYTES-A-SECOND]

It prints its port, then a line for each answer: where it began, and how many bytes were sent.
"""

from __future__ import annotations

import argparse
import http.server
import os
import re
import time
from functools import partial
from pathlib import Path

_CHUNK_BYTES = 1 << 20


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers GET with a file of the folder, from where a range says."""

    protocol_version = "HTTP/1.1"

    def __init__(self, folder: Path, rate: float, *arguments: object) -> None:
        self._folder = folder
        self._rate = rate
        super().__init__(*arguments)  # type: ignore[arg-type]

    def log_message(self, *_: object) -> None:
        """Nothing but the lines below."""

    def do_GET(self) -> None:
        """Send the file."""
        with (self._folder / self.path.strip("/")).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(asked[1]) if asked else 0
            self.send_response(206 if asked else 200)
            self.send_header("ETag", '"1"')
            self.send_header("Content-Length", str(size - start))
            if asked:
                self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
            self.end_headers()
            sent = self._send(file.fileno(), start, size)
        print(start, sent, flush=True)

    def _send(self, descriptor: int, start: int, size: int) -> int:
        began, position = time.monotonic(), start
        while position < size:
            try:
                chunk = size - position if not self._rate else min(_CHUNK_BYTES, size - position)
                position += os.sendfile(self.connection.fileno(), descriptor, position, chunk)
            except (BrokenPipeError, ConnectionResetError):
                break
            if self._rate:
                time.sleep(max(0.0, (position - start) / self._rate - (time.monotonic() - began)))
        return position - start


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rate", type=float, default=0, help="bytes a second; as fast as it goes if 0")
    options = parser.parse_args()
    handler = partial(Handler, options.folder, options.rate)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
