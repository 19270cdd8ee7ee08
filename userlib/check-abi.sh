#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Usage: check-abi.sh MAP SHARED_LIBRARY PKG_CONFIG_FILE HEADER...
#
# Fails when the symbol map, what the library exports, and what the headers
# declare are not the same, or when the versions in map, pkg-config file and
# headers differ.
set -euo pipefail

map=$1 library=$2 pc=$3
shift 3

fail()
{
	echo "check-abi: $*" >&2
	exit 1
}

mapped=$(sed -nE 's/^\t\t(zcopy[a-z_]*);$/\1/p' "$map" | sort)
exported=$("${NM:-nm}" -D --defined-only "$library" |
	   awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' | sort)
declared=$(sed -nE 's/^[a-z].*[ *](zcopy[a-z_]*)\(.*/\1/p' <(grep -hv '^static' "$@") |
	   sort)

[[ -n $mapped ]] || fail "$map names no symbol"
diff <(echo "$mapped") <(echo "$exported") ||
	fail "$map (<) and the symbols of $library (>) differ"
diff <(echo "$mapped") <(echo "$declared") ||
	fail "$map (<) and the functions of the headers (>) differ"

header=$(sed -nE 's/^#define LIBZCOPY_VERSION\t"(.*)"$/\1/p' "$@")
[[ $(sed -n 's/^Version: //p' "$pc") == "$header" ]] ||
	fail "$pc is not version $header, as the header is"
newest=$(sed -nE 's/^LIBZCOPY_([0-9.]+) \{$/\1/p' "$map" | sort -V | tail -n 1)
[[ $newest == "${header%.*}" ]] ||
	fail "$map ends with version $newest, the header says $header"
