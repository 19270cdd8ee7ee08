// SPDX-License-Identifier: GPL-2.0-only
/* Connected sockets, and receivers that compare what arrives. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/tls.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include "peer.h"

static const struct endpoint {
	int family;
	int protocol;
	const char *address;
	const char *sender;	/* network namespaces, NULL for this one */
	const char *receiver;
	int tls_version;	/* 0: not under kernel TLS */
	int tls_cipher;
	int receives_as;	/* the receiver's protocol, if another */
} endpoints[] = {
	[TCP4] = { AF_INET, IPPROTO_TCP, "127.0.0.1" },
	[TCP6] = { AF_INET6, IPPROTO_TCP, "::1" },
	[WIRE4] = { AF_INET, IPPROTO_TCP, "10.9.0.2", "left", "right" },
	[WIRE6] = { AF_INET6, IPPROTO_TCP, "fd09::2", "left", "right" },
	[MPTCP] = { AF_INET, IPPROTO_MPTCP, "127.0.0.1" },
	[MPTCP6] = { AF_INET6, IPPROTO_MPTCP, "::1" },
	[MPTCP_WIRE] = { AF_INET, IPPROTO_MPTCP, "10.9.0.2", "left", "right" },
	[MPTCP_TO_TCP] = { AF_INET, IPPROTO_MPTCP, "127.0.0.1",
			   .receives_as = IPPROTO_TCP },
	[TCP_TO_MPTCP] = { AF_INET, IPPROTO_TCP, "127.0.0.1",
			   .receives_as = IPPROTO_MPTCP },
	[VSOCK] = { AF_VSOCK, 0 },
	[TLS] = { AF_INET, IPPROTO_TCP, "127.0.0.1", NULL, NULL,
		  TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128 },
	[TLS12_256] = { AF_INET, IPPROTO_TCP, "127.0.0.1", NULL, NULL,
			TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_256 },
	[TLS13_128] = { AF_INET6, IPPROTO_TCP, "::1", NULL, NULL,
			TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128 },
	[TLS13_256] = { AF_INET, IPPROTO_TCP, "127.0.0.1", NULL, NULL,
			TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_256 },
	[TLS_WIRE] = { AF_INET, IPPROTO_TCP, "10.9.0.2", "left", "right",
		       TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_256 },
	[VETH] = { AF_INET, IPPROTO_TCP, "10.10.0.2", "left", "right" },
};

int namespace_enter(const char *name)
{
	int previous = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (previous < 0 || fd < 0 || setns(fd, CLONE_NEWNET))
		die("enter the network namespace %s", name);
	close(fd);
	return previous;
}

void namespace_leave(int previous)
{
	if (setns(previous, CLONE_NEWNET))
		die("return to the network namespace");
	close(previous);
}

/* A socket lives in the namespace it was made in, whoever uses it later. */
static int socket_in(const char *namespace, const struct endpoint *at,
		     int protocol)
{
	int previous = namespace ? namespace_enter(namespace) : -1;
	int fd = socket(at->family, SOCK_STREAM | SOCK_CLOEXEC, protocol);
	int error = errno;

	if (namespace)
		namespace_leave(previous);
	errno = error;
	return fd;
}

static socklen_t address_of(const struct endpoint *at,
			    struct sockaddr_storage *storage)
{
	struct sockaddr_in6 *in6 = (void *)storage;
	struct sockaddr_vm *vm = (void *)storage;
	struct sockaddr_in *in = (void *)storage;

	memset(storage, 0, sizeof(*storage));
	storage->ss_family = at->family;
	switch (at->family) {
	case AF_INET:
		inet_pton(AF_INET, at->address, &in->sin_addr);
		return sizeof(*in);
	case AF_INET6:
		inet_pton(AF_INET6, at->address, &in6->sin6_addr);
		return sizeof(*in6);
	default:
		vm->svm_cid = VMADDR_CID_LOCAL;
		vm->svm_port = VMADDR_PORT_ANY;
		return sizeof(*vm);
	}
}

void set_send_buffer(int fd, int size)
{
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)))
		die("SO_SNDBUF");
}

static void buffers(int fd, int size)
{
	if (!size)
		return;
	set_send_buffer(fd, size);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)))
		die("SO_RCVBUF");
}

