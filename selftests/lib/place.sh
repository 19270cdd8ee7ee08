#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Makes folder $place with a filesystem that holds the file $stage/content, or
# undoes what that takes beside the mount. For place.c.
#
#   place.sh make|undo NAME FOLDER XFS
#
# FOLDER is on ext4 and has a folder NAME for the place, XFS is an empty folder.

set -euo pipefail
stage=$3/stage disk=$3/$2 place=$3/$2/place xfs=$4

# Mounts disk/image with options $1.
mount_image() {
	mount -o "loop,$1" "$disk/image" "$place"
}

# An image of size $1, made by the rest of the words, mounted.
format() {
	truncate -s "$1" "$disk/image"
	"${@:2}" "$disk/image" >/dev/null
	mount_image rw
}

mount_overlay() {
	mount -t overlay none "$place" \
		-o "lowerdir=$disk/lower,upperdir=$disk/upper,workdir=$disk/work"
}

# The kernel's server of NFS, told by hand what its daemon for mounts would say:
# the folder is the root, for this machine, for ever. The packages' commands
# would come with three services for the host.
serve_nfs() {
	local for_ever=4000000000 fsid=0x2000 no_subtree_check=0x400 any_port=4
	local caches=/proc/net/rpc

	modprobe nfsd
	mount -t nfsd none /proc/fs/nfsd
	echo -3 +4 >/proc/fs/nfsd/versions
	echo 10 >/proc/fs/nfsd/nfsv4gracetime
	echo "nfsd 127.0.0.1 $for_ever test" >$caches/auth.unix.ip/channel
	echo "test $1 $for_ever $((fsid | no_subtree_check | any_port)) 65534 65534 0" \
		>$caches/nfsd.export/channel
	printf 'test 1 \\x00000000 %s %s\n' "$for_ever" "$1" >$caches/nfsd.fh/channel
	echo tcp 2049 >/proc/fs/nfsd/portlist
	echo 2 >/proc/fs/nfsd/threads
}

make_place() {
	case $1 in
	ext4 | ext4-direct) mount --bind "$disk" "$place" ;;
	xfs | xfs-direct)
		mkdir "$xfs/$1"
		mount --bind "$xfs/$1" "$place"
		;;
	ext4-encrypted)
		format 64M mkfs.ext4 -q -O encrypt
		return
		;;
	tmpfs | ramfs) mount -t "$1" none "$place" ;;
	btrfs) format 256M mkfs.btrfs -q ;;
	btrfs-compressed)
		format 256M mkfs.btrfs -q
		mount -o remount,compress-force=zstd "$place"
		;;
	vfat) format 64M mkfs.vfat ;;
	iso9660)
		genisoimage -quiet -o "$disk/image" "$stage" 2>/dev/null
		mount_image ro
		return
		;;
	squashfs)
		mksquashfs "$stage" "$disk/image" -quiet -no-progress
		mount_image ro
		return
		;;
	erofs)
		mkfs.erofs --quiet -zlz4 "$disk/image" "$stage"
		mount_image ro
		return
		;;
	overlay-upper)
		mkdir "$disk"/{lower,upper,work}
		mount_overlay
		;;
	overlay-lower)
		mkdir "$disk"/{lower,upper,work}
		cp "$stage/content" "$disk/lower"
		mount_overlay
		return
		;;
	nfs)
		mkdir "$disk/export"
		cp "$stage/content" "$disk/export"
		serve_nfs "$disk/export"
		mount -i -t nfs4 127.0.0.1:/ "$place" \
			-o addr=127.0.0.1,clientaddr=127.0.0.1,vers=4.2,sec=sys
		return
		;;
	fuse)
		mkdir "$disk/behind"
		bindfs -f "$disk/behind" "$place" &
		echo $! >"$disk/pid"
		until mountpoint -q "$place"; do
			kill -0 "$(<"$disk/pid")"
			sleep 0.1
		done
		;;
	9p)
		mount -t 9p share "$place" \
			-o trans=virtio,version=9p2000.L,cache=loose,msize=512000
		;;
	esac
	cp "$stage/content" "$place"
}

undo_place() {
	case $1 in
	nfs)
		echo 0 >/proc/fs/nfsd/threads
		# All that is older than this goes.
		for cache in nfsd.export nfsd.fh auth.unix.ip; do
			echo 4100000000 >/proc/net/rpc/$cache/flush
		done
		umount /proc/fs/nfsd
		;;
	fuse)
		while [[ -e /proc/$(<"$disk/pid") ]]; do
			sleep 0.1
		done
		;;
	esac
}

"$1_place" "$2"
