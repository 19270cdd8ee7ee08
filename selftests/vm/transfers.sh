#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The transfers of "make demo", in the VM.
#
#   transfers.sh FILE SHA256 KERNEL-IMAGE SHA256
#
# Sends both files from namespace left to namespace right, and compares what
# came with the sum; then measures read+write, sendfile(2) and zcopy.

set -euo pipefail

vm_dir=$(dirname "$0")
# shellcheck source=selftests/vm/copies.sh
source "$vm_dir/copies.sh"

left=(ip netns exec left)
right=(ip netns exec right)
here=(env)
wire=10.9.0.2 loopback=127.0.0.1
repeats=5
report=/run/zcopy/report
methods=(rw sendfile zcopy)
declare -A names=([rw]='read+write' [sendfile]='sendfile(2)' [zcopy]='zcopy')

die() {
	printf 'demo: %s\n' "$*"
	exit 1
}

# Starts a receiver: receive NAMESPACE-COMMAND... -- OPTION... Sets port.
receive() {
	local command=()

	while [[ $1 != -- ]]; do
		command+=("$1")
		shift
	done
	shift
	: >"$report"
	"${command[@]}" zcopy recv --quiet --print-port --stats "$@" 0 >"$report" &
	receiver=$!
	until read -r port <"$report"; do
		kill -0 "$receiver" || die "the receiver ended"
		sleep 0.05
	done
}

# Waits for the receiver; sets received, in bytes.
received() {
	wait "$receiver" || die "the receiver failed"
	received=$(sed -n 's/^method=recv bytes=\([0-9]*\) .*/\1/p' "$report")
}

# Prints figure $2 of a line of figures $1.
figure() {
	tr ' ' '\n' <<<"$1" | sed -n "s/^$2=//p"
}

# Sends file $1 over the wire, with a progress bar, and compares with sum $2.
show() {
	local copy=$ZCOPY_TESTDIR_TMPFS/copy sum

	printf '\n%s, %d bytes, from %s to %s\n' "${1##*/}" "$(stat -c %s "$1")" \
		"namespace left" "namespace right ($wire)"
	receive "${right[@]}" -- --output "$copy"
	"${left[@]}" zcopy send "$1" $wire:"$port" || die "the sender failed"
	received
	sum=$(sha256sum <"$copy")
	sum=${sum%% *}
	[[ $sum == "$2" ]] || die "SHA-256 is $sum, not $2"
	printf 'SHA-256 at the receiver: %s, the same\n' "$sum"
	rm "$copy"
}

# Sends with method $1, from where the command $2 runs to host $3, where the
# receiver drops what comes; $4 is the file. Sets figures and sender.
send() {
	local size

	size=$(stat -c %s "$4")
	case $3 in
	"$wire") receive "${right[@]}" -- --discard ;;
	*) receive "${here[@]}" -- --discard ;;
	esac
	$2 zcopy send --quiet --stats --method "$1" "$4" "$3:$port" >"$report.sender" &
	sender=$!
	wait "$sender" || die "the sender failed"
	received
	figures=$(<"$report.sender")
	[[ $received == "$size" && $(figure "$figures" bytes) == "$size" ]] ||
		die "$received of $size bytes came"
}

median() {
	sort -g | awk '{ row[NR] = $1 } END { print row[int((NR + 1) / 2)] }'
}

wire_table() {
	local method timed copied payload pulls footnote=''

	printf '\nOver the wire (e1000e), %d bytes; about a minute ...\n\n' \
		"$(stat -c %s "$1")"
	printf '%-12s %9s %9s %22s %20s\n' method MB/s calls \
		'bytes the CPU copied' 'the module reports'
	for method in "${methods[@]}"; do
		send "$method" "${left[*]}" $wire "$1"
		timed=$figures
		copies_begin "$1"
		send "$method" "${left[*]}" $wire "$1"
		copied=$(copies_end "$sender" "$received") ||
			die "some copies were not counted"
		read -r payload pulls <<<"$copied"
		printf '%-12s %9s %9s %22d %20s\n' "${names[$method]}" \
			"$(figure "$timed" mb_per_s)" "$(figure "$timed" calls)" \
			"$payload" "$(figure "$timed" copied | sed s/unknown/-/)"
		footnote+=" ${names[$method]} $pulls,"
	done
	printf '\nBytes the CPU copied: counted by the kernel (fprobes) in a pass of its own.\n'
	printf 'Not in it, since the driver of this card moves the first 4 bytes of each packet\n'
	printf 'because of an erratum:%s bytes.\n' "${footnote%,}"
}

loopback_table() {
	local method round
	declare -A rates=()

	printf '\nOver loopback, the same file, hot; medians of %d rounds; about a minute ...\n\n' \
		$repeats
	for ((round = 0; round < repeats; round++)); do
		for method in "${methods[@]}"; do
			send "$method" "${here[*]}" $loopback "$1"
			rates[$method]+="$(figure "$figures" mb_per_s)"$'\n'
		done
	done
	printf '%-12s %9s\n' method MB/s
	for method in "${methods[@]}"; do
		rates[$method]=$(median <<<"${rates[$method]%$'\n'}")
		printf '%-12s %9s\n' "${names[$method]}" "${rates[$method]}"
	done
	awk -v zcopy="${rates[zcopy]}" -v sendfile="${rates[sendfile]}" 'BEGIN {
		printf "\nzcopy / sendfile(2) on loopback: %.2f\n", zcopy / sendfile }'
}

image=$ZCOPY_TESTDIR_EXT4/$(basename "$3")
cp "$3" "$image"
show "$1" "$2"
show "$image" "$4"
wire_table "$1"
loopback_table "$1"
