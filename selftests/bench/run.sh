#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs the benchmarks and prints what they measured, and the ratios that the
# project aims at. A target that is missed is no failure.
#
#   run.sh -k KERNEL -m MODULE -b PROGRAMS [-p] [-r REPEATS] [-c CARD]
#          [-f ext4|xfs] [large|small|concurrent|cancel|latency|busy|cold|release...]
#
#   -k  a folder made by ../vm/kernel.sh
#   -m  the zcopy.ko to measure
#   -b  the folder of what the Makefile here built
#   -p  print which functions of the kernel the instructions are in, too
#   -r  repeats of each measurement (default: 5)
#   -c  one network card instead of all: vmxnet3 or e1000e
#   -f  one filesystem instead of all
#
# Without names, all benchmarks are run.

# shellcheck source=selftests/vm/common.sh
source "$(dirname "$0")/../vm/common.sh"
bench_dir=$(realpath "$(dirname "$0")")

usage() {
	sed -n '7,8s/^# *//p' "$0" >&2
	exit 2
}

kernel='' module='' programs=''
profile=() repeats=5 cards=(vmxnet3 e1000e) filesystems=(xfs ext4)
while getopts k:m:b:pr:c:f: option; do
	case $option in
	k) kernel=$OPTARG ;;
	m) module=$OPTARG ;;
	b) programs=$OPTARG ;;
	p) profile=(-b) ;;
	r) repeats=$OPTARG ;;
	c) cards=("$OPTARG") ;;
	f) filesystems=("$OPTARG") ;;
	*) usage ;;
	esac
done
shift $((OPTIND - 1))
[[ -n $kernel && -n $module && -n $programs ]] || usage
[[ $# -gt 0 ]] || set -- large small concurrent cancel latency busy cold release

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# pair NAME CARD COMMAND: counts in two VMs; one line a window to counts.
pair() {
	local name=$1 folder=$results/$1

	say "bench: $name"
	"$bench_dir/pair.sh" -t 1800 "${profile[@]}" "$kernel" "$module" "$2" \
		"$programs" "$folder" "$3" >"$results/output"
	sed -n 's/^window //p' "$results/output" >"$results/labels"
	[[ $(wc -l <"$results/labels") -eq $(wc -l <"$folder/windows") ]] ||
		die "the windows of $name do not match what the server said"
	paste -d ' ' "$results/labels" "$folder/windows" |
		sed "s/^/count $name /" >>"$results/measured"
	grep -v '^window ' "$results/output" || true
}

large() {
	local card filesystem

	for card in "${cards[@]}"; do
		for filesystem in "${filesystems[@]}"; do
			pair "large-$card-$filesystem" "$card" \
				"$programs/large /run/zcopy/$filesystem 64 $repeats"
		done
	done
}

small() {
	local kib

	for kib in 16 64; do
		pair "small-$kib-${cards[0]}-${filesystems[0]}" "${cards[0]}" \
			"$programs/small /run/zcopy/${filesystems[0]} $kib 512 $repeats"
	done
}

concurrent() {
	pair concurrent "${cards[0]}" \
		"$programs/concurrent /run/zcopy/${filesystems[0]} 100 10000 $repeats"
}

# One transfer of so many that are queued, those to one target, and all.
cancel() {
	pair cancel "${cards[0]}" \
		"$programs/cancel /run/zcopy/${filesystems[0]} 256 16384 $repeats"
}

# vm ARGUMENT...: run.sh's, for a VM whose output was measured.
vm() {
	"$vm_dir/run.sh" -c "$results/console" "$@" >"$results/output" || {
		cat "$results/output" >&2
		die "the VM's command failed"
	}
	sed 's/^latency /&latency /' "$results/output" >>"$results/measured"
}

# Both ends in one VM, where the kernel copies: what is compared is who does the work.
busy() {
	say "bench: busy"
	vm -t 1800 "$kernel" "$module" "$programs/busy /run/zcopy/xfs 10 $repeats"
}

# A disk that does about 50 operations a second, with one file on it.
latency() {
	say "bench: latency"
	mkdir "$results/files"
	# Random, since mke2fs leaves out blocks of zeros.
	head -c 256M /dev/urandom >"$results/files/cold"
	truncate -s 288M "$results/disk"
	mke2fs -q -t ext4 -m 0 -d "$results/files" "$results/disk"
	rm -r "$results/files"
	vm -t 3600 -d "$results/disk,throttling.iops-total=50" "$kernel" "$module" \
		"$programs/latency /run/zcopy/xfs /run/zcopy/data/cold 20 $repeats"
}

# Many small files on a disk that does 2000 operations a second, none in memory.
cold() {
	say "bench: cold"
	mkdir "$results/files"
	"$programs/cold" make "$results/files" 10000
	truncate -s 1G "$results/disk"
	mke2fs -q -t ext4 -m 0 -N 20000 -d "$results/files" "$results/disk"
	rm -r "$results/files"
	vm -t 3600 -d "$results/disk,throttling.iops-total=2000" "$kernel" "$module" \
		"$programs/cold /run/zcopy/data 10000 $repeats"
	rm "$results/disk"
}

# From the last ACK to the release, over the wire in one VM.
release() {
	local kib

	say "bench: release"
	for kib in 16 64 1024; do
		vm -t 600 "$kernel" "$module" \
			"$programs/release /run/zcopy/xfs $kib 500"
	done
}

for benchmark; do
	case $benchmark in
	large | small | concurrent | cancel | latency | busy | cold | release) "$benchmark" ;;
	*) usage ;;
	esac
done
awk -f "$bench_dir/report.awk" "$results/measured"
