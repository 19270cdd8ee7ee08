#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# "make check KERNEL=all": the tests with each kernel that zcopy is tested with, one
# after the other, and a table. The last line is the sum.

# shellcheck source=selftests/vm/packages.sh
source "$(dirname "$0")/packages.sh"

# This host's 6.12, that of the newest suite, and its newest of all.
kernels=(6.12 "6.12/$newest_suite" newest)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
table=() seen=' ' sum=(0 0 0)

# Those of the make above are not meant for these.
unset MAKEFLAGS MFLAGS MAKELEVEL
for KERNEL in "${kernels[@]}"; do
	release=$(choose_kernel; printf '%s' "$release") || {
		table+=("$(printf '%6d %6d %7d  %s' 0 1 0 "$KERNEL (apt does not give it)")")
		sum[1]=$((sum[1] + 1))
		continue
	}
	# A host of the newest suite has its 6.12.
	[[ $seen != *" $release "* ]] || continue
	seen+="$release "
	say "check: kernel $release"
	make --no-print-directory -C "$top_dir" check KERNEL="$KERNEL" | tee "$log" || true
	if [[ $(tail -n 1 "$log") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
		counts=("${BASH_REMATCH[@]:1}")
	else
		counts=(0 1 0)
		release+=' (it ended without a sum)'
	fi
	for i in 0 1 2; do
		sum[i]=$((sum[i] + counts[i]))
	done
	table+=("$(printf '%6d %6d %7d  %s' "${counts[@]}" "$release")")
done

printf '\npassed failed skipped  kernel\n'
printf '%s\n' "${table[@]}" ''
printf '%d passed, %d failed, %d skipped\n' "${sum[@]}"
[[ ${sum[1]} -eq 0 ]]
