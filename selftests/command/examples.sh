#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Both example servers against curl: 64 downloads side by side of files of all
# sizes, each with the right hash; what is not there is not found; and the
# server is alive afterwards. With few descriptors clients wait until there are
# some. Then the example of leases, with a file that somebody wants to truncate.

set -euo pipefail

folder=$ZCOPY_TESTDIR_EXT4/examples
server=
breaker=
break_time=/proc/sys/fs/lease-break-time
usual_break_time=$(<"$break_time")
number=0
failures=0

# shellcheck disable=SC2317 # the trap reaches it
clean_up() {
	[[ -z $server ]] || kill "$server" 2>/dev/null || true
	[[ -z $breaker ]] || kill "$breaker" 2>/dev/null || true
	echo "$usual_break_time" >"$break_time"
	rm -rf "$folder"
}
trap clean_up EXIT

report() {
	number=$((number + 1))
	if [[ $1 -eq 0 ]]; then
		printf 'ok %d %s\n' "$number" "$2"
	else
		printf 'not ok %d %s\n' "$number" "$2"
		failures=$((failures + 1))
	fi
}

# Runs a function as a test.
check() {
	local status=0

	"${@:2}" || status=$?
	report "$status" "$1"
}

make_files() {
	local size

	mkdir -p "$folder/files" "$folder/got"
	for size in 0 1 4095 4096 4097 65537 1048577 $((65 << 20)); do
		head -c "$size" /dev/urandom >"$folder/files/$size"
	done
	(cd "$folder/files" && sha256sum -- *) >"$folder/hashes"
	sync
	# Some of them come from the disk.
	echo 3 >/proc/sys/vm/drop_caches
	cat "$folder/files/65537" "$folder/files/4097" >/dev/null
}

# A server on a port that nobody else has here. What follows the port starts it.
start() {
	"${@:3}" "$1" "$2" "$folder/files" &
	server=$!
	until curl --silent --output /dev/null "http://127.0.0.1:$2/1"; do
		kill -0 "$server" || return 1
	done
}

# 64 downloads at once: the large file once, each of the others nine times.
download() {
	local config=$folder/config name copy

	rm -f "$folder"/got/*
	for name in "$folder"/files/*; do
		name=${name##*/}
		for ((copy = 0; copy < 9; copy++)); do
			((copy < 1 || name < 1 << 26)) || break
			printf 'url = "http://%s:%d/%s"\noutput = "%s/got/%s.%d"\n' \
				"$1" "$2" "$name" "$folder" "$name" "$copy"
		done
	done >"$config"
	[[ $(grep -c url "$config") -eq 64 ]] || return 1
	curl --silent --show-error --fail --no-progress-meter --parallel \
		--parallel-immediate --parallel-max 64 --config "$config"
}

# Every file that arrived has the hash of the one it is a copy of.
compare() {
	(cd "$folder/got" && sha256sum -- *) | sed 's/\.[0-9]*$//' | sort -u |
		diff - <(sort -u "$folder/hashes") &&
		[[ $(find "$folder/got" -type f | wc -l) -eq 64 ]]
}

not_found() {
	local path

	for path in none 1/ ../hashes .; do
		[[ $(curl --silent --path-as-is --output /dev/null \
			--write-out '%{http_code}' "http://127.0.0.1:$1/$path") == 404 ]] ||
			return 1
	done
}

# Several requests on one connection, and one that hangs up in the middle.
on_one_connection() {
	local url=http://127.0.0.1:$1

	[[ $(curl --silent "$url/4096" "$url/0" "$url/none" "$url/4097" |
		sha256sum) == $(cat "$folder"/files/409[67] | sha256sum) ]] &&
		{ curl --silent "$url/$((65 << 20))" || true; } | head -c 100000 |
		cmp - <(head -c 100000 "$folder/files/$((65 << 20))")
}

# It ends by our signal and by nothing else.
is_alive() {
	local status=0

	kill -0 "$server" && kill "$server" || return 1
	wait "$server" || status=$?
	server=
	[[ $status -eq $((128 + 15)) ]]
}

# get URL: one more client, which has none of the others' connections.
get() {
	local fd

	for fd in "${clients[@]}"; do
		exec {fd}>&-
	done
	exec curl --silent --fail --max-time $((60 * ${ZCOPY_SLOWDOWN:-1})) "$1"
}

# The server sleeps, whoever waits for it.
server_sleeps() {
	local i

	for ((i = 0; i < 1000; i++)); do
		! grep -q '^State:.*sleeping' "/proc/$server/status" || return 0
	done
	return 1
}

