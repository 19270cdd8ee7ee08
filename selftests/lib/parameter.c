// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>

#include "parameter.h"

#define FOLDER	"/sys/module/zcopy/parameters/"

int parameter_set_text(const char *name, const char *text)
{
	char path[100];
	int error = 0;
	int fd;

	snprintf(path, sizeof(path), FOLDER "%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		die("open %s", path);
	if (write(fd, text, strlen(text)) < 0)
		error = -errno;
	close(fd);
	return error;
}

int parameter_set(const char *name, unsigned int value)
{
	char text[20];

	snprintf(text, sizeof(text), "%u", value);
	return parameter_set_text(name, text);
}

unsigned int parameter_get(const char *name)
{
	unsigned int value;
	char path[100];
	FILE *file;

	snprintf(path, sizeof(path), FOLDER "%s", name);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%u", &value) != 1)
		die("read %s", path);
	fclose(file);
	return value;
}
