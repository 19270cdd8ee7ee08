// SPDX-License-Identifier: GPL-2.0-only
/*
 * The main program of the example in README.md, which check.sh puts above it:
 *
 *	sender FILE PORT
 */
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct zcopy *zcopy;
	int file, target, error;

	if (argc != 3)
		errx(2, "usage: sender FILE PORT");
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons(atoi(argv[2]));
	file = open(argv[1], O_RDONLY);
	target = socket(AF_INET, SOCK_STREAM, 0);
	if (file < 0 || connect(target, (struct sockaddr *)&address, sizeof(address)))
		err(1, "%s to port %s", argv[1], argv[2]);
	error = zcopy_open(&zcopy);
	if (error)
		errx(1, "zcopy_open: %s", strerror(-error));
	error = send_response(zcopy, target, file, "HTTP/1.0 200 OK\r\n\r\n");
	if (error)
		errx(1, "send_response: %s", strerror(-error));
	zcopy_close(zcopy);
	return 0;
}
