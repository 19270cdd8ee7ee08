// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernels that the module loads into: module/compat.h, compiled into this
 * program as it is, asked about the names that kernels have.
 */
#include <sys/utsname.h>

#include "kselftest_harness.h"

#include "lib/common.h"
#include "module/compat.h"

/* That one has the module loaded. */
TEST(running)
{
	struct utsname name;

	ASSERT_EQ(0, uname(&name));
	EXPECT_TRUE(zcopy_compat_runs_on(name.release));
}

TEST(names)
{
	static const struct {
		char release[40];
		bool runs;
	} rows[] = {
		{ "6.12.112", true },
		{ "6.12.111", false },
		{ "6.12.117+deb12-amd64", true },
		{ "6.12.117+deb13-cloud-amd64", true },
		{ "6.12.90+deb13.1-amd64", false },
		{ "6.12-amd64", false },
		{ "6.12.0-55.el10.x86_64", false },
		{ "6.1.0-37-amd64", false },
		{ "5.10.255", false },
		{ "6.13.0", false },
		{ "6.17.13+deb14-amd64", false },
		{ "6.18.50-1-lts", false },
		{ "6.18.51-1-lts", true },
		{ "6.19.14", false },
		{ "7.0.0-12-generic", false },
		{ "7.0.14", false },
		{ "7.1.9", false },
		{ "7.2.4", false },
		{ "7.2.5", true },
		{ "7.3-rc1", true },
		{ "10.0.1", true },
		{ "Linux", false },
		{ "", false },		/* the last one */
	};
	size_t i = 0;

	do {
		EXPECT_EQ(rows[i].runs, zcopy_compat_runs_on(rows[i].release)) {
			TH_LOG("%s", rows[i].release);
		}
	} while (*rows[i++].release);
}

TEST_HARNESS_MAIN
