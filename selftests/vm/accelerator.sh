#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Prints the value of QEMU's -accel for this host: KVM or emulation. That /dev/kvm opens does
# not say that it runs a kernel, so a trial boot of kernel folder $1 with
# initramfs $2 decides, once a boot of the host.

# shellcheck source=selftests/vm/common.sh
source "$(dirname "$0")/common.sh"

kernel=$1 initramfs=$2
known=$cache_dir/accelerator-$(</proc/sys/kernel/random/boot_id)

if ! grep -qwE 'vmx|svm' /proc/cpuinfo || [[ ! -w /dev/kvm ]]; then
	echo tcg,thread=multi
	exit 0
fi

if [[ ! -s $known ]]; then
	rm -f "$cache_dir"/accelerator-*
	emulator=$("$vm_dir/qemu.sh")
	answer=$(mktemp)
	trap 'rm -f "$answer"' EXIT
	timeout --kill-after=2 20 "$emulator" -machine q35 -accel kvm \
		-cpu max -m 512M -no-user-config -nodefaults -display none \
		-no-reboot -kernel "$kernel/vmlinuz" -initrd "$initramfs" \
		-append "console=ttyS0 panic=-1 zcopy.trial=yes" \
		-serial null -serial "file:$answer" >/dev/null 2>&1 </dev/null || true
	if [[ $(<"$answer") == alive ]]; then
		echo kvm >"$known.$$"
	else
		say "vm: /dev/kvm is there but runs no kernel: using TCG"
		echo tcg,thread=multi >"$known.$$"
	fi
	mv "$known.$$" "$known"
fi
cat "$known"
