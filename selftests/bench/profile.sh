#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Where the kernel's instructions go: the functions that take most of them, for
# each method of one benchmark. Runs in the measured VM, as only its kernel
# knows where its modules are.
#
#   profile.sh WINDOWS BLOCKS [LINES]
#
# WINDOWS is what the measured server printed, BLOCKS what the counter wrote
# for it. A function's number is for one unit of WINDOWS: a response, 64 KiB.

set -euo pipefail
export LC_ALL=C

windows=$1 blocks=$2 lines=${3:-40}

# Addresses of the kernel have sixteen digits, so they sort as text; a symbol
# comes before a block at the same address.
symbols_and_blocks() {
	awk '$2 ~ /[tTwW]/ { print $1, "-", $3, $4 }' /proc/kallsyms
	awk '$1 == "window" { window = $2; next }
		{ print $1, "=", window, $2 }' "$blocks"
}

# shellcheck disable=SC2016 # the dollars are awk's
count='
	$1 == "window" {
		method[windows++] = $2
		units[$2] += $3
	}
	$2 == "-" {
		name = $3
		owner = $4
	}
	$2 == "=" {
		count[method[$3] " " name owner] += $4
		count[method[$3] " (all)"] += $4
		if (owner)
			count[method[$3] " (all-of)" owner] += $4
	}
	END {
		for (key in count) {
			split(key, part, " ")
			printf "%s %.2f %s\n", part[1],
				count[key] / units[part[1]], part[2]
		}
	}'

# shellcheck disable=SC2016
first_lines='
	$1 != method { method = $1; n = 0; printf "\n%s\n", method }
	n++ <= lines { printf "%12.1f  %s\n", $2, $3 }'

symbols_and_blocks | sort -k 1,2 | awk "$count" "$windows" - |
	sort -k 1,1 -k 2,2nr | awk -v lines="$lines" "$first_lines"
