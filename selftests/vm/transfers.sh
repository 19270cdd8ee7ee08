#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The transfers of "make demo", in its two VMs.
#
#   transfers.sh server FILE PROGRAMS
#   transfers.sh client SHA256 PROGRAMS
#
# First the programs of the benchmarks have their instructions counted. Then the
# server sends FILE with each method: once for the time, and once for the client to
# compare it with the sum, while the bytes that the CPU copies are counted. The
# server prints what demo.sh reads:
#
#   step WHAT-COMES-NOW
#   window ...  of the benchmarks
#   copied METHOD BYTES COPIED
#
# and the client, of each of the first times:
#
#   method=recv ... mb_per_s=...

set -euo pipefail

# shellcheck source=selftests/vm/copies.sh
source "$(dirname "$0")/copies.sh"

role=$1 programs=$3
server=10.9.1.1 client=10.9.1.2 port=7001
methods=(rw sendfile zcopy)

die() {
	printf 'demo: %s\n' "$*" >&2
	exit 1
}

# Prints figure $1 of the last sender.
figure() {
	tr ' ' '\n' </run/zcopy/figures | sed -n "s/^$1=//p"
}

# Sends file $2 with method $1, as soon as the client listens. Sets sender, a process.
send() {
	local errors=/run/zcopy/errors

	while :; do
		zcopy send --quiet --stats --method "$1" "$2" $client:$port \
			>/run/zcopy/figures 2>$errors &
		sender=$!
		! wait "$sender" || break
		grep -q 'cannot connect' $errors || die "$(<$errors)"
		sleep 0.1
	done
	[[ $(figure bytes) -eq $size ]] || die "not all was sent: $(figure bytes) bytes"
}

# Sends file $2 with method $1 and looks what the CPU copied.
send_traced() {
	local reported

	send "$1" "$2"
	copies_of "$sender" "$size" || die "some copies were not counted"
	reported=$(figure copied)
	[[ $1 != zcopy || ($copied -eq 0 && $reported -eq 0) ]] ||
		die "zcopy copied $copied bytes and reports $reported"
	echo "copied $1 $size $copied"
}

serve() {
	local file=$ZCOPY_TESTDIR_XFS/file card method

	echo 'step counting instructions: a large file'
	"$programs/large" "$ZCOPY_TESTDIR_XFS" 8 5
	echo 'step counting instructions: small responses'
	"$programs/small" "$ZCOPY_TESTDIR_XFS" 16 96 5

	# Sometimes the last packet does not come through before another one is sent:
	# that is not to wait for as long as the benchmarks have it wait.
	card=$(ip -o address show to $server | awk '{ print $2 }')
	ip route change 10.9.1.0/24 dev "$card" src $server rto_min 2s
	cp "$1" "$file"
	size=$(stat -c %s "$file")
	echo "step taking the time of $((size >> 20)) MiB"
	for method in "${methods[@]}"; do
		send "$method" "$file"
	done
	echo 'step counting copies, and comparing what arrives'
	copies_begin "$file"
	for method in "${methods[@]}"; do
		send_traced "$method" "$file"
	done
}

# The server leads; this follows, in the same order.
take() {
	local copy=$ZCOPY_TESTDIR_TMPFS/copy method sum

	"$programs/client" $server
	"$programs/client" $server
	for method in "${methods[@]}"; do
		zcopy recv --quiet --stats --discard $port
	done
	for method in "${methods[@]}"; do
		zcopy recv --quiet --output "$copy" $port
		sum=$(sha256sum <"$copy")
		[[ ${sum%% *} == "$1" ]] ||
			die "what $method sent came with SHA-256 ${sum%% *}, not $1"
	done
}

case $role in
server) serve "$2" ;;
client) take "$2" ;;
esac
