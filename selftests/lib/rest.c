// SPDX-License-Identifier: GPL-2.0-only
/* How often the module looks at what waits. */
#include <poll.h>

#include "rest.h"

#define TRACING	"/sys/kernel/tracing/"
#define WINDOW	500	/* milliseconds */

static void set(const char *file, const char *value)
{
	if (!write_text(file, value))
		die("write %s to %s", value, file);
}

void rest_begin(void)
{
	set(TRACING "trace", "");
	/* Else the scheduler's code is patched too, which emulators trip over. */
	set(TRACING "options/record-cmd", "0");
	set(TRACING "events/zcopy/zcopy_wait/enable", "1");
}

void rest_end(void)
{
	set(TRACING "events/zcopy/zcopy_wait/enable", "0");
	set(TRACING "trace", "");
}

static unsigned int count_waits(void)
{
	FILE *trace = fopen(TRACING "trace", "re");
	unsigned int waits = 0;
	char line[500];

	if (!trace)
		die("open the trace");
	while (fgets(line, sizeof(line), trace))
		waits += !!strstr(line, "zcopy_wait:");
	fclose(trace);
	return waits;
}

bool rests(unsigned int nr, unsigned int window)
{
	uint64_t since = 0;
	unsigned int waits;

	do {
		set(TRACING "trace", "");
		/* There is no event for nothing that happens. */
		poll(NULL, 0, window);
		waits = count_waits();
		if (waits <= nr)
			return true;
	} while (patience(&since));
	printf("# %u waits of %u transfers in %u ms\n", waits, nr, window);
	return false;
}

bool comes_to_rest(unsigned int nr)
{
	return rests(nr, WINDOW);
}
