# SPDX-License-Identifier: GPL-2.0-only
"""http.server with the two things that it lacks: it sends with sendfile(2), and
it has room for the clients that wait to be accepted.

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


class Server(http.server.ThreadingHTTPServer):
    # Of 5, which it has, more clients at once than that are reset where it takes
    # them slowly: TCP gives up a connection that finds no room for some seconds.
    request_queue_size = 128


handler = functools.partial(Handler, directory=sys.argv[2])
server = Server(("", int(sys.argv[1])), handler)
try:
    server.serve_forever()
except KeyboardInterrupt:
    pass
