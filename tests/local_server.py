"""A web server on this machine that answers Range requests, and misbehaves when told to."""

import re
import threading
from email.utils import parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class LocalServer:
    """Serves `files` (path -> bytes) until closed.

    Attributes:
        requests: (path, Range header or None) of every request so far.
        faults: what the next requests meet, one each: "drop" (half of the body, then the connection is cut),
            "overstate" (a Content-Length larger than the body), "no-length", "other-range" (one byte late), or a
            status code.
        ignore_range: answers 200 and the whole file, whatever range is asked for.
        modified: seconds since the epoch at which the files were last changed.
    """

    def __init__(self, files):
        self.files = dict(files)
        self.requests = []
        self.faults = []
        self.ignore_range = False
        self.modified = 0.0
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def url(self, path):
        return f"http://127.0.0.1:{self._http.server_port}/{path}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _handler(server):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.lstrip("/")
                asked = self.headers.get("Range")
                condition = self.headers.get("If-Unmodified-Since")
                server.requests.append((path, asked))
                fault = server.faults.pop(0) if server.faults else None
                if isinstance(fault, int) or path not in server.files:
                    self.send_error(fault if isinstance(fault, int) else 404)
                    return
                if condition and server.modified > parsedate_to_datetime(condition).timestamp():
                    self.send_error(412)
                    return
                content = server.files[path]
                start = 0
                if asked and not server.ignore_range:
                    start = int(re.fullmatch(r"bytes=(\d+)-", asked).group(1))
                    if start >= len(content):
                        self.send_response(416)
                        self.send_header("Content-Range", f"bytes */{len(content)}")
                        self.send_header("Content-Length", "0")
                        self.end_headers()
                        return
                    start += fault == "other-range"
                    self.send_response(206)
                    self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
                else:
                    self.send_response(200)
                body = content[start:]
                if fault != "no-length":
                    self.send_header("Content-Length", str(len(body) + (1000 if fault == "overstate" else 0)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if fault == "drop" else body)

            def log_message(self, *_):
                pass

        return Handler
