#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs in the VM, in a debug kernel, after the tests: asks the detectors that
# do not speak up of themselves. Prints what they found; fails if they did.
# Leaves the module unloaded.

set -euo pipefail

kmemleak=/sys/kernel/debug/kmemleak

# The first scan only marks what seems lost, and what is younger than five
# seconds is spared: the second one, later than that, decides.
scan() {
	local leaks

	echo scan >$kmemleak
	sleep 5
	echo scan >$kmemleak
	leaks=$(<$kmemleak)
	[[ -n $leaks ]] || return 0
	printf 'memory was lost (%s):\n%s\n' "$1" "$leaks"
	exit 1
}

# The lock checker reports once and then ends its work without further ado.
grep -q '^ *debug_locks: *1$' /proc/lockdep_stats || {
	echo "the lock checker gave up; see the console"
	exit 1
}
scan "with the module loaded"
rmmod zcopy
scan "after it was unloaded"
