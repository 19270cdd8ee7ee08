# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the tests of Debian's servers share. A server runs unmodified, but with
# libzcopy-preload.so between it and sendfile(2), against curl and wrk: what
# arrives is right, whatever is asked for and however it is read, and it went
# through the module: by reference, as the cards of the wire gather.
#
# The same files are in the folder overlay too, as overlayfs shows them, with their
# lower layer on ext4 and an upper one on tmpfs.
#
# The server runs in namespace left; clients there use loopback, those in
# namespace right the wire. ZCOPY_SERVERS is the tree of vm/servers.sh.
#
# It is sourced, never run.

set -euo pipefail

# What is mounted goes with the test, whatever ends it.
[[ -n ${ZCOPY_ALONE-} ]] || ZCOPY_ALONE=yes exec unshare --mount "$0"

: "${ZCOPY_SERVERS:?must name the folder that vm/servers.sh prints}"
export ZCOPY_SERVERS
export ZCOPY_FOLDER=$ZCOPY_TESTDIR_EXT4/servers
files=$ZCOPY_FOLDER/files
overlay=$files/overlay
upper=$ZCOPY_TESTDIR_TMPFS/upper
got=$ZCOPY_TESTDIR_TMPFS/got
summary=$ZCOPY_FOLDER/summary
small=(0 1 4095 4096 4097 65537 262145)
middle=$(((8 << 20) + 1))
large=$((65 << 20))
sizes=("${small[@]}" "$middle" "$large")
pieces=(0-0 0-4095 4095-4097 4096-8191 65535-200000 262144-262144 250001-)
options=(--silent --show-error --path-as-is)
export PATH+=:$ZCOPY_SERVERS/usr/bin:$ZCOPY_SERVERS/usr/sbin
LD_LIBRARY_PATH+=:$ZCOPY_SERVERS/usr/lib/$(uname -m)-linux-gnu
left=(nsenter --net=/run/netns/left)
loopback=127.0.0.1
wire=10.9.0.1
scheme=http
port=8200
server=
number=0
failures=0

# shellcheck disable=SC2317 # the trap reaches it
clean_up() {
	[[ -z $server ]] || kill "$server" 2>/dev/null || true
	! mountpoint --quiet "$overlay" || umount --lazy "$overlay"
	rm -rf "$ZCOPY_FOLDER" "$got" "$upper"
}
trap clean_up EXIT

# Runs a function as a test of the server.
check() {
	local status=0

	"${@:2}" || status=$?
	number=$((number + 1))
	if [[ $status -eq 0 ]]; then
		printf 'ok %d %s\n' "$number" "$1"
	else
		printf 'not ok %d %s\n' "$number" "$1"
		failures=$((failures + 1))
	fi
}

