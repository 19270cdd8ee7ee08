#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
#
# /init of the VM's initramfs: loads modules, mounts the host's root with a
# writable layer over it, mounts everything else, and hands over to init.sh.
# All of it is busybox, which the emulated machine starts far quicker than
# programs that lie on the host.

# Without a first process the kernel panics, and run.sh sees that.
set -e

# Prints the value of word $1 of the kernel's command line.
argument() {
	tr ' ' '\n' </proc/cmdline | sed -n "s/^$1=//p"
}

# Mounts the disk with the serial number $1 and type $2, if it is there.
mount_disk() {
	for serial in /sys/block/vd*/serial; do
		[ "$(cat "$serial")" = "$1" ] || continue
		device=/dev/$(basename "$(dirname "$serial")")
		# What the kernel takes for a disk that turns reads ahead more in
		# newer ones, and tests count pages.
		echo 128 >"/sys/block/${device#/dev/}/queue/read_ahead_kb"
		mkdir "$place/$1"
		mount -t "$2" -o "$3" "$device" "$place/$1"
	done
}

/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev

# A trial boot shows that the accelerator can run a kernel and its programs.
if [ "$(argument zcopy.trial)" = yes ]; then
	echo alive >/dev/ttyS1
	poweroff -f
fi

init=$(argument zcopy.init)
kernel=$(argument zcopy.kernel)
place=/new/run/zcopy

# The large ones, on which nothing else rests, take seconds: side by side.
while read -r module; do
	case $module in
	e1000e.ko | ext4.ko | xfs.ko) insmod "/modules/$module" & ;;
	*) insmod "/modules/$module" ;;
	esac
done </modules/order

# What the host changes while the VM runs need not be seen: cache everything.
mount -t 9p -o trans=virtio,version=9p2000.L,cache=loose,ro,msize=512000 \
	root /host
mount -t tmpfs -o size=75% top /top
mkdir /top/upper /top/work
mount -t overlay -o lowerdir=/host,upperdir=/top/upper,workdir=/top/work \
	root /new

# The host's modules are not this kernel's.
mkdir -p /new/lib/modules
mount -t tmpfs modules /new/lib/modules
ln -s "$kernel/lib/modules/$(uname -r)" /new/lib/modules/

mkdir -p $place
mount -t tmpfs -o mode=755 zcopy $place
mkdir $place/tmpfs
mount -t tmpfs -o size=2G tests $place/tmpfs
wait
mount_disk ext4 ext4 rw
mount_disk xfs xfs rw
mount_disk data ext4 ro

hostname zcopy-vm
mkdir /dev/pts /dev/shm
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug
mount -t cgroup2 cgroup /sys/fs/cgroup
for tree in proc sys dev; do
	mount --move "/$tree" "/new/$tree"
done
exec switch_root /new "$init"
