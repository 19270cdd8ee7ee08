#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs in the VM: every test program of a folder, one after the other.
#
#   suite.sh FOLDER TEST...
#
# TAP goes to standard output. The verdict's channel gets two lines a test:
#
#   begin TEST
#   end TEST PASSED FAILED SKIPPED
#
# A test runs in the top of the folder's copy, whatever its group is. After each,
# nothing of it may be left: no process, no reference held by the module, nothing
# in the kernel's log. That costs the test a failure.

set -uo pipefail

vm_dir=$(dirname "$0")
folder=/run/zcopy/tests
group=/sys/fs/cgroup/test
# For what hangs: a host may be busy.
limit=$((900 * ${ZCOPY_SLOWDOWN:-1}))
places=("$ZCOPY_TESTDIR_EXT4" "$ZCOPY_TESTDIR_XFS" "$ZCOPY_TESTDIR_TMPFS")
# What the kernel warns of because the machine is emulated, on a busy host; and
# when it finds no memory for a device or a packet, as a test has it.
harmless='suspect GRO implementation|hrtimer: interrupt took|hogged CPU'
harmless+='|clocksource: |TSC found unstable after boot'
harmless+='|sched: DL replenish lagged too much'
harmless+='|Using fanotify permission checks may lead to deadlock'
# A server of NFS that nobody relies on.
harmless+='|NFSD: (Unable to initialize client recovery|Is nfsdcld running)'
harmless+='|kobject_add_internal failed for zcopy \(error: -12'
# An upper layer that cannot all that overlayfs may need.
harmless+='|overlayfs: (upper fs (needs|does not support)|failed to set xattr on upper'
harmless+='|\.\.\.falling back)'
# A filesystem of blocks larger than a page.
harmless+='|XFS .*: EXPERIMENTAL: .* Large Block Size'
harmless+='|e1000e .*: __pskb_pull_tail failed'
# Nor threads, not for itself either.
harmless+='|workqueue: Failed to create a worker thread: -EAGAIN'

verdict() {
	printf '%s\n' "$*" >/dev/ttyS1
}

# Tries the command for a while; what it waits for has no event to wait on.
eventually() {
	local deadline=$((SECONDS + 10 * ${ZCOPY_SLOWDOWN:-1}))

	until "$@"; do
		((SECONDS < deadline)) || return 1
		sleep 0.1
	done
}

group_is_empty() {
	grep -q '^populated 0$' "$group/cgroup.events"
}

# The module's count of what it holds at this moment.
gauges_are_zero() {
	zcopy stat | awk '/running now$|held now$|under way now$/ { seen++; sum += $1 }
		END { exit !(seen == 3 && sum == 0) }'
}

# They die at any moment, and are not in every namespace's count of sockets.
no_orphans() {
	awk '/^TCP:/ { orphans = $5 } END { exit orphans > 0 }' /proc/net/sockstat
}

# Inodes of the tests' file systems, where a file that is deleted but referenced
# still has one; and sockets, without those that TCP still says good-bye to.
count_kept() {
	inodes=$(df --output=iused "${places[@]}" | awk '{ n += $1 } END { print n }')
	sockets=$(awk '/^sockets:/ { n += $3 } /^TCP:/ { n -= $5 } END { print n }' \
		/proc/net/sockstat)
}

kept_are_no_more_than() {
	count_kept
	((inodes <= $1 && sockets <= $2))
}

module_is_loaded() {
	grep -q '^zcopy ' /proc/modules
}

problem() {
	failed=$((failed + 1))
	printf '    not ok - %s\n' "$*"
}

