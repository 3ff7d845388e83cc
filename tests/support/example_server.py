"""A real HTTP server that answers each path with its example from `wire_examples`, a piece at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from wire_shapes import Example

PIECE_BYTES = 200


@contextmanager
def serving(example: Example, status: int = 200) -> Iterator[str]:
    """The server's URL; every POST gets this example."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            headers = {"content-type": example.content_type, **example.headers}
            for name, value in {**headers, "transfer-encoding": "chunked"}.items():
                self.send_header(name, value)
            self.end_headers()
            for at in range(0, len(example.body), PIECE_BYTES):
                piece = example.body[at : at + PIECE_BYTES]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
