#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs in the VM of check.sh, in a system that has just booted, and looks at zcopy's
# packages as a user would.
#
# In its folder are upgrade.deb, a newer zcopy-dkms, and what DKMS has built of that
# for this kernel, as a tarball: in an emulated machine it would take a quarter of an
# hour. The report goes to the second serial port; it has come to its end when its
# last line is "end".
set -uo pipefail

export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
export DEBIAN_FRONTEND=noninteractive
cd "$(dirname "$0")" || exit
stty -F /dev/ttyS1 raw -echo
exec >/dev/ttyS1 2>&1
# shellcheck source=packaging/checking.sh
source ./checking.sh

folder=$(mktemp -d)
chmod 755 "$folder"
head -c 3000001 /dev/urandom >"$folder/file"
somebody=(setpriv --reuid 65534 --regid 65534 --clear-groups)

loaded() {
	cat /sys/module/zcopy/srcversion
}

# What a receiver gets of the command is the file $1. The last argument of the
# command is the receiver's port.
transfer() {
	local wanted=$1 receiver port status=0

	shift
	: >"$folder/port"
	zcopy recv --quiet --print-port --output "$folder/copy" 0 >"$folder/port" &
	receiver=$!
	until read -r port <"$folder/port"; do
		kill -0 "$receiver" || return
		sleep 0.1
	done
	"$@" "$port" || status=$?
	[[ $status == 0 ]] || kill "$receiver"
	wait "$receiver" && [[ $status == 0 ]] && cmp "$wanted" "$folder/copy"
}

send() {
	"${somebody[@]}" zcopy send --stats --quiet "$folder/file" "127.0.0.1:$1" |
		tee /dev/stderr | grep -q '^method=zcopy bytes=3000001 '
}

load_as_at_boot() {
	systemctl restart systemd-modules-load && loaded
}

change_to_new() {
	rmmod zcopy && modprobe zcopy
}

change_to_old() {
	rmmod zcopy && insmod "$folder"/zcopy.ko*
}

# Nothing but the marks of a module from outside the kernel.
untainted() {
	is $(($(</proc/sys/kernel/tainted) & ~(1 << 12 | 1 << 13))) 0
}

log_is_clean() {
	! dmesg | grep -E '(BUG|WARNING|INFO|Oops|UBSAN): '
}

manual() {
	man -P cat "$@" | tee /dev/stderr | grep -q "^$2(\|^${2^^}("
}

echo "# $(uname -r), $(sed -n 's/^PRETTY_NAME=//p' /etc/os-release)"
check "the module is there after the boot" loaded
check "it is the one that DKMS has built" \
	is "$(modinfo -n zcopy)" "/lib/modules/$(uname -r)/updates/dkms/$(
		basename "$(modinfo -n zcopy)")"
check "/dev/zcopy: mode and owner" is "$(stat -c '%A %U %G' /dev/zcopy)" \
	'crw-rw-rw- root root'
check "zcopy stat, of a user without rights" "${somebody[@]}" zcopy stat
check "zcopy send, of such a user" transfer "$folder/file" send

# The example of README.md.
{ printf 'HTTP/1.0 200 OK\r\n\r\n'; cat "$folder/file"; } >"$folder/response"
for program in ./sender ./sender-static; do
	check "a program of a user: $program" transfer "$folder/response" \
		"${somebody[@]}" "$program" "$folder/file"
done

check "man zcopy" manual 1 zcopy
check "man 4 zcopy" manual 4 zcopy
check "man zcopy_sendfile" manual 3 zcopy_sendfile

check "modprobe -r zcopy" modprobe -r zcopy
check "there is no device then" test ! -e /dev/zcopy
check "systemd loads it, by modules-load.d" load_as_at_boot
check "modprobe -r zcopy" modprobe -r zcopy
check "modprobe zcopy" modprobe zcopy
check "zcopy send after it" transfer "$folder/file" send

# depmod(8) reads every module, and in an emulated machine that takes minutes. This
# one has the drivers that it needs.
rm -rf /lib/modules/*/kernel/{drivers,sound}

# In use: the old module goes on.
old=$(loaded)
cp "$(modinfo -n zcopy)" "$folder"
exec {held}<>/dev/zcopy
refuses "modprobe -r while the device is open" 'Module zcopy is in use' modprobe -r zcopy
check "zcopy send after it" transfer "$folder/file" send
cp ./*.dkms.tar.gz /usr/share/zcopy-dkms/
check "an upgrade while the device is open" dpkg -i upgrade.deb
check "it says what becomes of the module" \
	grep -q '^zcopy: another module is loaded, and goes on while programs' "$said"
check "the old module is there" is "$(loaded)" "$old"
new=$(modinfo -F srcversion zcopy)
check "the new one is installed" test "$new" != "$old"
check "zcopy send after it, by the old one" transfer "$folder/file" send
exec {held}<&-
check "rmmod zcopy && modprobe zcopy, as it said" change_to_new
check "the new module is there" is "$(loaded)" "$new"
check "zcopy send by it" transfer "$folder/file" send

# Not in use: the package replaces it.
check "the old module again" change_to_old
check "a module that nobody uses is replaced" /usr/share/zcopy-dkms/loaded.sh replace
check "by the new one" is "$(loaded)" "$new"

exec {held}<>/dev/zcopy
check "dpkg --remove while the device is open" dpkg --remove zcopy-dkms
check "it says what becomes of the module" \
	grep -q '^zcopy: the module is in use, and is there until' "$said"
check "zcopy send after it" transfer "$folder/file" send
exec {held}<&-
check "rmmod zcopy, as it said" rmmod zcopy
refuses "modprobe zcopy finds nothing then" 'Module zcopy not found' modprobe zcopy

check "the kernel is not tainted" untainted
check "nothing is wrong in the kernel's log" log_is_clean
echo end
