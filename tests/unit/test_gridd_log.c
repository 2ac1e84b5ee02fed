/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/license/gridd_log.h"

#include <errno.h>
#include <string.h>
#include <systemd/sd-journal.h>

#include "support/cmocka.h"

/*
 * A journal without a file. These functions of the program stand before libsystemd's of
 * the same names. Its entries, oldest first:
 */
struct entry {
	uint64_t time;
	const char *data; /* "MESSAGE=..."; NULL: an entry without one */
};

static const struct entry *entries;
static size_t count;
static size_t at;
static int open_result;
static int next_result;
static char matches[256];

static void note(const char *text)
{
	size_t used = strlen(matches);

	(void)snprintf(matches + used, sizeof(matches) - used, "%s", text);
}

int sd_journal_open(sd_journal **ret, int flags)
{
	assert_true(flags & SD_JOURNAL_LOCAL_ONLY);
	*ret = NULL;
	return open_result;
}

void sd_journal_close(sd_journal *j)
{
	(void)j;
}

int sd_journal_add_match(sd_journal *j, const void *data, size_t size)
{
	(void)j;
	assert_int_equal(size, 0);
	note(data);
	return 0;
}

int sd_journal_add_disjunction(sd_journal *j)
{
	(void)j;
	note(" or ");
	return 0;
}

int sd_journal_seek_tail(sd_journal *j)
{
	(void)j;
	at = count;
	return 0;
}

int sd_journal_previous_skip(sd_journal *j, uint64_t skip)
{
	size_t skipped = skip < at ? (size_t)skip : at;

	(void)j;
	at -= skipped;
	return (int)skipped;
}

int sd_journal_next(sd_journal *j)
{
	(void)j;
	if (next_result < 0)
		return next_result;
	return ++at < count ? 1 : 0;
}

int sd_journal_get_realtime_usec(sd_journal *j, uint64_t *ret)
{
	(void)j;
	*ret = entries[at].time;
	return 0;
}

int sd_journal_get_data(sd_journal *j, const char *field, const void **data, size_t *l)
{
	(void)j;
	assert_string_equal(field, "MESSAGE");
	if (!entries[at].data)
		return -ENOENT;
	*data = entries[at].data;
	*l = strlen(entries[at].data);
	return 0;
}

static struct license_reason reason;

static int read_log(const struct entry *journal, size_t size, int64_t since,
		    struct error *err)
{
	entries = journal;
	count = size;
	matches[0] = '\0';
	reason = (struct license_reason){ .code = "untouched" };
	return gridd_log_read(since, &reason, err);
}

#define REFUSED "MESSAGE=Failed to acquire license from x (Info: y - Error: "
static const struct entry history[] = {
	{ 10, "MESSAGE=Started (1)" },
	{ 20, REFUSED "Clock windback has been detected)" },
	{ 30, "MESSAGE=NLS initialized" },
	{ 40, NULL },
	{ 50, REFUSED "No pool features found for : y)\nShutdown (1)" },
};

static void the_last_telling_line_since_the_start_counts(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;

	assert_int_equal(read_log(history, 5, 0, &err), 0);
	assert_string_equal(reason.code, "pool_empty");
	/* Everybody may call himself so: root alone is believed. */
	assert_string_equal(matches, "SYSLOG_IDENTIFIER=nvidia-gridd_UID=0 or "
				     "_SYSTEMD_UNIT=nvidia-gridd.service");

	assert_int_equal(read_log(history, 3, 0, &err), 0);
	assert_string_equal(reason.code, "clock_windback");

	assert_int_equal(read_log(history, 3, 1000021, &err), 0);
	assert_null(reason.code);
}

/* The daemon may speak before systemd has noted that it started it. */
static void lines_of_the_last_second_before_the_start_count(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(read_log(history, 3, 1000020, &err), 0);
	assert_string_equal(reason.code, "clock_windback");
}

static void no_journal_and_no_entries_are_no_reason(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;

	assert_int_equal(read_log(history, 0, 0, &err), 0);
	assert_null(reason.code);

	open_result = -ENOENT;
	assert_int_equal(read_log(history, 5, 0, &err), 0);
	open_result = 0;
	assert_null(reason.code);
}

/* A daemon that runs for months: only the newest lines are read. */
static void only_the_newest_entries_are_read(void **state)
{
	static struct entry many[3000];
	struct error err = ERROR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct entry){ i, "MESSAGE=NLS initialized" };
	many[500].data = REFUSED "No pool features found for : y)";

	assert_int_equal(read_log(many, ARRAY_SIZE(many), 0, &err), 0);
	assert_null(reason.code);

	many[1000].data = many[500].data;
	assert_int_equal(read_log(many, ARRAY_SIZE(many), 0, &err), 0);
	assert_string_equal(reason.code, "pool_empty");
}

static void a_broken_journal_is_an_error_and_no_reason(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	next_result = -EBADMSG;

	assert_int_equal(read_log(history, 5, 0, &err), -1);
	next_result = 0;

	assert_int_equal(err.code, ERROR_INTERNAL);
	assert_string_equal(reason.code, "untouched");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_telling_line_since_the_start_counts),
		cmocka_unit_test(lines_of_the_last_second_before_the_start_count),
		cmocka_unit_test(no_journal_and_no_entries_are_no_reason),
		cmocka_unit_test(only_the_newest_entries_are_read),
		cmocka_unit_test(a_broken_journal_is_an_error_and_no_reason),
	};

	return cmocka_run_group_tests_name("gridd_log", tests, NULL, NULL);
}
