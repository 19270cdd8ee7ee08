#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Usage: loaded.sh say|replace
#
# After a module was installed: says what has to be done so that the running
# kernel has it, or does that. A module that is in use is left alone; it goes on
# until nobody uses it.

loaded=
[ ! -d /sys/module/zcopy ] || loaded=$(cat /sys/module/zcopy/srcversion)
installed=$(modinfo -F srcversion zcopy 2>/dev/null)

if [ -z "$installed" ]; then
	echo "zcopy: there is no module for the running kernel, $(uname -r)"
elif [ "$loaded" = "$installed" ]; then
	:
elif [ -z "$loaded" ] && [ "$1" = replace ]; then
	modprobe zcopy || echo "zcopy: the module cannot be loaded into this kernel"
elif [ -z "$loaded" ]; then
	echo "zcopy: to load the module now: modprobe zcopy"
elif [ "$1" = replace ] && rmmod zcopy 2>/dev/null; then
	modprobe zcopy || echo "zcopy: the module cannot be loaded into this kernel"
else
	echo "zcopy: another module is loaded, and goes on while programs have" \
		"/dev/zcopy open. The new one comes with the next boot, or when they" \
		"have ended: rmmod zcopy && modprobe zcopy"
fi
exit 0
