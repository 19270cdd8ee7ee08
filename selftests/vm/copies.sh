# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Counts, with the kernel's own tracing, the bytes that the CPU copies on the
# way from a file to a card. It is sourced, in the VM. There are three places:
#
#   out of the page cache: filemap_read() of that file copies what it returns;
#   into the socket: tcp_sendmsg() copies whatever it takes, but for what
#   skb_splice_from_iter() or skb_zerocopy_iter_stream() attached by
#   reference;
#   in the network stack and the driver: skb_copy_bits(), which linearizing,
#   pulling and segmenting come down to, skb_copy_and_csum_bits() and
#   skb_copy_ubufs().
#
# The first two belong to the sending process. The last one happens wherever
# the stack runs, so it is counted for all, by the length of the single copy.

tracing=/sys/kernel/tracing
by_process=(page_cache socket by_reference tracked)
by_length=(copy_bits copy_csum_bits copy_ubufs)
stack_before=0

# Begins to count, for the file $1; the VM's end is the end of it. The number after
# r is how many calls of a function may be under way at once.
copies_begin() {
	local event filter

	cat >$tracing/dynamic_events <<-'PROBES'
		r64:copies/page_cache filemap_read bytes=$retval:s64 inode=iocb->ki_filp->f_inode->i_ino:u64
		r64:copies/socket tcp_sendmsg bytes=$retval:s32
		r64:copies/by_reference skb_splice_from_iter bytes=$retval:s64
		r64:copies/tracked skb_zerocopy_iter_stream bytes=$retval:s32
		p:copies/copy_bits skb_copy_bits bytes=$arg4:s32
		p:copies/copy_csum_bits skb_copy_and_csum_bits bytes=$arg4:s32
		p:copies/copy_ubufs skb_copy_ubufs bytes=skb->data_len:s32
	PROBES
	for event in "${by_process[@]}"; do
		filter='bytes > 0'
		[[ $event != page_cache ]] || filter+=" && inode == $(stat -c %i "$1")"
		echo "hist:keys=common_pid:vals=bytes if $filter" \
			>"$tracing/events/copies/$event/trigger"
	done
	for event in "${by_length[@]}"; do
		echo 'hist:keys=bytes if bytes > 0' \
			>"$tracing/events/copies/$event/trigger"
	done
}

# Prints the sum of process $1 at place $2.
process_bytes() {
	sed 's/[{},:]/ /g' "$tracing/events/copies/$2/hist" |
		awk -v pid="$1" '$1 == "common_pid" && $2 == pid {
			for (i = 3; i < NF; i++)
				if ($i == "bytes")
					sum += $(i + 1)
		}
		END { printf "%d\n", sum }'
}

# Sets copied, the bytes of payload that were copied for sender $1, a process, since
# the sender before. It sent $2 bytes; fails if not all calls were seen.
copies_of() {
	local event stack socket

	stack=$(
		for event in "${by_length[@]}"; do
			sed 's/[{},:]/ /g' "$tracing/events/copies/$event/hist"
		done | awk '$1 == "bytes" && $3 == "hitcount" { sum += $2 * $4 }
			END { printf "%d\n", sum }'
	)
	socket=$(process_bytes "$1" socket)
	# shellcheck disable=SC2034 # who sources this uses it
	copied=$(($(process_bytes "$1" page_cache) + stack - stack_before + socket -
		$(process_bytes "$1" by_reference) - $(process_bytes "$1" tracked)))
	stack_before=$stack
	[[ $socket -eq $2 ]]
}