int tls_start(int fd, int direction, enum transport transport)
{
	const struct endpoint *at = &endpoints[transport];
	union {
		struct tls12_crypto_info_aes_gcm_128 small;
		struct tls12_crypto_info_aes_gcm_256 large;
	} info = {};
	bool is_large = at->tls_cipher == TLS_CIPHER_AES_GCM_256;
	socklen_t len = is_large ? sizeof(info.large) : sizeof(info.small);

	/* Both structures begin alike. */
	info.small.info.version = at->tls_version;
	info.small.info.cipher_type = at->tls_cipher;
	if (is_large)
		memcpy(info.large.key, "the key of both, twice as long !",
		       sizeof(info.large.key));
	else
		memcpy(info.small.key, "the key of both!",
		       sizeof(info.small.key));
	/* One socket may have both directions. */
	if ((setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) &&
	     errno != EEXIST) ||
	    setsockopt(fd, SOL_TLS, direction, &info, len))
		return -errno;
	return 0;
}

static int connect_pair(struct pair *pair, const struct endpoint *at,
			int buffer)
{
	struct sockaddr_storage address;
	socklen_t len;
	int listener;
	int error;

	listener = socket_in(at->receiver, at,
			     at->receives_as ?: at->protocol);
	if (listener < 0)
		return -errno;
	pair->tx = socket_in(at->sender, at, at->protocol);
	if (pair->tx < 0)
		die("socket");
	buffers(listener, buffer);
	buffers(pair->tx, buffer);
	len = address_of(at, &address);
	if (bind(listener, (void *)&address, len) || listen(listener, 1) ||
	    getsockname(listener, (void *)&address, &len) ||
	    connect(pair->tx, (void *)&address, len)) {
		error = -errno;
		close(pair->tx);
		close(listener);
		return error;
	}
	pair->rx = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (pair->rx < 0)
		die("accept");
	close(listener);
	return 0;
}

int pair_try(struct pair *pair, enum transport transport, int buffer)
{
	const struct endpoint *at = &endpoints[transport];
	int error;

	if (transport == UNIX) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
			       (int *)pair))
			die("socketpair");
		buffers(pair->tx, buffer);
		return 0;
	}
	/* What a closed ring has left to do in this thread interrupts vsock. */
	do
		error = connect_pair(pair, at, buffer);
	while (error == -EINTR);
	if (!error && at->tls_version) {
		error = tls_start(pair->tx, TLS_TX, transport) ?:
			tls_start(pair->rx, TLS_RX, transport);
		if (error)
			pair_close(pair);
	}
	return error;
}

void pair_open(struct pair *pair, enum transport transport, int buffer)
{
	errno = -pair_try(pair, transport, buffer);
	if (errno)
		die("connect the sockets of transport %d", transport);
}

void pair_close(struct pair *pair)
{
	close(pair->tx);
	close(pair->rx);
}

void set_nonblocking(int fd)
{
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK))
		die("set O_NONBLOCK");
}

struct part of_file(const struct file *file, uint64_t offset, uint64_t len)
{
	uint64_t there = offset < file->size ? file->size - offset : 0;

	return (struct part){
		.segment = { .addr = offset, .len = len, .fd = file->fd },
		.want = { file->seed, offset, len && len < there ? len : there },
	};
}

struct part of_memory(uint64_t pos, uint64_t len)
{
	return (struct part){
		.segment = { .addr = (uintptr_t)memory(pos, len), .len = len,
			     .fd = ZCOPY_MEMORY },
		.want = { MEMORY, pos, len },
	};
}

uint64_t parts_total(const struct part *parts, size_t nr)
{
	uint64_t total = 0;

	while (nr--)
		total += parts[nr].want.len;
	return total;
}

size_t parts_skip(struct part *parts, size_t nr, uint64_t done)
{
	size_t gone = 0;

	while (gone < nr && done >= parts[gone].want.len)
		done -= parts[gone++].want.len;
	if (gone == nr)
		return 0;
	memmove(parts, parts + gone, (nr - gone) * sizeof(*parts));
	parts->segment.addr += done;
	if (parts->segment.len)
		parts->segment.len -= done;
	parts->want.pos += done;
	parts->want.len -= done;
	return nr - gone;
}

