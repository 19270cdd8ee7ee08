#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The tests of "make check": boots the VM with the kernel of folder $1 and what
# was built for it in folder $2, runs the tests named in TESTS (all, if it is
# empty), and adds up what the VM reports on the verdict's channel. The last
# line is the sum; the status says whether all is well.

# shellcheck source=selftests/vm/common.sh
source "$(dirname "$0")/common.sh"

kernel=$1 build=$2
passed=0 failed=0 skipped=0

fail() {
	failed=$((failed + 1))
	printf 'not ok - %s\n' "$*"
}

if [[ -n ${DEBUG:-} ]]; then
	echo "# the debug kernel has no static checks"
elif make -s -C "$top_dir" style; then
	passed=$((passed + 1))
	echo "ok - style"
else
	fail style
fi

read -ra tests <<<"${TESTS:-$(make -s -C "$top_dir/selftests" list | tr '\n' ' ')}"
[[ ${#tests[@]} -gt 0 ]] || die "there are no tests to run"

servers=''
if [[ " ${tests[*]} " == *' servers/'* ]]; then
	servers=$("$vm_dir/servers.sh")
fi

verdict=$(mktemp)
trap 'rm -f "$verdict"' EXIT
echo "# booting the VM (10 to 30 seconds)"
status=0
"$vm_dir/run.sh" -t $((3000 * ${SLOWDOWN:-1})) -v "$verdict" "$kernel" "$build/module/zcopy.ko" \
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
