/* wrap: clock_monotonic */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <pty.h>
#include <string.h>
#include <unistd.h>

#include "support/cmocka.h"

static double now; /* of the clock that a bar asks */
double __wrap_clock_monotonic(void);
double __wrap_clock_monotonic(void)
{
	return now;
}

static unsigned short columns; /* of the terminal; 0: it does not say */

/* Standard error for the time of a test, and its other end. */
struct console {
	int saved, read_fd;
	char said[4096];
};

static void console_begin(struct console *console, bool terminal)
{
	struct winsize size = { .ws_col = columns };
	int ends[2];

	if (terminal)
		assert_int_equal(openpty(&ends[0], &ends[1], NULL, NULL, &size), 0);
	else
		assert_int_equal(pipe(ends), 0);
	console->saved = dup(STDERR_FILENO);
	assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	(void)close(ends[1]);
	console->read_fd = ends[0];
}

/*
 * What was said; standard error is the old one again. A terminal's other end gets the
 * bytes a moment later: read on until the end that the closed side makes.
 */
static const char *console_end(struct console *console)
{
	size_t used = 0;
	ssize_t n;

	assert_int_equal(dup2(console->saved, STDERR_FILENO), STDERR_FILENO);
	(void)close(console->saved);
	while ((n = read(console->read_fd, console->said + used,
			 sizeof(console->said) - 1 - used)) > 0)
		used += (size_t)n;
	console->said[used] = '\0';
	(void)close(console->read_fd);
	return console->said;
}

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_NOTICE);
	now = 100;
	return setenv("TERM", "xterm", 1) < 0 || unsetenv("NO_COLOR") < 0 ? -1 : 0;
}

static void only_what_was_asked_for_is_said(void **state)
{
	struct console console;

	(void)state;
	console_begin(&console, false);
	log_line(LOG_LEVEL_NOTICE, "one");
	log_line(LOG_LEVEL_INFO, "two");
	log_set_level(LOG_LEVEL_INFO);
	log_line(LOG_LEVEL_INFO, "three");

	assert_string_equal(console_end(&console), "one\nthree\n");
}

static void foreign_bytes_are_made_harmless(void **state)
{
	struct console console;

	(void)state;
	console_begin(&console, false);
	log_line(LOG_LEVEL_NOTICE, "the server says \"%s\"", "\033[2Jhello");

	assert_null(strchr(console_end(&console), '\033'));
}

static void an_error_has_a_colour_on_a_terminal_only(void **state)
{
	struct console console;

	(void)state;
	console_begin(&console, true);
	log_line(LOG_LEVEL_ERROR, "bad");
	assert_string_equal(console_end(&console), "\033[1;31mbad\033[0m\r\n");

	console_begin(&console, true);
	assert_int_equal(setenv("NO_COLOR", "1", 1), 0);
	log_line(LOG_LEVEL_ERROR, "bad");
	assert_string_equal(console_end(&console), "bad\r\n");

	console_begin(&console, false);
	assert_int_equal(unsetenv("NO_COLOR"), 0);
	log_line(LOG_LEVEL_ERROR, "bad");
	assert_string_equal(console_end(&console), "bad\n");
}

static void a_serial_console_gets_a_line_for_each_tenth(void **state)
{
	struct console console;

	(void)state;
	console_begin(&console, false);
	for (uint64_t done = 0; done <= 30; done++)
		log_progress("fetch", done << 20, UINT64_C(100) << 20);
	log_progress_end();

	assert_string_equal(console_end(&console), "fetch: 10 % of 100.0 MiB\n"
						   "fetch: 20 % of 100.0 MiB\n"
						   "fetch: 30 % of 100.0 MiB\n");
}

static void a_terminal_gets_a_bar_that_ends_before_the_next_line(void **state)
{
	struct console console;
	const char *said;

	(void)state;
	console_begin(&console, true);
	log_progress("fetch", 5 << 20, 10 << 20);
	log_progress("fetch", 20 << 20, 10 << 20);
	log_line(LOG_LEVEL_NOTICE, "done");

	said = console_end(&console);
	assert_non_null(strstr(said, "\rfetch      [######......]  50 %"));
	assert_non_null(strstr(said, "100 %  10.0 of 10.0 MiB\033[K\r\ndone\r\n"));
}

