#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Fails when "make lib" says anything else than a short line for each file that it
# makes, and with V=1 not each command.

# shellcheck source=selftests/style/work.sh
source "$(dirname "$0")/work.sh"

# Those of the make above are not meant for this one.
unset MAKEFLAGS MFLAGS MAKELEVEL V

# Nothing of it is run: it need not be fast.
lib() {
	make --no-print-directory -j"$(nproc)" lib user="$work/user" CFLAGS=-O0 "$@" \
		>"$work/said" 2>&1 || complain "make lib $*: $(<"$work/said")"
}

# Of each source, each library and the command.
names() {
	find userlib -name '*.c' ! -path '*/examples/*' | sed 's/^/CC /; s/c$/o/'
	printf '%s userlib/%s\n' AR libzcopy.a LD libzcopy.so.0 LD libzcopy-preload.so LD zcopy
}

lib
grep -vE '^  (CC|AR|LD)      [a-z0-9._/-]{1,50}$' "$work/said" >&2 &&
	complain "make lib: there is more than a short line a file"
diff <(names | sort) <(sed -E 's/^ +//; s/ +/ /' "$work/said" | sort) >&2 ||
	complain "make lib: not each file (<) has a line of its own (>)"

lib
[[ ! -s $work/said ]] || complain "make lib: though all is made, it says $(<"$work/said")"

rm "$work/user/command/stat.o"
lib V=1
for command in "-c -o $work/user/command/stat.o " "-o $work/user/zcopy "; do
	grep -qF -- "$command" "$work/said" ||
		complain "make lib V=1: there is no command with '$command'"
done
grep -E '^  (CC|AR|LD) ' "$work/said" >&2 && complain "make lib V=1: files have lines, too"

exit "$failed"
