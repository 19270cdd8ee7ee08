#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Usage: manuals.sh MANUALS HEADERS
#
# Holds the manual pages in folder MANUALS to the library's HEADERS. Each function
# stands in the NAME and the SYNOPSIS of one page of section 3, as the headers
# declare it, in the table of libzcopy.7, and there is a page or a link by its
# name. Each page has examples, and these compile. zcopy.4 has each feature of the
# interface and each parameter of the module.
set -euo pipefail

manuals=$1 headers=$2
failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

complain() {
	echo "$*" >&2
	failed=1
}

# Section $1 of page $2.
section() {
	awk -v start=".SH $1" '/^\.SH/ { on = $0 == start; next } on' "$2"
}

# The SYNOPSIS of page $1 as C: what is between quotes stays as it is, the words
# between them are put to it.
synopsis() {
	section SYNOPSIS "$1" | awk -F '"' '
		sub(/^\.B #/, "#") { print }
		/^\.BI "/ {
			line = ""
			for (i = 2; i <= NF; i++) {
				if (i % 2)
					gsub(/ /, "", $i)
				line = line $i
			}
			print line
		}'
}

# Example number $2 of page $1 as C.
example() {
	section EXAMPLES "$1" | awk -v wanted="$2" '
		$0 == ".EX" { number++; on = number == wanted; next }
		$0 == ".EE" { on = 0 }
		on' | sed 's/^\\&//; s/\\-/-/g; s/\\e/\\/g'
}

compile() {
	${CC:-cc} -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -I"$headers/.." \
		-Iuapi -c -o "$work/object" "$1"
}

for page in "$manuals"/*.3; do
	name=${page##*/}
	synopsis "$page" >"$work/${name%.3}_synopsis.c"
	compile "$work/${name%.3}_synopsis.c" ||
		complain "$page: its SYNOPSIS is not what the headers declare"

	count=$(section EXAMPLES "$page" | grep -c '^\.EX$' || true)
	[[ $count -gt 0 ]] || complain "$page: there is no example"
	for ((i = 1; i <= count; i++)); do
		example "$page" "$i" >"$work/${name%.3}_example_$i.c"
		compile "$work/${name%.3}_example_$i.c" ||
			complain "$page: example $i does not compile"
	done
done

# What section 3 has pages and links of, once installed.
make -s -C userlib O="$work/build" PREFIX="$work" install-manuals
mapfile -t functions < <(cat "$headers"/*.h |
	sed -nE 's/^(static inline )?(int|void|ssize_t) (zcopy_[a-z_]+)\(.*/\3/p' | sort -u)
[[ ${#functions[@]} -gt 0 ]] || complain "$headers: there is no function"
for function in "${functions[@]}"; do
	page=$(grep -lE "^\.BI \"[a-z_]+ $function\(" "$manuals"/*.3 || true)
	if [[ ! -f $page ]]; then
		complain "$function(): is in the SYNOPSIS of no page, or of several"
		continue
	fi
	section NAME "$page" | grep -qw "$function" ||
		complain "$page: the NAME does not have $function"
	grep -q "^\\\\fB$function\\\\fP(3)" "$manuals/libzcopy.7" ||
		complain "$manuals/libzcopy.7: the table does not have $function()"
	cmp -s "$page" "$work/share/man/man3/$function.3" ||
		complain "userlib/Makefile: $function.3 is not installed as a link to $page"
done

mapfile -t features < <(sed -nE 's/^#define (ZCOPY_FEATURE_[A-Z]+)\t.*/\1/p' \
	uapi/linux/zcopy.h)
for feature in "${features[@]}"; do
	grep -qE "^\.BR? .*\b$feature\b" "$manuals/zcopy.4" ||
		complain "$manuals/zcopy.4: does not have $feature"
done
mapfile -t parameters < <(sed -nE 's/^module_param[a-z_]*\(([a-z_]+),.*/\1/p' module/*.c)
for parameter in "${parameters[@]}"; do
	section 'MODULE PARAMETERS' "$manuals/zcopy.4" | grep -q "^\.IR $parameter " ||
		complain "$manuals/zcopy.4: does not have the parameter $parameter"
done

exit "$failed"
