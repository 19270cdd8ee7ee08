// SPDX-License-Identifier: GPL-2.0-only
/* The threads of a process, the module's workers among them. */
#include <ctype.h>
#include <dirent.h>

#include "threads.h"

/* Which threads are counted. */
struct wanted {
	const char *name;	/* or NULL */
	char state;		/* of proc_pid_stat(5), or 0 */
};

static bool is_wanted(const char *process, const char *thread,
		      const struct wanted *wanted)
{
	char path[600], line[256] = "";
	char *name, *end;
	FILE *stat;

	snprintf(path, sizeof(path), "/proc/%s/task/%s/stat", process, thread);
	stat = fopen(path, "re");
	if (!stat)
		return false;
	if (!fgets(line, sizeof(line), stat))
		line[0] = '\0';
	fclose(stat);
	name = strchr(line, '(');
	end = strrchr(line, ')');
	if (!name || !end)
		return false;
	*end = '\0';
	return (!wanted->name || !strcmp(name + 1, wanted->name)) &&
	       (!wanted->state || end[2] == wanted->state);
}

static unsigned int count(const char *process, const struct wanted *wanted)
{
	struct dirent *entry;
	unsigned int nr = 0;
	char path[300];
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%s/task", process);
	folder = opendir(path);
	if (!folder)
		return 0;
	while ((entry = readdir(folder)))
		nr += isdigit(entry->d_name[0]) &&
		      is_wanted(process, entry->d_name, wanted);
	closedir(folder);
	return nr;
}

static unsigned int count_of(pid_t process, const struct wanted *wanted)
{
	char name[20];

	snprintf(name, sizeof(name), "%d", process);
	return count(name, wanted);
}

unsigned int threads(pid_t process, const char *name)
{
	return count_of(process, &(struct wanted){ .name = name });
}

bool is_thread(pid_t process, pid_t thread, const char *name)
{
	char names[2][20];

	snprintf(names[0], sizeof(names[0]), "%d", process);
	snprintf(names[1], sizeof(names[1]), "%d", thread);
	return is_wanted(names[0], names[1], &(struct wanted){ .name = name });
}

unsigned int threads_at_disk(const char *name)
{
	const struct wanted wanted = { .name = name, .state = 'D' };
	DIR *processes = opendir("/proc");
	struct dirent *entry;
	unsigned int nr = 0;

	if (!processes)
		die("open /proc");
	while ((entry = readdir(processes)))
		if (isdigit(entry->d_name[0]))
			nr += count(entry->d_name, &wanted);
	closedir(processes);
	return nr;
}

pid_t thread_of(pid_t process, const char *name)
{
	const struct wanted wanted = { .name = name };
	char path[40], number[20];
	struct dirent *entry;
	pid_t thread = 0;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/task", process);
	snprintf(number, sizeof(number), "%d", process);
	folder = opendir(path);
	while (folder && !thread && (entry = readdir(folder)))
		if (isdigit(entry->d_name[0]) &&
		    is_wanted(number, entry->d_name, &wanted))
			thread = atoi(entry->d_name);
	if (folder)
		closedir(folder);
	return thread;
}

bool await_threads(pid_t process, const char *name, unsigned int nr)
{
	uint64_t since = 0;

	do {
		if (threads(process, name) == nr)
			return true;
	} while (patience(&since));
	return false;
}

bool await_state(pid_t thread, char state)
{
	const struct wanted wanted = { .state = state };
	uint64_t since = 0;
	char number[20];

	/* A thread has a folder, too, though none that is listed. */
	snprintf(number, sizeof(number), "%d", thread);
	do {
		if (is_wanted(number, number, &wanted))
			return true;
	} while (patience(&since));
	return false;
}

bool await_all(pid_t process, char state)
{
	const struct wanted wanted = { .state = state };
	uint64_t since = 0;

	do {
		if (count_of(process, &wanted) == threads(process, NULL))
			return true;
	} while (patience(&since));
	return false;
}
