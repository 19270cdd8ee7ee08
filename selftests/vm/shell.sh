#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The interactive shell of "make vm".

cat <<'TEXT'
This is a shell in the VM; leave it with exit, or end the VM with Ctrl-A X.
Files: the host's, read-only below; what is written here is gone afterwards.
Disks: $ZCOPY_TESTDIR_EXT4, $ZCOPY_TESTDIR_XFS, $ZCOPY_TESTDIR_TMPFS.
Network: namespaces left (10.9.0.1, fd09::1) and right (10.9.0.2, fd09::2), a
wire between them: ip netns exec left zcopy send FILE 10.9.0.2:PORT
TEXT
# A login shell would forget where the zcopy command is.
exec bash
