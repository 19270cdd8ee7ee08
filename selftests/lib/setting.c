// SPDX-License-Identifier: GPL-2.0-only
/* A setting of the kernel's. */
#include "setting.h"

static const char *path;
static char usual[100];
static pid_t keeper;

void setting_set(const char *text)
{
	if (!write_text(path, text))
		die("write %s to %s", text, path);
}

void setting_restore(void)
{
	setting_set(usual);
}

static void restore(void)
{
	if (getpid() == keeper)
		setting_restore();
}

void setting_keep(const char *name)
{
	FILE *file = fopen(name, "re");

	if (!file || !fgets(usual, sizeof(usual), file))
		die("read %s", name);
	fclose(file);
	path = name;
	keeper = getpid();
	if (atexit(restore))
		die("arrange for %s", name);
}
