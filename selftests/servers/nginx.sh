#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# nginx: http. Its workers are processes that have no rights left.

# shellcheck source=selftests/lib/server.sh
source "$(dirname "$0")/../lib/server.sh"

start nginx -p "$ZCOPY_FOLDER" -e stderr -c "$ZCOPY_FOLDER/nginx.conf"
usual
usual_of_overlay
usual_of_http
check "ranges" ranges
check "several ranges" multipart
finish TERM 0
