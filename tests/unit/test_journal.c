/* wrap: sd_journal_send */
/* SPDX-License-Identifier: Apache-2.0 */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "core/journal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "support/cmocka.h"

/* What would have gone to the journal: a field a line. */
static char sent[4096];

__attribute__((format(printf, 1, 0))) int __wrap_sd_journal_send(const char *format, ...);

int __wrap_sd_journal_send(const char *format, ...)
{
	size_t used = 0;
	va_list fields;

	va_start(fields, format);
	while (format) {
		/* Each format stands before its own arguments. */
		char one[512];
		const char *at = format;
		va_list same;
		int n;

		va_copy(same, fields);
		n = vsnprintf(one, sizeof(one), format, same);
		va_end(same);
		assert_in_range(n, 1, sizeof(one) - 1);
		used += (size_t)snprintf(sent + used, sizeof(sent) - used, "%s\n", one);
		assert_true(used < sizeof(sent));
		for (; (at = strchr(at, '%')); at++) {
			at += strspn(at + 1, ".0123456789") + 1;
			if (*at == 'd')
				(void)va_arg(fields, int);
			else if (*at == 'f')
				(void)va_arg(fields, double);
			else
				(void)va_arg(fields, const char *);
		}
		format = va_arg(fields, const char *);
	}
	va_end(fields);
	return 0;
}

static void assert_sent(const char *field)
{
	if (!strstr(sent, field))
		fail_msg("%s is not in:\n%s", field, sent);
}

static void a_step_is_an_entry_with_its_fields(void **state)
{
	static const struct {
		struct outcome outcome;
		const char *id, *message;
		int priority;
	} rows[] = {
		{ { .step = "fetch", .kind = OUTCOME_CHANGED, .detail = "3 MiB" },
		  JOURNAL_STEP_DONE,
		  "MESSAGE=fetch: changed, 3 MiB\n",
		  LOG_NOTICE },
		{ { .step = "fetch", .kind = OUTCOME_UNCHANGED },
		  JOURNAL_STEP_DONE,
		  "MESSAGE=fetch: unchanged\n",
		  LOG_INFO },
		{ { .step = "license", .kind = OUTCOME_CHANGED },
		  JOURNAL_LICENSED,
		  "MESSAGE=license: changed\n",
		  LOG_NOTICE },
	};

	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char field[80];

		sent[0] = '\0';
		journal_step(&rows[i].outcome, NULL);
		assert_sent(rows[i].message);
		(void)snprintf(field, sizeof(field), "MESSAGE_ID=%s\n", rows[i].id);
		assert_sent(field);
		(void)snprintf(field, sizeof(field), "PRIORITY=%d\n", rows[i].priority);
		assert_sent(field);
	}
}

/* A guest without GPU is as it should be. */
static void a_failure_says_its_error_and_its_hint(void **state)
{
	static const struct {
		enum error_code code;
		int priority;
	} rows[] = { { ERROR_BUILD, LOG_ERR }, { ERROR_NO_GPU, LOG_INFO } };
	const struct outcome outcome = { .step = "build", .seconds = 1.5 };

	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error err = ERROR_INIT;
		char field[80];

		(void)error_set(&err, rows[i].code, "it broke");
		(void)error_hint(&err, "mend it");
		sent[0] = '\0';
		journal_step(&outcome, &err);
		assert_sent("MESSAGE=build: it broke\n");
		assert_sent("MESSAGE_ID=" JOURNAL_STEP_FAILED "\n");
		assert_sent("VGPU_SECONDS=1.500\n");
		assert_sent("VGPU_HINT=mend it\n");
		(void)snprintf(field, sizeof(field), "VGPU_ERROR=%s\n",
			       error_code_name(rows[i].code));
		assert_sent(field);
		(void)snprintf(field, sizeof(field), "PRIORITY=%d\n", rows[i].priority);
		assert_sent(field);
	}
}

static void an_event_is_the_agents_own(void **state)
{
	(void)state;
	sent[0] = '\0';
	journal_event(JOURNAL_EXPIRING, LOG_WARNING, "it ends in a day");
	assert_sent("MESSAGE=it ends in a day\n");
	assert_sent("MESSAGE_ID=" JOURNAL_EXPIRING "\n");
	assert_sent("SYSLOG_IDENTIFIER=vgpu-guest-agent\n");
}

static void stderr_is_the_journal_only_as_the_same_file(void **state)
{
	char name[64];
	struct stat st;

	(void)state;
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
	assert_false(journal_is_stderr());
	(void)snprintf(name, sizeof(name), "%ju:%ju", (uintmax_t)st.st_dev,
		       (uintmax_t)st.st_ino);
	assert_int_equal(setenv("JOURNAL_STREAM", name, 1), 0);
	assert_true(journal_is_stderr());
	assert_int_equal(setenv("JOURNAL_STREAM", "1:1", 1), 0);
	assert_false(journal_is_stderr());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_step_is_an_entry_with_its_fields),
		cmocka_unit_test(a_failure_says_its_error_and_its_hint),
		cmocka_unit_test(an_event_is_the_agents_own),
		cmocka_unit_test(stderr_is_the_journal_only_as_the_same_file),
	};

	return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
