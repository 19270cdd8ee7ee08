# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What every script of the runner shares: where things lie and how to speak.
# It is sourced, never run.

set -euo pipefail

vm_dir=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
top_dir=$(realpath "$vm_dir/../..")
cache_dir=${ZCOPY_CACHE:-${XDG_CACHE_HOME:-${HOME:?is not set: name a cache folder with ZCOPY_CACHE=}/.cache}/zcopy}
cache_dir=$(realpath -m "$cache_dir")

# A user has none of these, and what make has it hands to $(shell) from 4.4 on only.
PATH+=:/usr/sbin:/sbin

# On stderr, because some scripts answer on stdout.
say() {
	printf '%s\n' "$*" >&2
}

die() {
	say "error: $*"
	exit 1
}

as_root() {
	if [[ $(id -u) -eq 0 ]]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "this needs root or sudo: $*"
	fi
}

# On the command line of every VM's kernel: a splat ends the VM at once. The
# kernel's own watchdogs get the patience that an emulated machine on a busy host
# needs.
# shellcheck disable=SC2034 # of those that boot one
kernel_arguments=(
	console=ttyS0 log_buf_len=4M
	panic=-1 panic_on_warn=1 oops=panic softlockup_panic=1
	watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=300
	sysctl.kernel.panic_on_rcu_stall=1 sysctl.kernel.hung_task_panic=1
)

# Boots with the function boot: $1, the command to tell whether the VM came to what
# it was booted for, $2 its console's log. Where it did not, and the emulator is to
# blame, it boots once more, twice at most: an emulated processor may execute code
# that the other one has just patched (see qemu.sh), and QEMU 10 may end by an
# assertion of its own as the cards get their addresses.
# shellcheck disable=SC2154 # boot sets status
boot_emulated() {
	local times

	for ((times = 1; ; times++)); do
		boot
		if "$1" || [[ $times -eq 3 ]]; then
			break
		elif [[ $status -eq 134 ]]; then
			say "vm: the emulator has ended itself; booting once more"
		elif grep -q 'Oops: int3' "$2"; then
			say "vm: the emulated processor tripped over patched code;" \
				"booting once more"
		else
			break
		fi
	done
}

# Make, QEMU's option parser and the kernel command line all split at these.
for path in "$top_dir" "$cache_dir"; do
	case $path in
	*[[:space:],:\"\'\$\\\#%]*)
		die "the path $path has a character that make or QEMU cannot take"
		;;
	esac
done
unset path
