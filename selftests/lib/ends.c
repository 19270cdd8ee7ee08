// SPDX-License-Identifier: GPL-2.0-only
/* Every kind of descriptor that a program may give to sendfile(). */
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "ends.h"
#include "peer.h"

static struct {
	struct file ext4;
	struct file tmpfs;
	struct file memfd;
	struct file empty;
} files;

void ends_begin(void)
{
	file_make(&files.ext4, EXT4, END_SIZE, 151);
	file_make(&files.tmpfs, TMPFS, END_SIZE, 152);
	file_make(&files.memfd, MEMFD, END_SIZE, 153);
	file_make(&files.empty, EXT4, 0, 154);
}

const char *ends_finish(void)
{
	const char *text = file_intact(&files.ext4);

	if (!*text)
		text = file_intact(&files.tmpfs);
	if (!*text)
		text = file_intact(&files.memfd);
	file_close(&files.ext4);
	file_close(&files.tmpfs);
	file_close(&files.memfd);
	file_close(&files.empty);
	return text;
}

/* One that no test has open. */
#define CLOSED	4000

static int must(int fd)
{
	if (fd < 0)
		die("make a descriptor");
	return fd;
}

static int reopen(int fd, int flags)
{
	return must(open_again(fd, flags));
}

/* What is sent from; the far end is where it was put in, if anywhere. */
static void in_ext4(struct end *end)
{
	end->fd = reopen(files.ext4.rw, O_RDONLY);
}

static void in_read_write(struct end *end)
{
	end->fd = reopen(files.ext4.rw, O_RDWR | O_APPEND | O_NONBLOCK);
}

static void in_tmpfs(struct end *end)
{
	end->fd = reopen(files.tmpfs.rw, O_RDONLY);
}

static void in_memfd(struct end *end)
{
	end->fd = reopen(files.memfd.rw, O_RDONLY);
}

static void in_empty(struct end *end)
{
	end->fd = reopen(files.empty.rw, O_RDONLY);
}

static void in_direct(struct end *end)
{
	end->fd = reopen(files.ext4.rw, O_RDONLY | O_DIRECT);
}

static void in_write_only(struct end *end)
{
	end->fd = reopen(files.ext4.rw, O_WRONLY);
}

static void in_path(struct end *end)
{
	end->fd = reopen(files.ext4.rw, O_PATH);
}

static void in_overlay(struct end *end)
{
	end->fd = must(open("/bin/sh", O_RDONLY | O_CLOEXEC));
}

static void in_proc(struct end *end)
{
	end->fd = must(open("/proc/filesystems", O_RDONLY | O_CLOEXEC));
}

static void in_sys(struct end *end)
{
	end->fd = must(open("/sys/kernel/fscaps", O_RDONLY | O_CLOEXEC));
}

static void in_zero(struct end *end)
{
	end->fd = must(open("/dev/zero", O_RDONLY | O_CLOEXEC));
}

static void in_pipe(struct end *end)
{
	int ends[2];

	must(pipe2(ends, O_CLOEXEC));
	if (write(ends[1], memory(0, END_BYTES), END_BYTES) != END_BYTES)
		die("fill a pipe");
	end->fd = ends[0];
	end->far = ends[1];
}

static void in_socket(struct end *end)
{
	struct pair pair;

	pair_open(&pair, UNIX, 0);
	if (send(pair.tx, memory(0, END_BYTES), END_BYTES, 0) != END_BYTES)
		die("fill a socket");
	end->fd = pair.rx;
	end->far = pair.tx;
}

/* Either side. */
static void any_directory(struct end *end)
{
	end->fd = must(open(directory(EXT4), O_RDONLY | O_CLOEXEC));
}

static void any_eventfd(struct end *end)
{
	end->fd = must(eventfd(1, EFD_CLOEXEC));
}

static void any_epoll(struct end *end)
{
	end->fd = must(epoll_create1(EPOLL_CLOEXEC));
}

static void any_null(struct end *end)
{
	end->fd = must(open("/dev/null", O_RDWR | O_CLOEXEC));
}

static void any_closed(struct end *end)
{
	end->fd = CLOSED;
}

