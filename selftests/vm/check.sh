#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The tests of "make check": boots the VM with the kernel of folder $1 and what
# was built for it in folder $2, runs the tests that the words of TESTS choose
# (all, if there are none), and adds up what the VM reports on the verdict's
# channel. The last line is the sum; the status says whether all is well.

# shellcheck source=selftests/vm/common.sh
source "$(dirname "$0")/common.sh"

kernel=$1 build=$2
passed=0 failed=0 skipped=0

fail() {
	failed=$((failed + 1))
	printf 'not ok - %s\n' "$*"
}

list() {
	make -s -C "$top_dir/selftests" list "$@"
}

# Adds to the tests what a word chooses: the one of that name, else those of the
# group that the list has, else all with that last part. .sh may be left out.
choose() {
	local word=${1%.sh} name chosen=() group=() last=()

	for name in "${every[@]}"; do
		case ${name%.sh} in
		"$word") chosen=("$name") ;;
		"${word%/}"/*) [[ " ${listed[*]} " != *" $name "* ]] || group+=("$name") ;;
		*/"$word") last+=("$name") ;;
		esac
	done
	[[ ${#chosen[@]} -gt 0 ]] || chosen=("${group[@]}")
	[[ ${#chosen[@]} -gt 0 ]] || chosen=("${last[@]}")
	[[ ${#chosen[@]} -gt 0 ]] || die "TESTS: there is no test $1, and no group" \
		"with tests to run here: see make tests-list${DEBUG:+ DEBUG=$DEBUG}"
	tests+=("${chosen[@]}")
}

mapfile -t listed < <(list)
mapfile -t every < <(list DEBUG=yes FULL=1)
# They may stand on several lines.
read -r -d '' -a words <<<"${TESTS:-}" || true
tests=()
for word in "${words[@]}"; do
	choose "$word"
done
[[ ${#words[@]} -gt 0 ]] || tests=("${listed[@]}")
[[ ${#tests[@]} -gt 0 ]] || die "there are no tests to run"

if [[ -n ${DEBUG:-} ]]; then
	echo "# the debug kernel has no static checks"
elif [[ -e $kernel/root || $(<"$kernel/release") != 6.12.* ]]; then
	echo "# static checks are made with this host's own 6.12"
elif make -s -C "$top_dir" style; then
	passed=$((passed + 1))
	echo "ok - style"
else
	fail style
fi
if [[ -z ${DEBUG:-} ]]; then
	if "$top_dir/selftests/style/staged.sh" "$kernel"; then
		passed=$((passed + 1))
		echo "ok - make install"
	else
		fail "make install"
	fi
fi

servers=''
if [[ " ${tests[*]} " == *' servers/'* ]]; then
	servers=$("$vm_dir/servers.sh")
fi

verdict=$(mktemp)
trap 'rm -f "$verdict"' EXIT
echo "# booting the VM (10 to 30 seconds)"
status=0
"$vm_dir/run.sh" -t $((4 * 3600 * ${SLOWDOWN:-1})) -v "$verdict" "$kernel" "$build/module/zcopy.ko" \
	"ZCOPY_SERVERS=$servers ${vm_dir@Q}/suite.sh ${build@Q}/selftests ${tests[*]@Q}" || status=$?

declare -A ended=()
current=''
while read -r word name counts; do
	case $word in
	begin) current=$name ;;
	end)
		read -r p f s <<<"$counts"
		passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
		ended[$name]=yes current=''
		;;
	esac
done <"$verdict"

if [[ -n $current ]]; then
	fail "$current: the VM ended while it ran"
elif [[ $status -ne 0 ]]; then
	fail "the VM ended with status $status"
fi
for name in "${tests[@]}"; do
	[[ -n ${ended[$name]:-} || $name == "$current" ]] || fail "$name: not run"
done

printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[[ $failed -eq 0 ]]
