#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Boots a disk image of the root tree ROOT in a VM, with the newest kernel of that
# tree, its initrd and its systemd, has it run the COMMAND, and prints what comes
# out of its second serial port.
#
#   machine.sh [OPTION]... ROOT COMMAND
#
#   -t  end the VM after so many seconds (default: 1800)
#   -f  start it by the firmware in this folder, which firmware.sh has made
#
# The console's log is left in build/packages-ROOT.log, by the name of the folder.
# Exit status: 0 if the last line was "end", 124 when the time was up, else 125.

# shellcheck source=selftests/vm/common.sh
source "$(dirname "$0")/../selftests/vm/common.sh"

limit=1800 firmware=''
while getopts t:f: option; do
	case $option in
	t) limit=$OPTARG ;;
	f) firmware=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
root=$1 command=$2
console=$top_dir/build/packages-${root##*/}.log

mkdir -p "$top_dir/build"
image=$root.image report=$root.report
qemu=''

# shellcheck disable=SC2317 # the trap reaches it
clean_up() {
	if [[ -n $qemu ]]; then
		kill -TERM "$qemu" 2>/dev/null || true
		wait "$qemu" || true
	fi
	rm -f "$image" "$report"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# The user's file, with files of all users.
truncate -s 8G "$image"
as_root mke2fs -q -F -t ext4 -L check -d "$root" "$image"

# These are links to the newest, as a boot loader wants them.
kernel=$root/$(readlink "$root/vmlinuz") initrd=$root/$(readlink "$root/initrd.img")
emulator=$("$vm_dir/qemu.sh")
vm_kernel=$("$vm_dir/kernel.sh")
initramfs=$("$vm_dir/initramfs.sh" "$vm_kernel")
accelerator=$("$vm_dir/accelerator.sh" "$vm_kernel" "$initramfs")

arguments=(
	"${kernel_arguments[@]}" root=LABEL=check rw
	"systemd.run=\"$command\"" systemd.default_timeout_start_sec=900
	systemd.run_success_action=poweroff-force
	systemd.run_failure_action=poweroff-force
)
machine=(
	"$emulator" -machine q35 -accel "$accelerator" -cpu max -smp 2 -m 2G
	-no-user-config -nodefaults -display none -no-reboot
	-drive "if=none,id=root,format=raw,cache=unsafe,discard=unmap,werror=report,file=$image"
	-device "virtio-blk-pci,drive=root"
	-chardev "stdio,id=report,signal=off"
	-serial "file:$console" -serial chardev:report
)
if [[ -z $firmware ]]; then
	machine+=(-kernel "$kernel" -initrd "$initrd" -append "${arguments[*]}")
else
	cp "$kernel" "$firmware/disk/vmlinuz"
	cp "$initrd" "$firmware/disk/initrd.img"
	cat >"$firmware/disk/EFI/debian/grub.cfg" <<-END
		linux /vmlinuz ${arguments[*]}
		initrd /initrd.img
		boot
	END
	mapfile -t -O "${#machine[@]}" machine <"$firmware/arguments"
fi
# timeout ends QEMU when the time is up, and when this script dies.
start=(setpriv --pdeathsig TERM timeout --foreground --kill-after=5 "$limit")

# Firmware writes to the port, too.
lines='^(ok - |not ok - |#|end$)'

boot() {
	local output tee

	: >"$report"
	exec {output}> >(grep --line-buffered -aE "$lines" | tee "$report")
	tee=$!
	"${start[@]}" "${machine[@]}" </dev/null >&"$output" &
	qemu=$!
	exec {output}>&-
	wait "$qemu" && status=0 || status=$?
	qemu=''
	wait "$tee" || true	# it may be that there was no line
}

# shellcheck disable=SC2317 # boot_emulated asks
has_begun() {
	[[ -s $report ]]
}

boot_emulated has_begun "$console"

[[ $(tail -n 1 "$report") != end ]] || exit 0
say "vm: it ended without an end; its console (all of it: $console):"
tail -n 40 "$console" >&2
[[ $status -ne 124 && $status -ne 137 ]] || exit 124
exit 125
