# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the tests of the zcopy command share; their folder is $folder, and $ext4
# and $xfs are on disks.
#
# It is sourced, never run.

folder=$(mktemp -d "${ZCOPY_TESTDIR_TMPFS:?}/command-XXXXXX")
receiver=''
trap '[[ -z $receiver ]] || kill "$receiver"; rm -rf "$folder"' EXIT

export ext4=${ZCOPY_TESTDIR_EXT4:?} xfs=${ZCOPY_TESTDIR_XFS:?}
number=0
failed=0
planned=0

plan() {
	planned=$1
	echo "TAP version 13"
	echo "1..$1"
}

# The last command of a test.
finish() {
	echo "# Totals: pass:$((number - failed)) fail:$failed xfail:0 xpass:0 skip:0 error:0"
	[[ $failed == 0 && $number == "$planned" ]]
}

report() {
	number=$((number + 1))
	if [[ $1 == 0 ]]; then
		echo "ok $number $2"
	else
		echo "not ok $number $2"
		failed=$((failed + 1))
	fi
}

# check NAME COMMAND...: the command succeeds.
check() {
	local name=$1 status=0

	shift
	"$@" || status=$?
	report "$status" "$name"
}

# status WANTED NAME COMMAND...: the command ends with that exit status.
status() {
	local wanted=$1 name=$2 status=0

	shift 2
	"$@" >"$folder/output" 2>&1 || status=$?
	if [[ $status == "$wanted" ]]; then
		report 0 "$name"
	else
		echo "# exit status $status, wanted $wanted"
		sed 's/^/# /' "$folder/output"
		report 1 "$name"
	fi
}

# A receiver whose port is in $port and whose file is $folder/received.
receive() {
	rm -f "$folder/port" "$folder/received"
	mkfifo "$folder/port"
	zcopy recv --quiet --print-port --output "$folder/received" 0 \
		>"$folder/port" &
	receiver=$!
	read -r port <"$folder/port"
}

# transfer HOST WANTED OPTION...: $folder/file arrives as WANTED says.
transfer() {
	local host=$1 wanted=$2 pid

	shift 2
	receive
	zcopy send --quiet "$@" "$folder/file" "$host:$port" || return 1
	pid=$receiver
	receiver=''
	wait "$pid" || return 1
	cmp "$wanted" "$folder/received"
}
