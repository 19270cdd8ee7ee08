#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Usage: check-named.sh DOCUMENT...
#
# Fails when a document names a test that does not exist. It names tests as
# ``file.c: test`` or ``file.c: test, another``, of files in this folder.
set -euo pipefail

folder=$(dirname "$0")
failed=0

for document; do
	named=0
	while IFS=: read -r file tests; do
		for name in ${tests//,/ }; do
			named=$((named + 1))
			grep -qE "^TEST_F(_TIMEOUT)?\(\w+, ${name}[,)]" \
				"$folder/$file" 2>/dev/null && continue
			echo "$document: there is no test $name in $file" >&2
			failed=1
		done
	done < <(tr '`' '\n' <"$document" | grep -E '^\w+\.c: ')
	if [[ $named -eq 0 ]]; then
		echo "$document: names no test" >&2
		failed=1
	fi
done
exit "$failed"
