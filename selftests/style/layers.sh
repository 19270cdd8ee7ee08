#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Usage: layers.sh DOCUMENT FOLDER
#
# Holds the module to the layers that stand in the DOCUMENT's section "Layers".
# Who uses whom is read from the symbols of the object files in FOLDER. Fails on
# an arrow to the same layer or upwards, hence on each circle, and on a file
# that the document does not know or knows twice.
set -euo pipefail

document=$1 folder=$2

# A line "layer NUMBER NAME" for each name in the section's block.
layers() {
	awk '
		$0 == "Layers" { section = 1 }
		section && !block && /::$/ { block = 1; next }
		block && /^[^ \t]/ { exit }
		block && NF { n++; for (i = 1; i <= NF; i++) print "layer", n, $i }
	' "$document"
}

# A line "has NAME SYMBOL" or "uses NAME SYMBOL" for each global symbol.
symbols() {
	local object name

	for object in "$folder"/*.o; do
		name=${object##*/}
		name=${name%.o}
		[[ $name == *.mod ]] && continue
		# The module's own object has them all.
		[[ -e ${object%.o}.ko ]] && continue
		nm -P -g "$object" |
			awk -v name="$name" '{ print $2 == "U" ? "uses" : "has", name, $1 }'
	done
}

{
	layers
	symbols
} | awk -v document="$document" '
	function complain(text) {
		print document ": " text >"/dev/stderr"
		failed = 1
	}

	$1 == "layer" {
		if ($3 in layer)
			complain($3 " stands in two places")
		layer[$3] = $2
	}
	$1 == "has" { owner[$3] = $2; seen[$2] = 1 }
	$1 == "uses" { use[++nr] = $2 " " $3; seen[$2] = 1 }

	END {
		for (name in seen)
			if (!(name in layer))
				complain(name ".c stands in no layer")
		for (name in layer)
			if (!(name in seen))
				complain("there is no " name ".c")
		for (i = 1; i <= nr; i++) {
			split(use[i], at, " ")
			if (!(at[2] in owner))
				continue
			arrows++
			if (layer[owner[at[2]]] <= layer[at[1]])
				complain(at[1] ".c uses " at[2] "() of " owner[at[2]] \
					".c, which does not stand below it")
		}
		if (!arrows)
			complain("nobody uses anybody")
		exit failed
	}
'
