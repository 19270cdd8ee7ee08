#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Usage: loaded.sh say|load|replace|remove|gone
#
# After a module was installed: says what has to be done so that the running
# kernel has it, or does that: loads it, or replaces one that is loaded. A module
# that is in use is left alone; it goes on until nobody uses it. Of one that is
# removed: unloads it, or says why that cannot be; and what is left when it is gone.

# Who runs this was told by what made it that it is a container. (Not every one has
# systemd to ask.)
is_marked() {
	[ -e /.dockerenv ] || [ -e /run/.containerenv ] ||
		tr '\0' '\n' 2>/dev/null </proc/1/environ | grep -q '^container='
}

# In a chroot or a container the kernel that runs is somebody else's.
is_own_kernel() {
	! ischroot 2>/dev/null && ! is_marked &&
		! systemd-detect-virt --quiet --container 2>/dev/null
}

# Who does not want it at boot does not want it now.
is_masked() {
	[ "$(readlink -f /etc/modules-load.d/zcopy.conf)" = /dev/null ]
}

load() {
	modprobe --use-blacklist zcopy ||
		echo "zcopy: the module cannot be loaded into this kernel; Secure Boot may" \
			"be why, see install.rst"
}

# What keeps it from that is left in why.
unload() {
	why=$(rmmod zcopy 2>&1)
}

is_own_kernel || exit 0
loaded=
[ ! -d /sys/module/zcopy ] || loaded=$(cat /sys/module/zcopy/srcversion)

if [ "$1" = remove ]; then
	if [ -z "$loaded" ] || unload; then
		exit 0
	fi
	case $why in
	*' in use'*)
		echo "zcopy: the module is in use, and is there until the next boot, or" \
			"until nobody has /dev/zcopy open and all has arrived: rmmod zcopy"
		;;
	*) echo "zcopy: the module is there until the next boot: $why" ;;
	esac
	exit 0
elif [ "$1" = gone ]; then
	[ -z "$loaded" ] || echo "zcopy: the module is there until it is unloaded: rmmod zcopy"
	exit 0
fi

installed=$(modinfo -F srcversion zcopy 2>/dev/null)
if [ -z "$installed" ]; then
	echo "zcopy: there is no module for the running kernel, $(uname -r); which" \
		"kernels it is built for, and that it needs their headers, is in" \
		"install.rst"
elif [ "$loaded" = "$installed" ]; then
	:
elif [ -z "$loaded" ]; then
	case $1 in
	load) is_masked || load ;;
	say) echo "zcopy: to load the module now: modprobe zcopy" ;;
	esac
elif [ "$1" != say ] && unload; then
	load
else
	echo "zcopy: another module is loaded, and goes on while programs have" \
		"/dev/zcopy open, or what they sent has not arrived. The new one comes" \
		"with the next boot, or then: rmmod zcopy && modprobe zcopy"
fi
exit 0
