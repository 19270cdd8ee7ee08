#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the zcopy command sends and copies of files whose size does not tell what
# they hold: the kernel's, and such as change meanwhile.

set -euo pipefail

# shellcheck source=selftests/lib/command.sh
source "$(dirname "$0")/../lib/command.sh"

plan 10

# Files of the kernel: their size is 0, or more than they hold; some have no
# offsets, and some nothing that sendfile(2) could send.
kernel_files=(/proc/sys/kernel/hostname /sys/class/net/lo/mtu /proc/1/cmdline
	/sys/kernel/debug/fault_around_bytes /proc/version /proc/1/comm
	/sys/fs/cgroup/cgroup.controllers /sys/kernel/tracing/tracing_on)

copies_kernel_files() {
	local name

	for name in "${kernel_files[@]}"; do
		cat "$name" >"$folder/read"
		# What was there is longer.
		head -c 9000 /dev/zero >"$folder/copy"
		zcopy cp "$name" "$folder/copy" &&
			cmp "$folder/read" "$folder/copy" || return 1
	done
	rm "$folder/copy"
}
check "cp of the kernel's files" copies_kernel_files

sends_kernel_files() {
	local name

	for name in "${kernel_files[@]::4}"; do
		{ printf 'a line' && cat "$name"; } >"$folder/read"
		receive
		zcopy send --quiet --method "$1" --header 'a line' "$name" \
			"127.0.0.1:$port" && wait "$receiver" || return 1
		receiver=''
		cmp "$folder/read" "$folder/received" || return 1
	done
}
for method in zcopy sendfile rw; do
	check "$method: the kernel's files" sends_kernel_files "$method"
done

# Whatever is appended meanwhile, a copy is what the file had, and no zeros.
grows() {
	local i log=$1/log copy=$2/copy writer status=0

	: >"$log"
	(for ((i = 0; ; i++)); do printf '%019d\n' "$i"; done >>"$log") &
	writer=$!
	for ((i = 0; i < 12; i++)); do
		rm -f "$copy"
		zcopy cp "$log" "$copy" &&
			cmp -n "$(stat -c %s "$copy")" "$log" "$copy" || status=1
	done
	kill "$writer"
	wait "$writer" || true
	rm -f "$log" "$copy"
	return "$status"
}
# A short one each time, as all of it is copied.
grows_again() {
	local i

	for ((i = 0; i < ${ZCOPY_FULL:+9} + 1; i++)); do
		grows "$@" || return 1
	done
}
check "cp of a file that grows" grows_again "$ext4" "$folder"
check "cp of a file that grows, to one that shares blocks" grows_again "$xfs" "$xfs"

# What is on its way by reference may be cleared: a page that is being written to
# the disk as its file is truncated is filled with zeros from the new end on.
is_right_or_cleared() {
	local size

	size=$(stat -c %s "$1")
	((size >= $2)) || return 1
	{ cmp -l <(head -c "$size" <(yes zcopy)) "$1" || (($? == 1)); } |
		awk -v end="$2" '$1 <= end || $3 != 0 { bad = 1 } END { exit bad }'
}

# shrinks METHOD: somebody truncates a file once its first byte has arrived, where
# nobody reads on until then.
shrinks() {
	local pid status=0 file=$ext4/shrinking right=$((1 << 20))

	# More than pipe and socket take.
	head -c 32M <(yes zcopy) >"$file"
	rm -f "$folder/slow" "$folder/port"
	mkfifo "$folder/slow" "$folder/port"
	exec 4<>"$folder/slow"
	if [[ $1 == cp ]]; then
		zcopy cp "$file" "$folder/slow" 2>"$folder/output" &
	else
		zcopy recv --quiet --print-port --output "$folder/slow" 0 \
			>"$folder/port" &
		receiver=$!
		read -r port <"$folder/port"
		zcopy send --quiet --method "$1" "$file" "127.0.0.1:$port" \
			2>"$folder/output" &
	fi
	pid=$!
	head -c 1 <&4 >"$folder/received"
	truncate -s 1M "$file"
	exec 5<"$folder/slow" 4<&-
	cat <&5 >>"$folder/received"
	exec 5<&-
	wait "$pid" || status=$?
	[[ -z $receiver ]] || wait "$receiver"
	receiver=''
	rm "$file"
	# What was read before is a copy.
	[[ $1 != rw ]] || right=$(stat -c %s "$folder/received")
	[[ $status == 1 ]] && grep -q 'ended .* early' "$folder/output" &&
		((right >= 1 << 20)) &&
		is_right_or_cleared "$folder/received" "$right"
}
for method in cp zcopy sendfile rw; do
	check "$method: a file that is truncated meanwhile" shrinks "$method"
done

finish
