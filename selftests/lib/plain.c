// SPDX-License-Identifier: GPL-2.0-only
/* Who sends without the device. */
#include <sys/socket.h>

#include "plain.h"

static void *send_plain(void *argument)
{
	struct plain *plain = argument;

	__atomic_store_n(&plain->tid, gettid(), __ATOMIC_RELEASE);
	plain->sent = send(plain->socket, plain->bytes, plain->len, MSG_NOSIGNAL);
	return NULL;
}

void plain_start(struct plain *plain, int socket, const char *bytes, size_t len)
{
	*plain = (struct plain){ .socket = socket, .bytes = bytes, .len = len };
	errno = pthread_create(&plain->thread, NULL, send_plain, plain);
	if (errno)
		die("make a thread");
}

bool plain_blocked(struct plain *plain)
{
	uint64_t since = 0;
	pid_t tid;

	while (!(tid = __atomic_load_n(&plain->tid, __ATOMIC_ACQUIRE)))
		if (!patience(&since))
			return false;
	return await_sleep(tid);
}

void plain_finish(struct plain *plain)
{
	pthread_join(plain->thread, NULL);
}