/* Counted from where the bar began: what an earlier run has brought says nothing. */
static void a_bar_tells_rate_and_remaining_time_in_80_columns(void **state)
{
	static const struct {
		double seconds;
		uint64_t mib, total;
		const char *end;
	} rows[] = {
		{ 0.5, 60, 340, " 17 %  60.0 of 340.0 MiB\033[K" },
		{ 10, 60, 340, "60.0 of 340.0 MiB, 5.0 MiB/s, 56 s left\033[K" },
		{ 10, 20, 2079, "20.0 of 2079.0 MiB, 1.0 MiB/s, 34 min left\033[K" },
		{ 1000, 1990, 2079, "1990.0 of 2079.0 MiB, 2.0 MiB/s, 45 s left\033[K" },
		{ 10, 10, 340, "10.0 of 340.0 MiB\033[K" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct console console;
		const char *said, *bar;

		now = 100;
		console_begin(&console, true);
		log_progress("fetch", 10 << 20, rows[i].total << 20);
		now += rows[i].seconds;
		log_progress("fetch", rows[i].mib << 20, rows[i].total << 20);
		log_progress_end();
		said = console_end(&console);
		if (!strstr(said, rows[i].end))
			fail_msg("%s", said);
		bar = strrchr(said, '[') - strlen("[fetch      [ ");
		assert_true(strcspn(bar, "\033") <= 80 + 2);
	}
}

/* In the row below nothing could be drawn over it. */
static void no_bar_is_wider_than_its_terminal(void **state)
{
	static const unsigned short widths[] = { 0, 1, 20, 40, 79, 80, 200 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		struct console console;
		const char *said;

		columns = widths[i];
		now = 100;
		console_begin(&console, true);
		log_progress("fetch", 10 << 20, 2079u << 20);
		now += 10;
		log_progress("fetch", 20 << 20, 2079u << 20);
		log_progress("fetch", 2079u << 20, 2079u << 20);
		said = console_end(&console);
		columns = 0;
		for (const char *at = said; (at = strchr(at, '\r')) != NULL;) {
			size_t width = strcspn(++at, "\033\r");

			assert_true(width < (widths[i] ? widths[i] : 80));
			assert_true(width > 10 || widths[i] <= 20);
		}
		log_progress_end();
	}
}

static void what_is_small_has_a_unit_of_its_own(void **state)
{
	struct console console;

	(void)state;
	console_begin(&console, false);
	log_progress("fetch", 2000, 20000);
	log_progress("fetch", 50, 500);
	log_progress_end();

	assert_null(strstr(console_end(&console), "0.0 MiB"));
}

/* Nor one that says nothing of itself: both get lines. */
static void a_dumb_terminal_is_none(void **state)
{
	static const char *const terms[] = { "dumb", "", NULL };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(terms); i++) {
		struct console console;

		assert_int_equal(
			terms[i] ? setenv("TERM", terms[i], 1) : unsetenv("TERM"), 0);
		console_begin(&console, true);
		log_progress("fetch", 50 << 20, 100 << 20);
		log_progress_end();
		assert_string_equal(console_end(&console),
				    "fetch: 50 % of 100.0 MiB\r\n");
	}
}

static void an_unknown_total_shows_bytes_only(void **state)
{
	struct console console;

	(void)state;
	console_begin(&console, true);
	log_progress("fetch", 3 << 20, 0);
	log_progress_end();

	assert_string_equal(console_end(&console), "\rfetch      3.0 MiB\033[K\r\n");
}

static void quiet_hides_progress(void **state)
{
	struct console console;

	(void)state;
	log_set_level(LOG_LEVEL_WARNING);
	console_begin(&console, false);
	log_progress("fetch", 10, 10);

	assert_string_equal(console_end(&console), "");
}

static void levels_have_names(void **state)
{
	enum log_level level = LOG_LEVEL_ERROR;

	(void)state;
	assert_true(log_level_parse("debug", &level));
	assert_int_equal(level, LOG_LEVEL_DEBUG);
	assert_false(log_level_parse("loud", &level));
	assert_int_equal(level, LOG_LEVEL_DEBUG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(only_what_was_asked_for_is_said, setup),
		cmocka_unit_test_setup(foreign_bytes_are_made_harmless, setup),
		cmocka_unit_test_setup(an_error_has_a_colour_on_a_terminal_only, setup),
		cmocka_unit_test_setup(a_serial_console_gets_a_line_for_each_tenth,
				       setup),
		cmocka_unit_test_setup(
			a_terminal_gets_a_bar_that_ends_before_the_next_line, setup),
		cmocka_unit_test_setup(no_bar_is_wider_than_its_terminal, setup),
		cmocka_unit_test_setup(a_bar_tells_rate_and_remaining_time_in_80_columns,
				       setup),
		cmocka_unit_test_setup(what_is_small_has_a_unit_of_its_own, setup),
		cmocka_unit_test_setup(a_dumb_terminal_is_none, setup),
		cmocka_unit_test_setup(an_unknown_total_shows_bytes_only, setup),
		cmocka_unit_test_setup(quiet_hides_progress, setup),
		cmocka_unit_test_setup(levels_have_names, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
