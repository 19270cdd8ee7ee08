#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Apache httpd: http.

# shellcheck source=selftests/lib/server.sh
source "$(dirname "$0")/../lib/server.sh"

start apache2 -D FOREGROUND -f "$ZCOPY_FOLDER/apache2.conf"
usual
usual_of_overlay
usual_of_http
check "ranges" ranges
check "several ranges" multipart
finish TERM 0
