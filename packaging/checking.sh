# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the checks of the packages share, here and in the VM. It is sourced, never
# run.

passed=0 failed=0
# What the last command of a check said.
said=$(mktemp)

# Says that the check $1 has this result, and why not.
result() {
	if [[ $2 == 0 ]]; then
		passed=$((passed + 1))
		printf 'ok - %s\n' "$1"
	else
		failed=$((failed + 1))
		printf 'not ok - %s\n' "$1"
		tail -n 30 "$said" | sed 's/^/#   /'
	fi
}

# check NAME COMMAND...: the command succeeds.
check() {
	local name=$1 status=0

	shift
	"$@" >"$said.new" 2>&1 </dev/null || status=$?
	mv "$said.new" "$said"
	result "$name" "$status"
}

# refuses NAME TEXT COMMAND...: the command fails, and says the text.
refuses() {
	local name=$1 text=$2 status=1

	shift 2
	"$@" >"$said" 2>&1 </dev/null || { grep -q -- "$text" "$said" && status=0; }
	result "$name" "$status"
}

is() {
	echo "it is $1, not $2"
	[[ $1 == "$2" ]]
}
