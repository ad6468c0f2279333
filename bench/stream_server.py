"""Serves a recorded stream over HTTP, again and again and as fast as it is read: each event one HTTP chunk.

In: a file of blocks, and how often it is served. Out: the address, on the first line of the output.
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def main() -> None:
    blocks = [block + b"\n\n" for block in Path(sys.argv[1]).read_bytes().split(b"\n\n") if block]
    times = int(sys.argv[2])
    whole = [b"%x\r\n%b\r\n" % (len(block), block) for block in blocks]
    # A few events a system call, so that the server is never what is waited for.
    parts = [b"".join(whole[i : i + 20]) for i in range(0, len(whole), 20)]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream; charset=utf-8")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for _ in range(times):
                for part in parts:
                    self.wfile.write(part)
            self.wfile.write(b"0\r\n\r\n")
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