static void any_negative(struct end *end)
{
	end->fd = -2;
}

/* What is sent to. */
static void connect_to(struct end *end, enum transport transport)
{
	struct pair pair;

	pair_open(&pair, transport, MIB);
	end->fd = pair.tx;
	end->far = pair.rx;
}

static void out_tcp4(struct end *end)
{
	connect_to(end, TCP4);
}

static void out_tcp6(struct end *end)
{
	connect_to(end, TCP6);
}

static void out_wire4(struct end *end)
{
	connect_to(end, WIRE4);
}

static void out_unix(struct end *end)
{
	connect_to(end, UNIX);
}

static void out_mptcp(struct end *end)
{
	connect_to(end, MPTCP);
}

static void out_vsock(struct end *end)
{
	connect_to(end, VSOCK);
}

static void out_tls(struct end *end)
{
	connect_to(end, TLS);
}

static void out_tcp_append(struct end *end)
{
	connect_to(end, TCP4);
	must(fcntl(end->fd, F_SETFL, O_APPEND));
}

static void out_tcp_shut(struct end *end)
{
	connect_to(end, TCP4);
	must(shutdown(end->fd, SHUT_WR));
}

static void out_mptcp_shut(struct end *end)
{
	connect_to(end, MPTCP);
	must(shutdown(end->fd, SHUT_WR));
}

static void out_vsock_shut(struct end *end)
{
	connect_to(end, VSOCK);
	must(shutdown(end->fd, SHUT_WR));
}

/* The peer has gone, and left unread what there was. */
static void out_tcp_reset(struct end *end)
{
	connect_to(end, TCP4);
	must(send(end->fd, "x", 1, 0));
	if (!await(end->far, POLLIN))
		die("nothing comes");
	close(end->far);
	end->far = -1;
	if (!await(end->fd, POLLHUP))
		die("no reset comes");
}

static void out_unix_closed(struct end *end)
{
	connect_to(end, UNIX);
	close(end->far);
	end->far = -1;
}

static void out_unix_reset(struct end *end)
{
	connect_to(end, UNIX);
	must(send(end->fd, "x", 1, 0));
	close(end->far);
	end->far = -1;
}

static void out_unix_full(struct end *end)
{
	connect_to(end, UNIX);
	set_nonblocking(end->fd);
	while (send(end->fd, memory(0, KIB), KIB, 0) > 0)
		;
}