# Of 12 clients that say nothing some have all descriptors but one. That one is
# for the file that one of them asks for. Four others are answered as soon as the
# 12 have gone.
few_descriptors() {
	local fd i pid clients=() waiting=() status=0

	for ((i = 0; i < 12; i++)); do
		exec {fd}<>"/dev/tcp/127.0.0.1/$1" || return 1
		clients+=("$fd")
	done
	for ((i = 0; i < 4; i++)); do
		get "http://127.0.0.1:$1/4097" >"$folder/got/waiting.$i" &
		waiting+=($!)
	done
	for ((i = 0; i < 20; i++)); do
		server_sleeps || status=1
	done
	# What is not there takes none away.
	printf 'GET /none HTTP/1.0\r\n\r\n' >&"${clients[1]}"
	grep -q ' 404 ' <&"${clients[1]}" || status=1
	printf 'GET /4096 HTTP/1.0\r\n\r\n' >&"${clients[0]}"
	tail -c 4096 <&"${clients[0]}" | cmp - "$folder/files/4096" || status=1
	for fd in "${clients[@]}"; do
		exec {fd}>&-
	done
	for pid in "${waiting[@]}"; do
		wait "$pid" || status=1
	done
	for ((i = 0; i < 4; i++)); do
		cmp "$folder/files/4097" "$folder/got/waiting.$i" || status=1
	done
	return "$status"
}

module_is_idle() {
	local i

	for ((i = 0; i < 100; i++)); do
		zcopy stat | awk '/running now$|held now$/ { sum += $1 }
			END { exit sum != 0 }' && return
	done
	return 1
}

# A program that serves a file to one connection, which is open as 3.
lease_start() {
	lease "$1" "$2" "$3" >"$folder/said" &
	server=$!
	until { exec 3<>"/dev/tcp/127.0.0.1/$2"; } 2>/dev/null; do
		kill -0 "$server" || return 1
	done
}

# It has a lease, and sleeps, as nobody reads: it is in the call.
lease_waits() {
	until grep -q ' LEASE .* READ ' /proc/locks &&
		grep -q '^State:.*sleeping' "/proc/$server/status"; do
		kill -0 "$server" || return 1
	done
}

lease_ends() {
	local status=0

	exec 3<&-
	wait "$server" || status=$?
	server=
	[[ $status -eq $1 ]] && grep -q "$2" "$folder/said"
}

# Nobody breaks the lease, and what arrives is the file.
lease_kept() {
	lease_start "$1" "$2" "$folder/files/1048577" || return 1
	cmp "$folder/files/1048577" <&3 && lease_ends 0 'one version' &&
		! grep -q 'had to wait' "$folder/said"
}

# Somebody truncates the file while it is sent, and waits.
lease_broken_by_truncate() {
	cp "$folder/files/$((65 << 20))" "$folder/changing"
	lease_start "$1" "$2" "$folder/changing" && lease_waits || return 1
	# Not truncate(1): that does not wait but fails.
	(: >"$folder/changing") &
	breaker=$!
}

breaker_ends() {
	wait "$breaker" || return 1
	breaker=
	[[ ! -s $folder/changing ]]
}

# The signal ends the call; the peer sees that it did not get all.
lease_own() {
	lease_broken_by_truncate own "$1" && breaker_ends || return 1
	! cat <&3 >"$folder/got/part" 2>/dev/null || return 1
	lease_ends 1 'was reset' && grep -q 'had to wait' "$folder/said"
}

# The truncation waits until the old version has arrived whole.
lease_zcopy() {
	lease_broken_by_truncate zcopy "$1" || return 1
	until grep -q ' LEASE .*BREAKING' /proc/locks; do
		kill -0 "$breaker" || return 1
	done
	cmp "$folder/files/$((65 << 20))" <&3 && lease_ends 0 'one version' &&
		grep -q 'had to wait' "$folder/said" && breaker_ends
}

programs=(epoll-server uring-server)
printf 'TAP version 13\n1..%d\n' $((${#programs[@]} * 10 + 5))
make_files
port=8100
for program in "${programs[@]}"; do
	port=$((port + 1))
	check "$program starts" start "$program" "$port"
	check "$program: 64 downloads" download 127.0.0.1 "$port"
	check "$program: the hashes are right" compare
	check "$program: not found" not_found "$port"
	check "$program: one connection" on_one_connection "$port"
	check "$program is alive" is_alive
	check "$program: nothing is left" module_is_idle
	port=$((port + 1))
	check "$program starts with few descriptors" \
		start "$program" "$port" prlimit --nofile=16
	check "$program: clients wait for descriptors" few_descriptors "$port"
	check "$program is alive" is_alive
done
# So long that it is never over.
echo 3600 >"$break_time"
check "lease of its own: one version" lease_kept own 8110
check "ZCOPY_LEASE: one version" lease_kept zcopy 8111
check "lease of its own: the signal ends the call" lease_own 8112
check "ZCOPY_LEASE: the truncation waits" lease_zcopy 8113
check "leases: nothing is left" module_is_idle
[[ $failures -eq 0 ]]
