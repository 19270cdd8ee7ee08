#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# "make demo": boots the VM with the kernel of folder $1 and the module $2 and
# has transfers.sh send a file and the kernel itself.

# shellcheck source=selftests/vm/common.sh
source "$(dirname "$0")/common.sh"

kernel=$1 module=$2
PATH+=:/usr/sbin:/sbin
data=$cache_dir/demo
size=$((256 << 20))

# Random data, so that no layer can compress it; an ext4 image, so that the VM
# reads it from a disk of its own.
if [[ ! -d $data ]]; then
	say "demo: making a file of 256 MiB, once"
	new=$(mktemp -d "$cache_dir/demo.XXXXXX")
	trap 'rm -rf "$new"' EXIT
	mkdir "$new/root"
	head -c "$size" /dev/urandom >"$new/root/random"
	sha256sum "$new/root/random" | cut -d' ' -f1 >"$new/sha256"
	mke2fs -q -t ext4 -b 4096 -d "$new/root" "$new/image" 320M >/dev/null
	rm -rf "$new/root"
	mv -T "$new" "$data" 2>/dev/null || [[ -d $data ]]
fi

image=$(realpath "$kernel/vmlinuz")
command=(
	"$vm_dir/transfers.sh"
	/run/zcopy/data/random "$(<"$data/sha256")"
	"$image" "$(sha256sum "$image" | cut -d' ' -f1)"
)
say "demo: booting kernel $(<"$kernel/release") in a VM (10 to 30 seconds)"
"$vm_dir/run.sh" -t 1500 -d "$data/image" "$kernel" "$module" "${command[*]@Q}"
echo "demo: OK"
