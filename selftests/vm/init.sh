#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The VM's first process after boot.sh: joins the two cards, loads the module,
# runs what the host asked for, and reports on the second serial port. The
# host's side of it is run.sh. Lines of the report:
#
#   boot         the first line: the kernel has booted
#   splat TEXT   the kernel complained
#   exit STATUS  the last line: the command's exit status

set -uo pipefail
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LC_ALL=C.UTF-8

terminal=/dev/hvc0
place=/run/zcopy
export ZCOPY_TESTDIR_EXT4=$place/ext4
export ZCOPY_TESTDIR_XFS=$place/xfs
export ZCOPY_TESTDIR_TMPFS=$place/tmpfs

verdict() {
	printf '%s\n' "$*" >/dev/ttyS1
}

power_off() {
	echo o >/proc/sysrq-trigger
	while :; do sleep 60; done
}

# A VM that is not as it should be has nothing to say about the code.
must() {
	"$@" >/dev/console 2>&1 </dev/null && return
	printf 'vm: failed: %s\n' "$*" | tee /dev/console >"$terminal"
	verdict "exit 125"
	power_off
}

# Gives the card with hardware address $3 to namespace $1 as host number $2.
join() {
	local card

	card=$(grep -l "$3" /sys/class/net/*/address)
	card=${card%/address}
	ip netns add "$1" &&
		ip link set "${card##*/}" netns "$1" name wire0 &&
		ip -n "$1" -batch - <<-BATCH
			link set lo up
			address add 10.9.0.$2/24 dev wire0
			address add fd09::$2/64 dev wire0 nodad
			link set wire0 up
		BATCH
	# QEMU's e1000e garbles what it segments for IPv6, whoever sends it. It
	# still gathers and checksums.
	ip netns exec "$1" ethtool -K wire0 tx-tcp6-segmentation off
}

linked() {
	until ip -n "$1" link show wire0 | grep -q 'state UP'; do
		sleep 0.1
	done
}

# This driver forgets its settings when nobody has the terminal open.
exec 3<>"$terminal"
stty -F "$terminal" raw -echo
stty -F /dev/ttyS1 raw -echo
verdict boot

# Set by the host, in run.sh.
interactive='' terminal_size='' start_folder='' command='' ZCOPY_KO=''
# shellcheck source=/dev/null
source "$(tr ' ' '\n' </proc/cmdline | sed -n 's/^zcopy.run=//p')/job"

must join left 1 52:54:00:00:00:01
must join right 2 52:54:00:00:00:02
must ip link set lo up
if [[ -n $ZCOPY_KO ]]; then
	must cp "$ZCOPY_KO" "$place/zcopy.ko"
	export ZCOPY_KO=$place/zcopy.ko
	must insmod "$ZCOPY_KO"
fi
must linked left
must linked right
must cd "$start_folder"

if [[ -n $terminal_size ]]; then
	stty -F "$terminal" rows "${terminal_size% *}" cols "${terminal_size#* }"
fi
if [[ $interactive == yes ]]; then
	stty -F "$terminal" sane
	setsid --ctty --wait bash -c "$command" <>"$terminal" >&0 2>&0
elif [[ -n $terminal_size ]]; then
	setsid --wait bash -c "$command" </dev/null >"$terminal" 2>&1
else
	# What the command writes goes to no terminal there, so to none here.
	setsid --wait bash -c "$command" </dev/null 2>&1 | cat >"$terminal"
fi
status=$?

# Everything but the marks of an unsigned module from outside the kernel, and the one
# by which Debian's kernel remembers that a listener of fanotify was there.
taint=$(($(</proc/sys/kernel/tainted) & ~(1 << 12 | 1 << 13 | 1 << 16)))
[[ $taint -eq 0 ]] || verdict "splat the kernel is tainted: $taint"
dmesg | grep -E '(BUG|WARNING|INFO|Oops|UBSAN): ' | while read -r line; do
	verdict "splat $line"
done
verdict "exit $status"
power_off
