# SPDX-License-Identifier: GPL-2.0-only
"""http.server with the one thing that it lacks: it sends with sendfile(2).

sendfile.py PORT FOLDER
"""

import functools
import http.server
import sys


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def copyfile(self, source, outputfile):
        self.connection.sendfile(source)

    def log_message(self, *_):
        pass


handler = functools.partial(Handler, directory=sys.argv[2])
server = http.server.ThreadingHTTPServer(("", int(sys.argv[1])), handler)
try:
    server.serve_forever()
except KeyboardInterrupt:
    pass
