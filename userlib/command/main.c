// SPDX-License-Identifier: GPL-2.0-only
/* zcopy: send, receive, copy and load files, and look at the module. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "command.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "send", command_send },
	{ "recv", command_recv },
	{ "cp", command_cp },
	{ "warm", command_warm },
	{ "stat", command_stat },
};

static const char help[] =
	"Usage: zcopy send [OPTION]... FILE HOST:PORT\n"
	"       zcopy recv [OPTION]... PORT\n"
	"       zcopy cp [OPTION]... SOURCE TARGET\n"
	"       zcopy warm [OPTION]... FILE...\n"
	"       zcopy stat [--raw]\n"
	"       zcopy --help | --version\n"
	"\n"
	"  send   send a file to a stream socket through " ZCOPY_DEVICE "\n"
	"  recv   accept one connection and store what comes\n"
	"  cp     copy a file\n"
	"  warm   bring files into memory\n"
	"  stat   show the module's version, limits and counters\n"
	"\n"
	"'zcopy COMMAND --help' lists the options of a command.\n"
	"\n"
	"Exit status: 0 done, 1 transfer failed, 2 wrong usage,\n"
	"3 " ZCOPY_DEVICE " is missing or unusable.\n";

int usage_hint(void)
{
	fprintf(stderr, "Try '%s --help'.\n", program_invocation_short_name);
	return STATUS_USAGE;
}

int device_error(int error)
{
	bool absent = error == ENOENT || error == ENXIO || error == ENODEV;

	warnx("%s: %s%s", ZCOPY_DEVICE, strerror(error),
	      absent ? " (is the module loaded? try: modprobe zcopy)" : "");
	return STATUS_DEVICE;
}

/* What was printed has arrived, or the exit status says so. */
static int flush_output(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	warn("standard output");
	return status ? status : STATUS_FAILED;
}

int main(int argc, char **argv)
{
	static char name[32];
	size_t i;
	int fd;

	program_invocation_short_name = "zcopy";
	/* No file that is opened is taken for standard output. Writing fails there. */
	do {
		fd = open("/dev/null", O_RDONLY);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
	/* A peer that hangs up and a file's limit are errors like the others. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);

	if (argc < 2) {
		warnx("no command given");
		return usage_hint();
	}
	if (!strcmp(argv[1], "--help")) {
		fputs(help, stdout);
		return flush_output(STATUS_OK);
	}
	if (!strcmp(argv[1], "--version")) {
		puts("zcopy " LIBZCOPY_VERSION);
		return flush_output(STATUS_OK);
	}
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(argv[1], commands[i].name))
			continue;
		snprintf(name, sizeof(name), "zcopy %s", argv[1]);
		program_invocation_short_name = name;
		argv[1] = name;
		return flush_output(commands[i].run(argc - 1, argv + 1));
	}
	warnx("unknown command '%s'", argv[1]);
	return usage_hint();
}
