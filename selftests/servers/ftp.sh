#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# pyftpdlib: ftp.

# shellcheck source=selftests/lib/server.sh
source "$(dirname "$0")/../lib/server.sh"

scheme=ftp
start env --default-signal=INT \
	PYTHONPATH="$ZCOPY_SERVERS/usr/lib/python3/dist-packages" \
	/usr/bin/python3 -m pyftpdlib --interface 0.0.0.0 --port "$port" \
	--directory "$files"
usual
usual_of_overlay
check "ranges" ranges
finish INT 0