# Runs program $1 in a group of its own, so that nothing it starts gets away.
run_program() {
	local status output counter

	mkdir "$group"
	exec {output}> >(awk -v counts="$folder/counts" -f "$vm_dir/tap.awk")
	counter=$!
	(
		echo 0 >"$group/cgroup.procs"
		cd "$folder" || exit
		exec timeout --kill-after=5 "$limit" "./$1"
	) </dev/null >&"$output" 2>&1
	status=$?
	group_is_empty || leftovers=$(xargs ps -o args= -p <"$group/cgroup.procs")
	echo 1 >"$group/cgroup.kill"
	exec {output}>&-
	wait "$counter"
	eventually group_is_empty && rmdir "$group"
	return "$status"
}

run_test() {
	local status leftovers='' log passed failed skipped inodes_before
	local sockets_before

	printf '# Subtest: %s\n' "$1"
	verdict "begin $1"
	dmesg --clear
	eventually no_orphans
	count_kept
	inodes_before=$inodes sockets_before=$sockets
	run_program "$1"
	status=$?
	read -r passed failed skipped <"$folder/counts"
	case $status in
	0) ;;
	4) [[ $skipped -gt 0 ]] || problem "it says it was skipped but names no reason" ;;
	124 | 137) problem "it was not done within $limit s" ;;
	*) [[ $failed -gt 0 ]] || problem "it ended with status $status" ;;
	esac
	[[ -z $leftovers ]] || problem "it left processes behind: $leftovers"
	if ! module_is_loaded; then
		problem "it left the module unloaded"
	else
		eventually gauges_are_zero ||
			problem "the module still holds something: $(zcopy stat)"
		eventually rmmod zcopy || problem "the module cannot be unloaded"
	fi
	module_is_loaded || insmod "$ZCOPY_KO" || problem "the module cannot be loaded"
	log=$(dmesg --level emerg,alert,crit,err,warn | grep -vE "$harmless")
	[[ -z $log ]] || problem "the kernel's log has: $log"
	find "${places[@]}" -mindepth 1 -maxdepth 1 ! -name lost+found \
		-exec rm -rf {} +
	eventually kept_are_no_more_than "$inodes_before" "$sockets_before" ||
		problem "$inodes inodes and $sockets sockets are there," \
			"$inodes_before and $sockets_before were before"

	verdict "end $1 $passed $failed $skipped"
	number=$((number + 1))
	if [[ $failed -eq 0 ]]; then
		printf 'ok %d - %s\n' $number "$1"
	else
		printf 'not ok %d - %s\n' $number "$1"
	fi
}

# Memory that is free when nothing is cached, in KiB.
free_memory() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	# KASAN keeps what was freed for a while, unless its cache is shrunk.
	if [[ -e /sys/kernel/debug/kmemleak ]]; then
		for cache in /sys/kernel/slab/*/shrink; do
			echo 1 >"$cache"
		done
	fi
	awk '/^MemFree:/ { print $2 }' /proc/meminfo
}

memory_is_back() {
	local now

	now=$(free_memory)
	lost=$(((before - now) / 1024))
	# Modules that tests have loaded, and what a filesystem in memory has grown to.
	((lost < 96))
}

# These warn when they are loaded.
modprobe -a dm-mod loop

# Reading through the host's file system is slow: run from memory.
mkdir -p "$folder"
cp -r "$1"/. "$folder"
shift
number=0
printf 'TAP version 14\n1..%d\n' $#
before=$(free_memory)
for name; do
	run_test "$name"
done

verdict "begin memory"
if eventually memory_is_back; then
	printf '# memory: %d MiB less than before\n' "$lost"
	verdict "end memory 0 0 0"
else
	printf 'not ok - memory: %d MiB did not come back\n' "$lost"
	verdict "end memory 0 1 0"
fi

# What a debug kernel has to say when all is done.
if [[ -e /sys/kernel/debug/kmemleak ]]; then
	verdict "begin detectors"
	if found=$("$vm_dir/detectors.sh"); then
		verdict "end detectors 1 0 0"
	else
		printf 'not ok - detectors: %s\n' "$found"
		verdict "end detectors 0 1 0"
	fi
fi
