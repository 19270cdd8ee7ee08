#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Usage: firmware.sh FOLDER
#
# Makes the FOLDER, with what a PC with Secure Boot has of its own:
#
#   code        the firmware
#   variables   its variables, with Microsoft's keys in them, as they are sold
#   disk        what it starts: Debian's shim, GRUB and MokManager
#   arguments   what to tell QEMU of these, an argument a line

# shellcheck source=selftests/vm/packages.sh
source "$(dirname "$0")/../selftests/vm/packages.sh"

folder=$1
root=$("$vm_dir/root.sh" "$newest_suite" ovmf shim-signed grub-efi-amd64-signed)
start=$folder/disk/EFI/BOOT

mkdir -p "$start" "$folder/disk/EFI/debian"
cp "$root/usr/share/OVMF/OVMF_CODE_4M.secboot.fd" "$folder/code"
cp "$root/usr/share/OVMF/OVMF_VARS_4M.ms.fd" "$folder/variables"
cp "$root/usr/lib/shim/shimx64.efi.signed" "$start/BOOTX64.EFI"
cp "$root/usr/lib/shim/mmx64.efi.signed" "$start/mmx64.efi"
cp "$root/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed" "$start/grubx64.efi"

# Without SMM the system could write the variables as it likes.
cat >"$folder/arguments" <<END
-machine
smm=on
-global
ICH9-LPC.disable_s3=1
-global
driver=cfi.pflash01,property=secure,value=on
-drive
if=pflash,unit=0,format=raw,readonly=on,file=$folder/code
-drive
if=pflash,unit=1,format=raw,file=$folder/variables
-drive
if=none,id=disk,format=raw,readonly=on,file=fat:$folder/disk
-device
virtio-blk-pci,drive=disk
END
