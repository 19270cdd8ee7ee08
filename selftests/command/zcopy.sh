#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The zcopy command: what it sends or copies is what arrives, and its exit status.

set -euo pipefail

# shellcheck source=selftests/lib/command.sh
source "$(dirname "$0")/../lib/command.sh"

plan 35

head -c 3000001 /dev/urandom >"$folder/file"
head -c 700 /dev/urandom >"$folder/header"
: >"$folder/empty"
printf 'a line' | cat - "$folder/file" >"$folder/with-text"
tail -c +4098 "$folder/file" >"$folder/from-4097"
head -c $((4097 + 65536)) "$folder/file" | tail -c 65536 >"$folder/part"
cat "$folder/header" "$folder/part" "$folder/header" "$folder/part" \
	>"$folder/part-twice"

for method in zcopy sendfile rw; do
	check "$method: whole file" \
		transfer 127.0.0.1 "$folder/file" --method "$method"
	check "$method: header, offset and length, repeated" \
		transfer 127.0.0.1 "$folder/part-twice" --method "$method" \
		--offset 4097 --length 64k --header "@$folder/header" --repeat 2
done
check "IPv6" transfer '[::1]' "$folder/file"
check "header as text" \
	transfer localhost "$folder/with-text" --header 'a line'
check "offset" transfer localhost "$folder/from-4097" --offset 4097
check "offset beyond the end" \
	transfer localhost "$folder/empty" --offset 1G

check "nocache" transfer 127.0.0.1 "$folder/file" --nocache
check "lease" transfer localhost "$folder/with-text" --lease --header 'a line'

in_use() {
	local status=0

	receive
	exec 3>>"$folder/file"
	zcopy send --quiet --lease "$folder/file" "127.0.0.1:$port" \
		2>"$folder/output" || status=$?
	exec 3>&-
	wait "$receiver"
	receiver=''
	[[ $status == 1 ]] && grep -q 'open for writing' "$folder/output" &&
		cmp "$folder/empty" "$folder/received"
}
check "no lease on a file that is open for writing" in_use

figures() {
	receive
	zcopy send --quiet --stats "$folder/file" "127.0.0.1:$port" \
		>"$folder/figures"
	wait "$receiver"
	receiver=''
	grep -qw method=zcopy "$folder/figures" &&
		grep -qw bytes=3000001 "$folder/figures" &&
		grep -qw copied=0 "$folder/figures"
}
check "figures" figures

too_long() {
	local status=0

	receive
	zcopy send --quiet --length 3000002 "$folder/file" "127.0.0.1:$port" \
		2>"$folder/output" || status=$?
	wait "$receiver"
	receiver=''
	[[ $status == 1 ]] && cmp "$folder/file" "$folder/received"
}
check "a file too short is a failure" too_long

counters() {
	local before after

	before=$(zcopy stat --raw | sed -n 's/^transfers=//p')
	transfer 127.0.0.1 "$folder/file" || return 1
	after=$(zcopy stat --raw | sed -n 's/^transfers=//p')
	((after == before + 1))
}
check "stat counts" counters

receive
port_of_none=$port
kill "$receiver"
wait "$receiver" || true
receiver=''
status 1 "nobody listens" zcopy send "$folder/file" "127.0.0.1:$port_of_none"
status 1 "no such file" zcopy send "$folder/none" 127.0.0.1:1
status 2 "no arguments" zcopy
status 2 "unknown option" zcopy send --none "$folder/file" 127.0.0.1:1
status 2 "unknown method" \
	zcopy send --method none "$folder/file" 127.0.0.1:1
status 2 "lease of another method" \
	zcopy send --lease --method rw "$folder/file" 127.0.0.1:1
status 0 "help" zcopy --help

# copies FROM TO OPTION...: $folder/file goes from one disk to the other.
copies() {
	local from=$1/cp-from to=$2/cp-to status=0

	shift 2
	cp "$folder/file" "$from"
	zcopy cp "$@" "$from" "$to" && cmp "$folder/file" "$to" || status=1
	rm -f "$from" "$to"
	return "$status"
}

check "cp from ext4 to XFS" copies "$ext4" "$xfs"
check "cp without the cache" copies "$xfs" "$ext4" --nocache

# On one XFS a copy shares its blocks: but for the tail nothing is copied.
shares() {
	local status=0

	cp "$folder/file" "$xfs/from"
	sync "$xfs/from"
	zcopy cp --stats "$xfs/from" "$xfs/to" >"$folder/figures"
	filefrag -v "$xfs/to" | grep -q shared &&
		cmp "$folder/file" "$xfs/to" &&
		grep -qw bytes=3000001 "$folder/figures" &&
		grep -qw copied=0 "$folder/figures" || status=1
	rm "$xfs/from" "$xfs/to"
	return "$status"
}
check "cp shares blocks" shares

# Holes stay holes, at the end too.
sparse() {
	local status=0

	truncate -s 64M "$ext4/sparse"
	printf data | dd of="$ext4/sparse" bs=1 seek=20M conv=notrunc status=none
	zcopy cp "$ext4/sparse" "$xfs/sparse"
	cmp "$ext4/sparse" "$xfs/sparse" &&
		(($(stat -c %b "$xfs/sparse") < 4096)) || status=1
	rm "$ext4/sparse" "$xfs/sparse"
	return "$status"
}
check "cp keeps holes" sparse

# The mode is the source's but for the umask; an old file keeps its own.
modes() {
	chmod 754 "$folder/file"
	(umask 027 && zcopy cp "$folder/file" "$folder/new")
	: >"$folder/old"
	chmod 600 "$folder/old"
	head -c 5000000 /dev/zero >>"$folder/old"
	zcopy cp "$folder/file" "$folder/old"
	[[ $(stat -c %a "$folder/new" "$folder/old" | xargs) == '750 600' ]] &&
		cmp "$folder/file" "$folder/new" &&
		cmp "$folder/file" "$folder/old"
}
check "cp: modes" modes

into_folder() {
	mkdir "$folder/into"
	zcopy cp "$folder/file" "$folder/into" &&
		cmp "$folder/file" "$folder/into/file"
}
check "cp to a folder" into_folder

to_fifo() {
	mkfifo "$folder/fifo"
	zcopy cp "$folder/file" "$folder/fifo" &
	cmp "$folder/file" "$folder/fifo" && wait $!
}
check "cp to a FIFO" to_fifo

# script(1) gives it a terminal.
bar() {
	script --quiet --return --command \
		"zcopy cp $folder/file $folder/new" /dev/null >"$folder/bar" &&
		grep -q '100%.*=.*MB/s' "$folder/bar" &&
		cmp "$folder/file" "$folder/new"
}
check "cp shows its progress" bar

same() {
	ln "$folder/file" "$folder/link"
	status 1 "cp to itself" zcopy cp "$folder/file" "$folder/link"
	cmp "$folder/with-text" <(printf 'a line' | cat - "$folder/file")
}
same
status 1 "cp of a folder" zcopy cp "$folder/into" "$folder/new"
status 1 "cp to a device" zcopy cp "$folder/file" /dev/null
status 2 "cp without a target" zcopy cp "$folder/file"

finish
