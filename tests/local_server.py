"""A web server on this machine that answers Range requests, and misbehaves when told to."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class LocalServer:
    """Serves `files` (path -> bytes) until closed.

    Attributes:
        requests: (path, Range header or None) of every request so far.
        faults: what the next requests meet, one each: "drop" (half of the body, then the connection is cut),
            "overstate" (a Content-Length larger than the body), "no-length", "other-range" (one byte
            late), "short-range" (half of what was asked for, and whole by its own headers), or a status code.
        ignore_range: answers 200 and the whole file, whatever range is asked for.
        versions: headers of every answer that tell versions of a file apart ("ETag", "Last-Modified").
        conditions: If-Range header or None of every request so far.
        ignore_condition: sends the range that is asked for, whatever version If-Range says.
    """

    def __init__(self, files):
        self.files = dict(files)
        self.requests = []
        self.faults = []
        self.ignore_range = False
        self.versions = {}
        self.conditions = []
        self.ignore_condition = False
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
                condition = self.headers.get("If-Range")
                server.requests.append((path, asked))
                server.conditions.append(condition)
                fault = server.faults.pop(0) if server.faults else None
                if isinstance(fault, int) or path not in server.files:
                    self.send_error(fault if isinstance(fault, int) else 404)
                    return
                content = server.files[path]
                start, end = 0, len(content)
                is_same = condition is None or condition in server.versions.values() or server.ignore_condition
                if asked and is_same and not server.ignore_range:
                    start = int(re.fullmatch(r"bytes=(\d+)-", asked).group(1))
                    if start >= len(content):
                        self.send_response(416)
                        self.send_header("Content-Range", f"bytes */{len(content)}")
                        self.send_header("Content-Length", "0")
                        self.end_versions()
                        return
                    start += fault == "other-range"
                    self.send_response(206)
                    end = (start + len(content)) // 2 if fault == "short-range" else len(content)
                    self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
                else:
                    self.send_response(200)
                body = content[start:end]
                if fault != "no-length":
                    self.send_header("Content-Length", str(len(body) + (1000 if fault == "overstate" else 0)))
                self.end_versions()
                self.wfile.write(body[: len(body) // 2] if fault == "drop" else body)

            def end_versions(self):
                for name, value in server.versions.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_):
                pass

        return Handler
