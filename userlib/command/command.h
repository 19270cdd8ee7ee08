/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the zcopy command share. */
#ifndef ZCOPY_COMMAND_H
#define ZCOPY_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <zcopy/zcopy.h>

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/* Exit statuses, part of the command's interface. */
enum {
	STATUS_OK = 0,
	STATUS_FAILED = 1,	/* the transfer */
	STATUS_USAGE = 2,
	STATUS_DEVICE = 3,	/* /dev/zcopy is missing or unusable */
};

/*
 * main.c. Messages go through <err.h>, which puts the name of the subcommand in
 * front. The two functions return the exit status.
 */
int usage_hint(void);
int device_error(int error);

/* send.c, recv.c, cp.c, warm.c, stat.c: the subcommands; argv[0] is the name */
int command_send(int argc, char **argv);
int command_recv(int argc, char **argv);
int command_cp(int argc, char **argv);
int command_warm(int argc, char **argv);
int command_stat(int argc, char **argv);

/* number.c */
bool parse_size(const char *text, __u64 *value);
bool parse_count(const char *text, __u64 *value);
double now(void);
void print_figures(const char *method, __u64 bytes, double seconds,
		   __u64 calls);

/*
 * peer.c. The calls that return a descriptor print why, if they fail and
 * return -1.
 */
struct address {
	char *host;	/* in the text given to parse_address() */
	char *port;
};

bool parse_address(char *text, struct address *address);
int peer_connect(const struct address *address);
int peer_listen(const char *host, const char *port, unsigned int *bound);
int peer_accept(int listener);
int peer_finish(int socket);

/* progress.c: a line on stderr that says how far a transfer is */
struct progress {
	bool shown;
	__u64 total;		/* bytes; 0 if not known */
	double start;
	double drawn;		/* when, last */
};

void progress_start(struct progress *progress, bool wanted, __u64 total);
void progress_update(struct progress *progress, __u64 bytes);
void progress_finish(struct progress *progress, __u64 bytes);

/* source.c: the file that is sent or copied */
struct source {
	const char *name;
	int file;
	struct stat start;	/* as it was when it was opened */
	bool only_read;		/* what it holds is known to read(2) alone */
	__u64 position;		/* next byte, if it has no offsets */
};

bool source_open(struct source *source, const char *name);
ssize_t source_read(struct source *source, void *buffer, size_t size,
		    __u64 offset);
bool source_has(const struct source *source, __u64 offset);
bool source_lies(const struct source *source, __u64 size);
bool source_was_cut(const struct source *source, __u64 end, __u64 promised);

/* method.c: the ways to send */
#define TO_END	UINT64_MAX	/* value of sender.left: whatever the file has */

struct sender {
	/* set by the caller of a method, moved on by it after each step */
	const char *header;	/* what is left of it */
	size_t header_left;
	__u64 offset;	/* next byte of the file to send */
	__u64 left;		/* bytes of the file to send, or TO_END */

	/* constant while a method runs */
	int socket;
	struct source *source;
	struct zcopy *zcopy;	/* of method zcopy */
	__u32 flags;		/* ditto: of each transfer, ZCOPY_* */
	__u64 slice;		/* bytes of the file to send in one step, at most */

	/* the method's own */
	char *buffer;		/* of method rw */
	__u64 read;		/* ditto: bytes of the file that it sent */
	__u64 calls;		/* system calls on the way of the data */
};

enum side {
	SIDE_NONE,	/* none of these */
	SIDE_HEADER,
	SIDE_FILE,
	SIDE_PEER,
	SIDE_UNKNOWN,	/* the method does not tell */
};

/* What one step of a method did. */
struct step {
	__u64 bytes;		/* sent, of header and file together */
	int error;		/* 0, or the errno that stopped it */
	enum side side;		/* that the error is of */
	bool refused;		/* nothing was tried */
	bool unable;		/* the method cannot send such a file */
	bool file_ended;
};

struct method {
	const char *name;
	void (*step)(struct sender *sender, struct step *step);
};

const struct method *find_method(const char *name);

#endif /* ZCOPY_COMMAND_H */
