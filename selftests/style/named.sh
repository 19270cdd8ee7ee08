#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Usage: named.sh DOCUMENT...
#
# Fails when a document names a test that does not exist. It names tests as
# ``folder/file.c: test`` or ``folder/file.c: test, another``.
set -euo pipefail

selftests=$(dirname "$0")/..
failed=0

for document; do
	named=0
	while IFS=: read -r file tests; do
		for name in ${tests//,/ }; do
			named=$((named + 1))
			grep -qE "^TEST(_F)?(_TIMEOUT)?\((\w+, )?${name}[,)]" \
				"$selftests/$file" 2>/dev/null && continue
			echo "$document: there is no test $name in $file" >&2
			failed=1
		done
	done < <(tr '`' '\n' <"$document" | grep -E '^[[:alnum:]_/]+\.c: ')
	if [[ $named -eq 0 ]]; then
		echo "$document: names no test" >&2
		failed=1
	fi
done
exit "$failed"
