#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# lighttpd: http.

# shellcheck source=selftests/lib/server.sh
source "$(dirname "$0")/../lib/server.sh"

start lighttpd -D -f "$ZCOPY_FOLDER/lighttpd.conf" \
	-m "$ZCOPY_SERVERS/usr/lib/lighttpd"
usual
usual_of_overlay
usual_of_http
check "ranges" ranges
check "several ranges" multipart
finish TERM 0
