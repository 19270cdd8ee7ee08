// SPDX-License-Identifier: GPL-2.0-only
/* The progress bar. */
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "command.h"

#define INTERVAL	0.1	/* seconds between two drawings */
#define BAR_MAX		40	/* columns */

static int terminal_columns(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || !size.ws_col)
		return 80;
	return size.ws_col;
}

static void draw_bar(double fraction, int columns)
{
	int full = fraction * columns;
	int i;

	fputc('[', stderr);
	for (i = 0; i < columns; i++)
		fputc(i < full ? '=' : i == full ? '>' : ' ', stderr);
	fputs("] ", stderr);
}

static void draw(struct progress *progress, __u64 bytes, bool last)
{
	double fraction = (double)bytes / progress->total;
	double elapsed = progress->drawn - progress->start;
	double rate = elapsed > 0 ? bytes / elapsed : 0;
	double seconds = elapsed;
	char figures[80];
	int columns;

	/* Time to go; at the end, and where that is not known, time spent. */
	if (progress->total && !last && rate > 0)
		seconds = bytes < progress->total ?
			  (progress->total - bytes) / rate : 0;
	snprintf(figures, sizeof(figures), "%.0f MB  %.1f MB/s  %s %llu:%02d",
		 bytes / 1e6, rate / 1e6,
		 progress->total && !last ? "ETA" : "in",
		 (__u64)seconds / 60, (int)((__u64)seconds % 60));

	fputs("\r\033[K", stderr);
	if (progress->total) {
		if (fraction > 1)
			fraction = 1;
		fprintf(stderr, "%3d%% ", (int)(fraction * 100));
		columns = terminal_columns() - 50;
		if (columns > BAR_MAX)
			columns = BAR_MAX;
		if (columns > 0)
			draw_bar(fraction, columns);
	}
	fputs(figures, stderr);
	fflush(stderr);
}

void progress_start(struct progress *progress, bool wanted, __u64 total)
{
	progress->shown = wanted && isatty(STDERR_FILENO);
	progress->total = total;
	progress->start = now();
	progress->drawn = 0;
}

void progress_update(struct progress *progress, __u64 bytes)
{
	double time;

	if (!progress->shown)
		return;
	time = now();
	if (time - progress->drawn < INTERVAL)
		return;
	progress->drawn = time;
	draw(progress, bytes, false);
}

void progress_finish(struct progress *progress, __u64 bytes)
{
	if (!progress->shown)
		return;
	progress->drawn = now();
	draw(progress, bytes, true);
	fputc('\n', stderr);
	progress->shown = false;
}
