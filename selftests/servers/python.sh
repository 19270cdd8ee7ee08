#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# python3's http.server, which does not call sendfile() but read() and write(); so
# also with a handler that does.

# shellcheck source=selftests/lib/server.sh
source "$(dirname "$0")/../lib/server.sh"

python=(env --default-signal=INT /usr/bin/python3)

# Python aborts, now and then, if it ends while threads write their log.
threads_are_done() {
	until [[ $(find "/proc/$server/task" -mindepth 1 -maxdepth 1 | wc -l) -eq 1 ]]; do
		kill -0 "$server" || return 1
	done
}

start "${python[@]}" -m http.server --protocol HTTP/1.1 --directory "$files" \
	"$port"
check "http.server: the sizes" tells_size
check "http.server: wrk" load
check "http.server: its threads are done" threads_are_done
check "http.server ends" stop INT 0
check "http.server does not call sendfile: the shim counts nothing" \
	shim_counts_nothing

start "${python[@]}" "$ZCOPY_FOLDER/sendfile.py" "$port" "$files"
usual
usual_of_overlay
usual_of_http
check "its threads are done" threads_are_done
finish INT 0
