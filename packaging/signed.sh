#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs in the VM of check.sh that has Secure Boot: what its kernel says of modules
# that are signed with DKMS's key, by DKMS (zcopy, as it was installed) and by make
# install (installed.ko), by a stranger (stranger.ko), and by nobody (unsigned.ko).
#
#   signed.sh import KEY PASSWORD   DKMS's KEY is not known, and is asked for
#   signed.sh enrolled KEY          it is known
#
# The report is as that of installed.sh.
set -uo pipefail

export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
step=$1 key=$2 password=${3:-}
cd "$(dirname "$0")" || exit
stty -F /dev/ttyS1 raw -echo
exec >/dev/ttyS1 2>&1
# shellcheck source=packaging/checking.sh
source ./checking.sh

# rejected NAME REASON COMMAND...: the kernel takes no module of that kind.
rejected() {
	local name=$1 reason=$2

	shift 2
	dmesg --clear
	refuses "$name" 'Key was rejected by service' "$@"
	check "and the kernel's log says why" grep "Loading of $reason is rejected" <(dmesg)
}

import() {
	printf '%s\n%s\n' "$password" "$password" | mokutil --import "$key"
}

echo "# $(uname -r), $(sed -n 's/^PRETTY_NAME=//p' /etc/os-release), Secure Boot"
check "mokutil --sb-state" is "$(mokutil --sb-state)" 'SecureBoot enabled'
rejected "a module that nobody signed" 'unsigned module' insmod ./unsigned.ko
rejected "one of a stranger" 'module with unavailable key' insmod ./stranger.ko
if [[ $step == enrolled ]]; then
	check "mokutil --test-key" grep 'is already enrolled' <(mokutil --test-key "$key")
	check "DKMS's is there after the boot" test -e /sys/module/zcopy
	check "modprobe -r zcopy" modprobe -r zcopy
	check "make install's" insmod ./installed.ko
	check "zcopy stat" zcopy stat
	check "rmmod zcopy" rmmod zcopy
	check "modprobe zcopy" modprobe zcopy
	check "zcopy stat" zcopy stat
	# All but the mark of a module from outside the kernel.
	check "the kernel is not tainted, not by an unsigned module either" \
		is $(($(</proc/sys/kernel/tainted) & ~(1 << 12))) 0
else
	rejected "DKMS's, whose key was not enrolled" 'module with unavailable key' \
		modprobe zcopy
	rejected "make install's, which has the same" 'module with unavailable key' \
		insmod ./installed.ko
	check "there is no device" test ! -e /dev/zcopy
	check "mokutil --import" import
fi
echo end
