-- SPDX-License-Identifier: GPL-2.0-only
--
-- For wrk: compares each answer with the file named as its argument, and says
-- how many were right and how many were not.

local threads = {}

function setup(thread)
	table.insert(threads, thread)
end

function init(arguments)
	wanted = io.open(arguments[1], "rb"):read("*a")
	right = 0
	wrong = 0
end

function response(status, _, body)
	if status == 200 and body == wanted then
		right = right + 1
	else
		wrong = wrong + 1
	end
end

function done(summary)
	local errors = summary.errors
	local sum = { right = 0, wrong = 0 }

	for _, thread in ipairs(threads) do
		sum.right = sum.right + thread:get("right")
		sum.wrong = sum.wrong + thread:get("wrong")
	end
	io.write(string.format("right=%d wrong=%d failed=%d\n", sum.right,
		sum.wrong, errors.connect + errors.read + errors.write +
		errors.timeout))
end
