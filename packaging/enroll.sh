#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Usage: enroll.sh FOLDER PASSWORD
#
# Starts the machine whose firmware is in the FOLDER of firmware.sh, after "mokutil
# --import" there, and does at its console what Documentation/install.rst says: MOK
# management, Enroll MOK, Continue, Yes, the password, Reboot.

# shellcheck source=selftests/vm/common.sh
source "$(dirname "$0")/../selftests/vm/common.sh"

# What the firmware writes is no text of one encoding.
export LC_ALL=C
folder=$1 password=$2
down=$'\e[B' enter=$'\r'

emulator=$("$vm_dir/qemu.sh")
vm_kernel=$("$vm_dir/kernel.sh")
initramfs=$("$vm_dir/initramfs.sh" "$vm_kernel")
accelerator=$("$vm_dir/accelerator.sh" "$vm_kernel" "$initramfs")
mapfile -t firmware <"$folder/arguments"
machine=(
	"$emulator" -machine q35 -accel "$accelerator" -cpu max -m 1G
	-no-user-config -nodefaults -display none -no-reboot "${firmware[@]}"
	-chardev "stdio,id=console,signal=off" -serial chardev:console
)
# timeout ends QEMU when the time is up, and when this script dies.
start=(setpriv --pdeathsig TERM timeout --foreground --kill-after=5 900)
coproc vm { exec "${start[@]}" "${machine[@]}"; }
exec {from}<&"${vm[0]}" {to}>&"${vm[1]}"
pid=$!

# answer TEXT KEYS: waits until the console shows the text, and types.
answer() {
	local shown='' byte

	until [[ $shown == *"$1"* ]]; do
		IFS= read -r -d '' -n 1 -u "$from" byte ||
			die "the console does not show '$1' but: ${shown//[^[:print:]]/ }"
		shown+=$byte
	done
	echo "# $1"
	printf '%s' "$2" >&"$to"
}

answer 'Press any key to perform MOK management' ' '
answer 'Enroll MOK' "$down$enter"
answer 'Continue' "$down$enter"
answer 'Enroll the key' ''
answer 'Yes' "$down$enter"
answer 'Password:' "$password$enter"
answer 'Reboot' "$enter"
cat <&"$from" >/dev/null
wait "$pid"
