#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Makes the VM's initramfs for the unpacked kernel in folder $1, once for each
# state of what goes into it, and prints its path. It holds busybox, boot.sh
# and the modules that every run needs, already decompressed.

# shellcheck source=selftests/vm/common.sh
source "$(dirname "$0")/common.sh"

kernel=$1
release=$(<"$kernel/release")
busybox=$("$vm_dir/busybox.sh")
state=$(cat "$0" "$vm_dir/boot.sh" "$busybox" | sha256sum | cut -c1-16)
target=$kernel/initramfs-$state

if [[ -f $target ]]; then
	printf '%s\n' "$target"
	exit 0
fi

root=$(mktemp -d)
trap 'rm -rf "$root" "$target".$$' EXIT
mkdir "$root"/{bin,dev,proc,sys,modules,host,top,new}
cp "$busybox" "$root/bin/busybox"
cp "$vm_dir/boot.sh" "$root/init"

# In the order they have to be loaded, dependencies first.
modprobe --config /dev/null --dirname "$kernel" --set-version "$release" \
	--show-depends --all 9pnet_virtio 9p overlay virtio_blk e1000e ext4 xfs |
	sed -n 's/^insmod //p' | awk '!seen[$1]++ { print $1 }' |
	while read -r file; do
		plain=$(basename "$file" .xz)
		case $file in
		*.xz) xz -dc "$file" ;;
		*) cat "$file" ;;
		esac >"$root/modules/$plain"
		printf '%s\n' "$plain"
	done >"$root/modules/order"

(cd "$root" && find . -print0 | cpio --quiet --null --create \
	--format=newc --owner=0:0) >"$target".$$
# Another run may be about to boot the one before.
find "$kernel" -maxdepth 1 -name 'initramfs-????????????????' -mmin +1440 -delete
mv "$target".$$ "$target"
printf '%s\n' "$target"