static void out_tcp_unconnected(struct end *end)
{
	end->fd = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static void out_tcp_listening(struct end *end)
{
	out_tcp_unconnected(end);
	must(listen(end->fd, 1));
}

static void out_unix_unconnected(struct end *end)
{
	end->fd = must(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static void out_udp(struct end *end)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t length = sizeof(address);

	end->fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	end->far = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	must(bind(end->far, (void *)&address, length));
	must(getsockname(end->far, (void *)&address, &length));
	must(connect(end->fd, (void *)&address, length));
}

static void socket_pair(struct end *end, int type)
{
	int ends[2];

	must(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends));
	end->fd = ends[0];
	end->far = ends[1];
}

static void out_unix_datagram(struct end *end)
{
	socket_pair(end, SOCK_DGRAM);
}

static void out_unix_seqpacket(struct end *end)
{
	socket_pair(end, SOCK_SEQPACKET);
}

static void out_pipe(struct end *end)
{
	int ends[2];

	must(pipe2(ends, O_CLOEXEC));
	end->fd = ends[1];
	end->far = ends[0];
}

static void out_pipe_full(struct end *end)
{
	out_pipe(end);
	set_nonblocking(end->fd);
	while (write(end->fd, memory(0, PAGE), PAGE) > 0)
		;
}

static void out_pipe_broken(struct end *end)
{
	out_pipe(end);
	close(end->far);
	end->far = -1;
}

static void out_pipe_read_end(struct end *end)
{
	int fd;

	out_pipe(end);
	fd = end->fd;
	end->fd = end->far;
	end->far = -1;
	close(fd);
}

static void out_new_file(struct end *end, enum filesystem filesystem, int flags)
{
	struct file file;

	file_make(&file, filesystem, 300, 155);
	end->fd = reopen(file.rw, flags);
	end->far = file.fd;
	close(file.rw);
}

static void out_ext4(struct end *end)
{
	out_new_file(end, EXT4, O_RDWR);
}

static void out_xfs(struct end *end)
{
	out_new_file(end, XFS, O_WRONLY);
}

static void out_memfd(struct end *end)
{
	out_new_file(end, MEMFD, O_RDWR);
}

static void out_file_append(struct end *end)
{
	out_new_file(end, EXT4, O_RDWR | O_APPEND);
}

static void out_read_only(struct end *end)
{
	out_new_file(end, EXT4, O_RDONLY);
}

static void out_path(struct end *end)
{
	out_new_file(end, EXT4, O_PATH);
}

static void out_full(struct end *end)
{
	end->fd = must(open("/dev/full", O_RDWR | O_CLOEXEC));
}

#define SERVED(name, make)	{ name, make, true, false }
#define OTHER(name, make)	{ name, make, false, false }

const struct kind preload_ins[] = {
	{ "ext4", in_ext4, true, true },
	SERVED("ext4, O_RDWR and more", in_read_write),
	SERVED("tmpfs", in_tmpfs),
	SERVED("memfd", in_memfd),
	{ "empty", in_empty, true, true },
	OTHER("O_DIRECT", in_direct),
	OTHER("O_WRONLY", in_write_only),
	OTHER("O_PATH", in_path),
	SERVED("overlay", in_overlay),
	{ "/proc", in_proc, true, true },
	OTHER("/sys", in_sys),
	OTHER("/dev/zero", in_zero),
	OTHER("pipe", in_pipe),
	OTHER("socket", in_socket),
	OTHER("directory", any_directory),
	OTHER("eventfd", any_eventfd),
	OTHER("epoll", any_epoll),
	OTHER("/dev/null", any_null),
	OTHER("closed", any_closed),
	OTHER("negative", any_negative),
	{}
};

const struct kind preload_outs[] = {
	{ "tcp4", out_tcp4, true, true },
	SERVED("tcp6", out_tcp6),
	SERVED("wire4", out_wire4),
	SERVED("unix", out_unix),
	SERVED("mptcp", out_mptcp),
	SERVED("vsock", out_vsock),
	SERVED("tls", out_tls),
	OTHER("tcp, O_APPEND", out_tcp_append),
	OTHER("tcp, shut down", out_tcp_shut),
	OTHER("mptcp, shut down", out_mptcp_shut),
	OTHER("vsock, shut down", out_vsock_shut),
	OTHER("tcp, reset", out_tcp_reset),
	OTHER("unix, closed", out_unix_closed),
	OTHER("unix, reset", out_unix_reset),
	OTHER("unix, full", out_unix_full),
	OTHER("tcp, not connected", out_tcp_unconnected),
	OTHER("tcp, listening", out_tcp_listening),
	OTHER("unix, not connected", out_unix_unconnected),
	OTHER("udp", out_udp),
	OTHER("unix datagram", out_unix_datagram),
	OTHER("unix seqpacket", out_unix_seqpacket),
	{ "pipe", out_pipe, false, true },
	OTHER("pipe, full", out_pipe_full),
	OTHER("pipe, broken", out_pipe_broken),
	OTHER("pipe's read end", out_pipe_read_end),
	{ "ext4", out_ext4, true, true },
	SERVED("xfs", out_xfs),
	SERVED("memfd", out_memfd),
	OTHER("file, O_APPEND", out_file_append),
	OTHER("file, O_RDONLY", out_read_only),
	OTHER("file, O_PATH", out_path),
	OTHER("/dev/full", out_full),
	OTHER("directory", any_directory),
	OTHER("eventfd", any_eventfd),
	OTHER("epoll", any_epoll),
	OTHER("/dev/null", any_null),
	OTHER("closed", any_closed),
	OTHER("negative", any_negative),
	{}
};

const struct kind *kind_named(const struct kind *kinds, const char *name)
{
	for (; kinds->name; kinds++)
		if (!strcmp(kinds->name, name))
			return kinds;
	die("no kind of descriptor is called %s", name);
}
