#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# nginx: https, with what OpenSSL makes of kernel TLS. By reference is here: up to
# TLS, which writes what it encrypts to pages of its own.

# shellcheck source=selftests/lib/server.sh
source "$(dirname "$0")/../lib/server.sh"

# TLS of version $1 comes from the kernel, which nginx's OpenSSL asked for it.
kernel_tls() {
	local before

	before=$(tls_sockets)
	get "$wire" --fail "--tlsv$1" --tls-max "$1" "$(url "$wire" 262145)" |
		cmp - "$files/262145" && (($(tls_sockets) > before))
}

tls_sockets() {
	"${left[@]}" sed -n 's/^TlsTxSw[[:space:]]*//p' /proc/net/tls_stat
}

modprobe tls
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
	-keyout "$ZCOPY_FOLDER/key.pem" -out "$ZCOPY_FOLDER/certificate.pem" \
	-subj /CN=server -addext "subjectAltName=IP:$wire,IP:$loopback" \
	2>"$ZCOPY_FOLDER/log"
scheme=https
options+=(--cacert "$ZCOPY_FOLDER/certificate.pem")
start nginx -p "$ZCOPY_FOLDER" -e stderr -c "$ZCOPY_FOLDER/nginx_tls.conf"
check "TLS 1.2 of the kernel" kernel_tls 1.2
check "TLS 1.3 of the kernel" kernel_tls 1.3
usual
usual_of_http
check "ranges" ranges
check "several ranges" multipart
finish TERM 0
