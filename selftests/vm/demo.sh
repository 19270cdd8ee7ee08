#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# "make demo": boots a server and a client with the kernel of folder $1, the server
# with the module $2, and has transfers.sh and programs of the benchmarks, in folder
# $3, send files with each method. Then two tables tell what that cost the server.

# shellcheck source=selftests/vm/common.sh
source "$(dirname "$0")/common.sh"

kernel=$1 module=$2 programs=$3
# The consoles stay there.
results=$top_dir/build/demo
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

# Says what comes now, behind the seconds that have passed.
step() {
	printf 'demo: %3d s  %s\n' $SECONDS "$*"
}

# Keeps figures, in the order they come, and tells of steps.
follow() {
	local line

	while read -r line; do
		case $line in
		'step '*) step "${line#step }" ;;
		'copied '*) printf '%s\n' "${line#copied }" >>"$place/copied" ;;
		'window '*) printf '%s\n' "${line#window }" >>"$place/labels" ;;
		*) printf '%s\n' "$line" ;;
		esac
	done
}

# Instructions of the emulated CPU are medians: a round may meet with other work of
# the server.
tables() {
	awk '
	function grouped(n,    text) {
		text = sprintf("%d", n)
		while (text ~ /[0-9][0-9][0-9][0-9]/)
			sub(/[0-9][0-9][0-9]($|,)/, ",&", text)
		return text
	}
	function share(method, of) {
		return sprintf("%.0f %%", 100 * count[method] / count[of])
	}
	function large(name, sender, counted) {
		printf "  %-28s %12s %11s %8.2f %8.1f\n", name,
			grouped(count[counted] * 16), share(counted, "sendfile"),
			copied[sender], pace[sender]
	}
	function small(name, method) {
		printf "  %-28s %12s %11s\n", name, grouped(count[method]),
			share(method, "send(MSG_MORE)+sendfile")
	}
	FILENAME ~ /copied$/ { copied[$1] = $3 / $2; senders[n++] = $1; next }
	FILENAME ~ /paces$/ { pace[senders[paces++]] = $1; next }
	{ round[$1, ++rounds[$1]] = $2 }
	END {
		for (method in rounds)
			count[method] = round[method, int((rounds[method] + 1) / 2)]
		heading = "  %-28s %12s %11s"
		print "\nWhat the CPU of a server executes to send files that it has in memory:"
		print "instructions of its kernel and its program, counted by the emulator; medians.\n"
		print "1 MiB of a large file, to one client:\n"
		printf heading " %8s %8s\n", "method", "instructions", "relative",
			"copied", "MB/s"
		large("read + write", "rw", "read+write")
		large("sendfile(2)", "sendfile", "sendfile")
		large("zcopy", "zcopy", "zcopy")
		print "\nA small response, a header and 16 KiB of a file:\n"
		printf heading "\n", "method", "instructions", "relative"
		small("TCP_CORK + write + sendfile", "cork+write+sendfile+uncork")
		small("send(MSG_MORE) + sendfile", "send(MSG_MORE)+sendfile")
		small("zcopy, a call each", "zcopy-send")
		small("zcopy, 16 in one call", "zcopy-submit-16")
		print "\nCopied: how often the CPU copied each byte, counted by the kernel (kprobes)."
		print "MB/s: the pace of two emulated machines, which is no measure of a method."
		print "All that arrived has the right SHA-256."
	}' "$place/copied" "$place/paces" "$place/counts"
}

head -c 32M /dev/urandom >"$place/file"
sum=$(sha256sum <"$place/file")
step "booting two VMs, kernel $(<"$kernel/release") (about a minute)"
"$top_dir/selftests/bench/pair.sh" \
	-c "$vm_dir/transfers.sh client ${sum%% *} $programs" \
	"$kernel" "$module" vmxnet3 "$programs" "$results" \
	"$vm_dir/transfers.sh server $place/file $programs" | follow
step "done"
[[ $(wc -l <"$place/labels") -eq $(wc -l <"$results/windows") ]] ||
	die "not all windows of the benchmarks were counted"
sed -n 's/^method=recv .* mb_per_s=\([0-9.]*\) .*/\1/p' \
	"$results/client.output" >"$place/paces"
# By method, from the least to the most.
paste -d ' ' "$place/labels" "$results/windows" | awk '{ print $1, ($3 + $4) / $2 }' |
	sort -k 1,1 -k 2,2g >"$place/counts"
tables
echo "demo: OK"
