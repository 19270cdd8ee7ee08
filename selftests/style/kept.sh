#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Usage: kept.sh FOLDER COMMAND... --file FILE...
#
# Runs the command on the files that it has not passed as they are. What it has
# passed is kept in the FOLDER, by the content of the command's script, which is
# its second word, by all its words and by the file's content. A file that fails
# is never kept.
set -euo pipefail

kept=$1
shift
command=()
while [[ $1 != --file ]]; do
	command+=("$1")
	shift
done
shift

mkdir -p "$kept" 2>/dev/null || true
about=$({ printf '%s\n' "${command[@]}" && cat "${command[1]}"; } | sha256sum)
files=() names=()
for file; do
	name=$({ echo "$about" && cat "$file"; } | sha256sum)
	name=$kept/${name%% *}
	[[ ! -e $name ]] || continue
	files+=("$file")
	names+=("$name")
done
[[ ${#files[@]} -gt 0 ]] || exit 0
"${command[@]}" --file "${files[@]}"
# It has passed, whether that can be kept or not.
touch "${names[@]}" 2>/dev/null || true
