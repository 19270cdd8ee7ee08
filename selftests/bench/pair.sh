#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Boots two VMs with a wire between them: a server of one CPU, whose
# instructions are counted, and a client, which runs client.c. Prints what the
# server's command prints. Needs QEMU 7.2 or newer.
#
#   pair.sh [-b] [-c COMMAND] [-t SECONDS] KERNEL MODULE CARD PROGRAMS RESULTS COMMAND
#
#   -b  count by blocks of code too, and print what profile.sh makes of that
#   -c  the client's command instead of client.c; its end is waited for
#   -t  end the VMs after so long (default: 600)
#
# KERNEL and MODULE are as for run.sh, CARD is QEMU's name of the server's
# network card. PROGRAMS is the folder of the built benchmarks. The counts go
# to RESULTS/windows and RESULTS/blocks, the consoles there too.

# shellcheck source=selftests/vm/common.sh
source "$(dirname "$0")/../vm/common.sh"
bench_dir=$(realpath "$(dirname "$0")")

blocks=no client_command='' limit=600
while getopts bc:t: option; do
	case $option in
	b) blocks=yes ;;
	c) client_command=$OPTARG ;;
	t) limit=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
kernel=$1 module=$2 card=$3 programs=$4 results=$5 command=$6

mkdir -p "$results"
place=$(mktemp -d)
server='' client=''

# shellcheck disable=SC2317 # the trap reaches it
clean_up() {
	for vm in $server $client; do
		kill -TERM "$vm" 2>/dev/null || continue
		wait "$vm" || true
	done
	rm -rf "$place"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

plugin=$programs/counter.so,windows=$results/windows
if [[ $blocks == yes ]]; then
	plugin+=,blocks=$results/blocks
	command="$command >/tmp/windows && cat /tmp/windows &&
		$bench_dir/profile.sh /tmp/windows $results/blocks"
fi

# boot NAME HOST CARD LISTEN MODULE COMMAND [QEMU-ARGUMENT...]: one VM.
boot() {
	local name=$1 host=$2 card=$3 listen=$4 module=$5 command=$6 word
	local words=(
		-smp 1
		-netdev "stream,id=pair,server=$listen,addr.type=unix,addr.path=$place/wire"
		-device "$card,netdev=pair,mac=52:54:00:00:02:0$host"
		"${@:7}"
	)
	local options=()

	for word in "${words[@]}"; do
		options+=(-q "$word")
	done
	exec "$vm_dir/run.sh" -a tcg,thread=single -t "$limit" \
		-c "$results/$name.console" "${options[@]}" "$kernel" "$module" \
		"$bench_dir/guest.sh $host && $command"
}

# An instruction takes the server's clock a nanosecond, so that a slow host does
# not bring it more timer interrupts, nor its peer's answers later.
boot server 1 "$card" on "$module" "$command" \
	-icount shift=0,sleep=on -plugin "$plugin" &
server=$!
until [[ -S $place/wire ]]; do
	kill -0 "$server" 2>/dev/null || die "the server's VM did not start"
	sleep 0.1
done
# This card, other than vmxnet3, makes the wire wait while it has no room.
boot client 2 e1000e off "" "${client_command:-$programs/client 10.9.1.1}" \
	>"$results/client.output" 2>&1 &
client=$!

# Waits for the client, which has nothing to tell unless it failed.
await_client() {
	wait "$client" || {
		cat "$results/client.output" >&2
		die "the client failed"
	}
	client=''
}

status=0 first=''
wait -n -p first "$server" "$client" || status=$?
if [[ $first == "$client" ]]; then
	await_client
	status=0
	wait "$server" || status=$?
else
	server=''
	[[ $status -ne 0 || -z $client_command ]] || await_client
fi
server=''
exit "$status"
