#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# zcopy warm: what it says is in memory is, and what cannot be is said.

set -euo pipefail

folder=$(mktemp -d "${ZCOPY_TESTDIR_EXT4:?}/warm-XXXXXX")
loop=''

# The disk is of that kind from now on.
become() {
	dmsetup --noudevsync load zcopy_warm --table "0 32768 $*"
	dmsetup --noudevsync suspend --nolockfs zcopy_warm
	dmsetup --noudevsync resume zcopy_warm
}

clean_up() {
	if [[ -e /dev/mapper/zcopy_warm ]]; then
		become linear "$loop" 0
		! mountpoint -q "$folder/disk" || umount "$folder/disk"
		dmsetup --noudevsync remove --retry zcopy_warm
	fi
	[[ -z $loop ]] || losetup --detach "$loop"
	rm -rf "$folder"
}
trap clean_up EXIT

number=0
failed=0
echo "TAP version 13"
echo "1..11"

# check NAME COMMAND...: the command succeeds.
check() {
	local name=$1

	shift
	number=$((number + 1))
	if "$@"; then
		echo "ok $number $name"
	else
		echo "not ok $number $name"
		failed=$((failed + 1))
	fi
}

# says WANTED TEXT COMMAND...: it ends with this exit status and says the text.
says() {
	local wanted=$1 text=$2 status=0

	shift 2
	"$@" >"$folder/output" 2>&1 || status=$?
	[[ $status == "$wanted" ]] && grep -q -- "$text" "$folder/output" && return
	echo "# exit status $status, wanted $wanted and: $text"
	sed 's/^/# /' "$folder/output"
	return 1
}

chill() {
	sync
	echo 1 >/proc/sys/vm/drop_caches
}

# A file of a disk that fails from now on: what finds it is in memory, it is not.
fail_disk() {
	modprobe loop && modprobe dm-mod
	truncate -s 16M "$folder/image"
	mkfs.ext4 -q -O ^has_journal "$folder/image"
	mkdir "$folder/disk"
	loop=$(losetup --find --show "$folder/image")
	dmsetup --noudevsync create zcopy_warm --table "0 32768 linear $loop 0"
	dmsetup --noudevsync mknodes zcopy_warm		# nobody else does
	mount -o noatime /dev/mapper/zcopy_warm "$folder/disk"
	cp "$folder/large" "$folder/disk/lost"
	sync -f "$folder/disk/lost"
	dd of="$folder/disk/lost" oflag=nocache conv=notrunc count=0 status=none
	become error
}

head -c 9000001 /dev/urandom >"$folder/large"
head -c 5000 /dev/urandom >"$folder/small"
: >"$folder/empty"
truncate -s 3M "$folder/hole"
chill

check "a cold file is not in memory" \
	says 1 'large: not all in memory' zcopy warm --check "$folder/large"
check "it is brought there" zcopy warm --quiet "$folder/large"
check "and is there" says 0 'large: in memory' zcopy warm --check "$folder/large"
chill
check "many at once, none of them twice" \
	says 0 'bytes=12150729' zcopy warm --quiet --stats "$folder/large" \
	"$folder/small" "$folder/empty" "$folder/hole"
check "all of them are there" \
	says 0 'empty: in memory' zcopy warm --check "$folder"/{large,small,empty,hole}
check "one that is missing, and the others" \
	says 1 'gone: No such file' zcopy warm --quiet "$folder/gone" "$folder/small"
check "no regular file" says 1 'not a regular file' zcopy warm "$folder"
check "what is made when it is read" \
	says 1 'not supported' zcopy warm --quiet /proc/version
fail_disk
check "a disk that fails" \
	says 1 'lost: Input/output error' zcopy warm --quiet "$folder/disk/lost"
check "no file at all" says 2 'no FILE given' zcopy warm
chill
# shellcheck disable=SC2016
check "a bar on a terminal" \
	bash -c 'script --quiet --return --command "zcopy warm $1/large" /dev/null |
		 tr "\r" "\n" | grep -q "100% \[=*\] 9 MB"' - "$folder"

echo "# Totals: pass:$((number - failed)) fail:$failed xfail:0 xpass:0 skip:0 error:0"
[[ $failed == 0 && $number == 11 ]]