void cursor_compare(struct cursor *cursor, const char *seen, size_t len)
{
	char good[4096];

	while (len && !cursor->wrong) {
		const struct stretch *want = &cursor->parts[cursor->at].want;
		size_t n = len < sizeof(good) ? len : sizeof(good);
		size_t i = 0;

		if (cursor->at == cursor->nr) {
			cursor->wrong = cursor->got + 1;
			break;
		}
		if (n > want->len - cursor->within)
			n = want->len - cursor->within;
		pattern(good, n, want->seed, want->pos + cursor->within);
		if (memcmp(good, seen, n)) {
			while (good[i] == seen[i])
				i++;
			cursor->wrong = cursor->got + i + 1;
		}
		seen += n;
		len -= n;
		cursor->got += n;
		cursor->within += n;
		if (cursor->within == want->len) {
			cursor->within = 0;
			cursor->at++;
		}
	}
	cursor->got += len;
}

ssize_t cursor_read(struct cursor *cursor, int fd, size_t max)
{
	static _Thread_local char seen[64 * KIB];
	const struct stretch *want;
	ssize_t n;

	/* Nothing will come for an empty part. */
	while (cursor->at < cursor->nr && !cursor->parts[cursor->at].want.len)
		cursor->at++;
	want = &cursor->parts[cursor->at].want;
	if (cursor->at < cursor->nr && want->seed == UNCHECKED) {
		if (max > want->len - cursor->within)
			max = want->len - cursor->within;
		n = recv(fd, NULL, max, MSG_TRUNC);
		if (n <= 0)
			return n ? -errno : 0;
		cursor->got += n;
		cursor->within += n;
		if (cursor->within == want->len) {
			cursor->within = 0;
			cursor->at++;
		}
		return n;
	}
	/* A stretch that is not checked begins with a read of its own. */
	if (cursor->at + 1 < cursor->nr && want[0].seed != UNCHECKED &&
	    cursor->parts[cursor->at + 1].want.seed == UNCHECKED &&
	    max > want->len - cursor->within)
		max = want->len - cursor->within;
	if (max > sizeof(seen))
		max = sizeof(seen);
	n = read(fd, seen, max);
	if (n < 0) {
		cursor->error = errno;
		return -errno;
	}
	cursor_compare(cursor, seen, n);
	return n;
}

bool cursor_take(struct cursor *cursor, int fd, uint64_t len)
{
	uint64_t end = cursor->got + len;

	while (cursor->got < end) {
		if (!await(fd, POLLIN) ||
		    cursor_read(cursor, fd, end - cursor->got) <= 0)
			return false;
	}
	return true;
}

const char *cursor_verdict(const struct cursor *cursor, uint64_t len)
{
	static char text[128];

	if (cursor->wrong)
		snprintf(text, sizeof(text), "wrong byte at %llu",
			 (unsigned long long)cursor->wrong - 1);
	else if (cursor->got != len)
		snprintf(text, sizeof(text),
			 "%llu bytes arrived, not %llu (errno %d)",
			 (unsigned long long)cursor->got,
			 (unsigned long long)len, cursor->error);
	else
		return "";
	return text;
}

static void *read_all(void *argument)
{
	struct reader *reader = argument;

	while (cursor_read(&reader->cursor, reader->fd, SIZE_MAX >> 1) > 0)
		;
	return NULL;
}

void reader_start(struct reader *reader, int fd, const struct part *parts,
		  size_t nr)
{
	const struct cursor begin = { .parts = parts, .nr = nr };

	reader_continue(reader, fd, &begin);
}

void reader_continue(struct reader *reader, int fd, const struct cursor *from)
{
	reader->fd = fd;
	reader->cursor = *from;
	errno = pthread_create(&reader->thread, NULL, read_all, reader);
	if (errno)
		die("start a reader");
}

const char *reader_finish(struct reader *reader, uint64_t len)
{
	pthread_join(reader->thread, NULL);
	return cursor_verdict(&reader->cursor, len);
}

bool at_end(int fd)
{
	char byte;

	return await(fd, POLLIN) && recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

void send_descriptor(int socket, int fd)
{
	char control[CMSG_SPACE(sizeof(fd))] = {};
	struct iovec data = { .iov_base = "", .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	if (sendmsg(socket, &message, 0) != 1)
		die("send a descriptor");
}

int receive_descriptor(int socket)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec data = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(socket, &message, 0) != 1 || !CMSG_FIRSTHDR(&message))
		die("receive a descriptor");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}
