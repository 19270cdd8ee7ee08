// SPDX-License-Identifier: GPL-2.0-only
/* What a test may have left behind. */
#include <dirent.h>
#include <fcntl.h>

#include "call.h"
#include "watch.h"

static int count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int n = 0;

	if (!directory)
		die("open /proc/self/fd");
	while (readdir(directory))
		n++;
	closedir(directory);
	return n;
}

void watch_begin(struct watch *watch)
{
	watch->kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (watch->kmsg < 0 || lseek(watch->kmsg, 0, SEEK_END) < 0)
		die("open /dev/kmsg");
	watch->descriptors = count_descriptors();
}

/* Others may log; what speaks of zcopy or of a kernel in trouble is ours. */
static const char *kernel_messages(int kmsg)
{
	static const char *const words[] = { "zcopy", "BUG", "WARNING",
					     "Call Trace", "refcount" };
	static char record[8192];
	size_t i;
	ssize_t n;

	for (;;) {
		n = read(kmsg, record, sizeof(record) - 1);
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			return "";
		record[n] = 0;
		for (i = 0; i < sizeof(words) / sizeof(*words); i++)
			if (strstr(record, words[i]))
				return record;
	}
}

const char *watch_end(struct watch *watch)
{
	static char text[256];
	const char *messages = kernel_messages(watch->kmsg);
	int descriptors = count_descriptors();
	struct zcopy_stats stats;
	int device = device_open();
	uint64_t since = 0;

	/* The network may have to let go of pages first. */
	do {
		device_stats(device, ZCOPY_STATS_MODULE, &stats);
	} while ((stats.active || stats.folios_held || stats.reads) &&
		 patience(&since));
	close(device);
	close(watch->kmsg);
	if (stats.active || stats.folios_held || stats.reads)
		snprintf(text, sizeof(text),
			 "%llu transfers, %llu folios, %llu reads left",
			 (unsigned long long)stats.active,
			 (unsigned long long)stats.folios_held,
			 (unsigned long long)stats.reads);
	else if (descriptors != watch->descriptors)
		snprintf(text, sizeof(text), "%d descriptors, %d before",
			 descriptors, watch->descriptors);
	else if (*messages)
		snprintf(text, sizeof(text), "kernel log: %.200s", messages);
	else
		return "";
	return text;
}
