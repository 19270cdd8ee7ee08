// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ways to send: through the module, with sendfile(2), and with read and
 * write. A method makes one step at a time, as long as sender.slice allows;
 * it reads where the sender stands and reports what it did.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>
#include "command.h"

#define SENDFILE_MAX	0x7ffff000	/* what one sendfile(2) sends at most */
#define BUFFER_SIZE	(128 << 10)

static __u64 smaller(__u64 a, __u64 b)
{
	return a < b ? a : b;
}

static void fail(struct step *step, enum side side)
{
	step->error = errno;
	step->side = side;
}

/* Which side a transfer is refused for. */
static enum side refused_side(int error, __u32 flags)
{
	switch (error) {
	case EMSGSIZE:
		return SIDE_HEADER;
	case ESPIPE:
	case EOPNOTSUPP:
	case EOVERFLOW:
	case EACCES:
	case EPERM:
	case ENOLCK:
		return SIDE_FILE;
	case EAGAIN:
		return flags & ZCOPY_LEASE ? SIDE_FILE : SIDE_NONE;
	case ENOTCONN:
	case EPROTONOSUPPORT:
		return SIDE_PEER;
	default:
		return SIDE_NONE;
	}
}

/* May the peer get bytes of two versions of the file? */
static bool is_torn(const struct zcopy_completion *completion)
{
	return completion->flags & ZCOPY_C_LEASE_BROKEN &&
	       !(completion->flags & ZCOPY_C_RELEASED);
}

/* The file has no splice_read, or no offsets. */
static bool is_unable(const struct step *step)
{
	return step->side == SIDE_FILE &&
	       (step->error == EOPNOTSUPP || step->error == ESPIPE);
}

/* The header, if there is one, and the file in the same call. */
static void step_zcopy(struct sender *sender, struct step *step)
{
	__u64 length = smaller(sender->left, sender->slice);
	bool last = sender->left == length || sender->left == TO_END;
	struct zcopy_completion completion;
	struct zcopy_segment segments[2];
	struct zcopy_transfer transfer;
	unsigned int count = 0;
	int error;

	if (sender->header_left)
		zcopy_segment_memory(&segments[count++], sender->header,
				     sender->header_left);
	if (sender->left)
		zcopy_segment_file(&segments[count++], sender->source->file,
				   sender->offset,
				   sender->left == TO_END ? 0 : length);
	zcopy_transfer_init(&transfer, sender->socket, segments, count);
	transfer.flags = sender->flags | (last ? 0 : ZCOPY_MORE);
	/* Nothing that comes behind is taken for the rest of the file. */
	if (sender->left != TO_END)
		transfer.flags |= ZCOPY_EXACT;

	sender->calls++;
	error = zcopy_send(sender->zcopy, &transfer, &completion);
	if (error) {
		step->error = -error;
		step->side = refused_side(-error, sender->flags);
		step->refused = true;
		step->unable = is_unable(step);
		return;
	}
	step->bytes = completion.bytes;
	step->error = -completion.error;
	/* That is told as by the other methods. */
	if (step->error == ENODATA && completion.flags & ZCOPY_C_TRUNCATED) {
		step->error = 0;
		completion.flags &= ~ZCOPY_C_FILE_ERROR;
	}
	if (!step->error && is_torn(&completion))
		step->error = ESTALE;
	if (completion.flags & ZCOPY_C_FILE_ERROR || step->error == ESTALE)
		step->side = SIDE_FILE;
	else if (completion.flags & ZCOPY_C_SOCKET_ERROR)
		step->side = SIDE_PEER;
	step->unable = is_unable(step);
	step->file_ended = completion.flags & ZCOPY_C_TRUNCATED ||
			   (sender->left == TO_END && !step->error);
}

/* Returns whether there was one to send. */
static bool step_header(struct sender *sender, struct step *step)
{
	ssize_t sent;

	if (!sender->header_left)
		return false;
	sender->calls++;
	sent = send(sender->socket, sender->header, sender->header_left,
		    sender->left ? MSG_MORE : 0);
	if (sent < 0)
		fail(step, SIDE_PEER);
	else
		step->bytes = sent;
	return true;
}

static void step_sendfile(struct sender *sender, struct step *step)
{
	off_t offset = sender->offset;
	ssize_t sent;

	if (step_header(sender, step))
		return;
	sender->calls++;
	sent = sendfile(sender->socket, sender->source->file, &offset,
			smaller(smaller(sender->left, sender->slice), SENDFILE_MAX));
	if (sent < 0)
		fail(step, SIDE_UNKNOWN);
	else
		step->bytes = sent;
	/* Whatever else this error means, read(2) will tell. */
	step->unable = step->error == EINVAL || step->error == ESPIPE;
	step->file_ended = !sent;
}

static void step_rw(struct sender *sender, struct step *step)
{
	ssize_t length, sent;

	if (step_header(sender, step))
		return;
	if (!sender->buffer) {
		sender->buffer = malloc(BUFFER_SIZE);
		if (!sender->buffer) {
			fail(step, SIDE_NONE);
			return;
		}
	}
	sender->calls++;
	length = source_read(sender->source, sender->buffer,
			     smaller(sender->left, BUFFER_SIZE),
			     sender->offset);
	if (length < 0)
		fail(step, SIDE_FILE);
	step->file_ended = !length;

	/* All of it: what has no offsets cannot be read again. */
	while (length > 0 && !step->error) {
		sender->calls++;
		sent = write(sender->socket, sender->buffer + step->bytes, length);
		if (sent < 0) {
			if (errno != EINTR)
				fail(step, SIDE_PEER);
			continue;
		}
		step->bytes += sent;
		length -= sent;
	}
	sender->read += step->bytes;
}

static const struct method methods[] = {
	{ "zcopy", step_zcopy },
	{ "sendfile", step_sendfile },
	{ "rw", step_rw },
};

const struct method *find_method(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(methods); i++)
		if (!strcmp(name, methods[i].name))
			return &methods[i];
	return NULL;
}
