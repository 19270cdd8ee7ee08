# SPDX-License-Identifier: GPL-2.0-only
"""Whether an answer of several ranges, from standard input, is that of a file.

ranges.py FILE RANGE...		a range is FIRST-LAST
"""

import re
import sys

with open(sys.argv[1], "rb") as file:
    content = file.read()
header, body = sys.stdin.buffer.read().split(b"\r\n\r\n", 1)
assert header.startswith(b"HTTP/1.1 206"), header
boundary = re.search(rb"multipart/byteranges; *boundary=(\S+)", header).group(1)
parts = (b"\r\n" + body).split(b"\r\n--" + boundary.strip(b'"'))
assert not parts[0].strip() and parts[-1].startswith(b"--"), "no end"
found = []
for part in parts[1:-1]:
    header, data = part.split(b"\r\n\r\n", 1)
    first, last, size = map(int, re.search(
        rb"(?i)content-range: bytes (\d+)-(\d+)/(\d+)", header).groups())
    assert size == len(content), header
    assert data == content[first:last + 1], header
    found.append(f"{first}-{last}")
assert found == sys.argv[2:], found