make_files() {
	local size

	mkdir -p "$files" "$got"
	cp "$(dirname "$0")"/*.{conf,lua,py} "$ZCOPY_FOLDER"
	for size in "${sizes[@]}"; do
		head -c "$size" /dev/urandom >"$files/$size"
	done
	(cd "$files" && b2sum -- "${small[@]}") >"$ZCOPY_FOLDER/hashes"
}

# Every other small file is in the upper layer.
make_overlay() {
	local i

	mkdir -p "$overlay" "$upper"/{upper,work}
	mount -t overlay none "$overlay" \
		-o "lowerdir=$files,upperdir=$upper/upper,workdir=$upper/work"
	for ((i = 0; i < ${#small[@]}; i += 2)); do
		: >>"$overlay/${small[i]}"
	done
}

# Runs a command where the clients of address $1 are.
at() {
	if [[ $1 == "$wire" ]]; then
		nsenter --net=/run/netns/right "${@:2}"
	else
		"${left[@]}" "${@:2}"
	fi
}

# curl, in the place of the clients of address $1.
get() {
	at "$1" curl "${options[@]}" "${@:2}"
}

url() {
	printf '%s://%s:%d/%s' "$scheme" "$1" "$port" "$2"
}

# Has the command serve the files.
start() {
	check "it starts" run "$@"
	[[ -n $server ]]
}

run() {
	# The workers, which are nobody, write there as well.
	: >"$summary"
	chmod 666 "$summary"
	"${left[@]}" setsid env LD_PRELOAD=libzcopy-preload.so \
		ZCOPY_PRELOAD_SUMMARY="$summary" \
		"$@" </dev/null >"$ZCOPY_FOLDER/log" 2>&1 &
	server=$!
	until get "$loopback" --output /dev/null "$(url "$loopback" 1)" 2>/dev/null; do
		kill -0 "$server" || {
			sed 's/^/# /' "$ZCOPY_FOLDER/log"
			server=
			return 1
		}
	done
}

# 64 downloads at once over the wire: the large file, nine of each small one. From
# folder $1, if there is one.
download() {
	local config=$ZCOPY_FOLDER/config size copy large_one

	before=$(module bytes)
	copied_before=$(module bytes_copied)
	get "$wire" --fail "$(url "$wire" "${1-}$large")" | cmp - "$files/$large" &
	large_one=$!
	for size in "${small[@]}"; do
		for copy in {1..9}; do
			printf 'url = "%s"\noutput = "%s/%d/%s"\n' \
				"$(url "$wire" "${1-}$size")" "$got" "$copy" "$size"
		done
	done >"$config"
	get "$wire" --fail --no-progress-meter --parallel --parallel-immediate \
		--parallel-max 64 --create-dirs --config "$config" || return 1
	for copy in {1..9}; do
		(cd "$got/$copy" && b2sum --quiet --check "$ZCOPY_FOLDER/hashes") ||
			return 1
	done
	wait "$large_one"
}

# A counter of the module.
module() {
	zcopy stat --raw | sed -n "s/^$1=//p"
}

# What download() had sent. The small files may have gone in other ways.
wire_took_references() {
	local bytes=$(($(module bytes) - before))
	local copied=$(($(module bytes_copied) - copied_before))

	printf '# over the wire: %d bytes through the module, copied: %d\n' \
		"$bytes" "$copied"
	((bytes >= large + 9 * 262145 && copied == 0))
}

# What HEAD says, or SIZE of ftp. That of the empty file may be left out.
tells_size() {
	local list=() size

	for size in "${sizes[@]:1}"; do
		list+=("$(url "$wire" "$size")")
	done
	get "$wire" --head "${list[@]}" | tr -d '\r' |
		sed -n 's/^content-length: //Ip' |
		diff - <(printf '%d\n' "${sizes[@]:1}")
}

# Nothing follows the answer to HEAD, and the connection goes on.
head_and_get() {
	get "$wire" --head --output /dev/null "$(url "$wire" 4097)" \
		--next "${options[@]}" --write-out '%{stderr}%{num_connects}\n' \
		"$(url "$wire" 4097)" 2>"$ZCOPY_FOLDER/connects" |
		cmp - "$files/4097" &&
		[[ $(<"$ZCOPY_FOLDER/connects") == 0 ]]
}

# Every small file but the largest, ten times over, on one connection.
keep_alive() {
	local list=() wanted=() size

	while [[ ${#list[@]} -lt 60 ]]; do
		for size in "${small[@]:0:6}"; do
			list+=("$(url "$loopback" "$size")")
			wanted+=("$files/$size")
		done
	done
	get "$loopback" --write-out '%{stderr}%{num_connects}\n' "${list[@]}" \
		2>"$ZCOPY_FOLDER/connects" | cmp - <(cat "${wanted[@]}") || return 1
	# A file that comes with ftp has a connection of its own besides.
	[[ $scheme == ftp ]] ||
		awk '{ sum += $1 } END { exit !(NR == 60 && sum == 1) }' \
			"$ZCOPY_FOLDER/connects"
}

# piece FIRST LAST: those bytes of the file of a mebibyte.
piece() {
	tail -c "+$(($1 + 1))" "$files/262145" |
		head -c $((${2:-262144} - $1 + 1)) || [[ $? -eq 141 ]]
}

ranges() {
	local range list=()

	for range in "${pieces[@]}"; do
		list+=(--next "${options[@]}" --fail --range "$range"
			"$(url "$wire" 262145)")
	done
	get "$wire" "${list[@]:1}" | cmp - <(
		for range in "${pieces[@]}"; do
			piece "${range%-*}" "${range#*-}"
		done
	)
}

# Those servers that answer with several ranges do it as RFC 9110 says.
multipart() {
	local list=(0-0 4095-4097 65535-165535 262144-262144)

	get "$wire" --include --range "$(IFS=,; echo "${list[*]}")" \
		"$(url "$wire" 262145)" |
		/usr/bin/python3 "$ZCOPY_FOLDER/ranges.py" "$files/262145" "${list[@]}"
}

# read_slowly NAME FILE COMMAND...: reads nothing until the server has long been
# waiting for that, and the command has run. FILE has what must come then.
read_slowly() {
	get "$wire" --fail "$(url "$wire" "$1")" | {
		until "${left[@]}" ss --tcp --no-header --numeric --options |
			grep -q 'timer:(persist'; do
			kill -0 "$server" || return 1
		done
		"${@:3}" || return 1
		cmp - "$2"
	}
}

slow_reader() {
	read_slowly "$middle" "$files/$middle" true
}

# The last bytes of a file become others.
change_end() {
	printf changed | dd of="$1" bs=1 seek=$((middle - 7)) conv=notrunc status=none
}

# The file is copied up, and changed there.
slow_reader_of_overlay() {
	local expected=$ZCOPY_FOLDER/expected

	cp "$files/$middle" "$expected"
	change_end "$expected"
	read_slowly "overlay/$middle" "$expected" change_end "$overlay/$middle"
}

# Some go away in the middle; the others need not notice.
hang_up() {
	local reader

	for reader in first second; do
		{ get "$wire" "$(url "$wire" "$middle")" 2>/dev/null || true; } |
			head -c 100000 | cmp - <(head -c 100000 "$files/$middle") || {
			printf '# the %s one\n' "$reader"
			return 1
		}
	done
}

# wrk with 16 connections, each answer compared; for as many seconds as the
# machine needs for 16 answers.
load() {
	local seconds answer

	for seconds in 1 4 16 64; do
		answer=$(at "$wire" wrk --threads 2 --connections 16 --timeout 2m \
			--duration "${seconds}s" --script "$ZCOPY_FOLDER/compare.lua" \
			"$(url "$wire" 65537)" -- "$files/65537" | tail -n 1) || return 1
		printf '# wrk, %d s: %s\n' "$seconds" "$answer"
		[[ $answer =~ ^right=([0-9]+)\ wrong=0\ failed=0$ ]] || return 1
		((BASH_REMATCH[1] < 16)) || return 0
	done
	return 1
}

# It ends by this signal, with that status.
stop() {
	local status=0

	kill -0 "$server" && kill "-$1" "$server" || return 1
	wait "$server" || status=$?
	server=
	[[ $status -eq $2 ]] && return
	printf '# it ended with %d\n' "$status"
	tail "$ZCOPY_FOLDER/log" | sed 's/^/# /'
	return 1
}

# What the shim counted in all processes of the server; sets the array shim.
declare -A shim=()
count() {
	local name_of number_of

	shim=([calls]=0 [by_reference]=0 [copied]=0 [fallbacks]=0 [by_system_call]=0)
	while IFS='=' read -r name_of number_of; do
		shim[$name_of]=$((${shim[$name_of]:-0} + number_of))
	done < <(sed -n 's/^zcopy-preload: .*\]: //p' "$summary" | tr ' ' '\n')
	printf '# the shim counted'
	for name_of in "${!shim[@]}"; do
		printf ' %s=%d' "$name_of" "${shim[$name_of]}"
	done
	printf '\n'
	[[ -s $summary ]]
}

# Nothing fell back, and all that is large went by reference.
shim_sent_all() {
	count && ((shim[by_reference] >= large + 9 * 262145 &&
		shim[copied] == 0 && shim[fallbacks] == 0 &&
		shim[by_system_call] == 0))
}

# It copies from read() to write(), and no shim helps it.
shim_counts_nothing() {
	count && ((shim[calls] == 0 && shim[by_reference] == 0))
}

# What every server can do.
usual() {
	check "64 downloads over the wire" download
	check "over the wire by reference" wire_took_references
	check "a slow reader" slow_reader
	check "a slow reader, and the file is copied up and changed" \
		slow_reader_of_overlay
	check "readers that hang up" hang_up
	check "the sizes" tells_size
	check "60 files on one connection over loopback" keep_alive
}

# The files of overlayfs.
usual_of_overlay() {
	check "64 downloads from overlayfs" download overlay/
	check "from overlayfs by reference" wire_took_references
}

usual_of_http() {
	check "HEAD has no body" head_and_get
	check "wrk" load
}

# The server is told to stop by signal $1, and ends with status $2.
finish() {
	check "it ends" stop "$1" "$2"
	check "the shim: all by reference" shim_sent_all
	printf '1..%d\n' "$number"
	[[ $failures -eq 0 ]]
}

printf 'TAP version 13\n'
make_files
make_overlay
