/* wrap: clock_is_synchronized clock_now */
/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/freshness.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

#define NOW 1800000000 /* 2027-01-15T08:00:00Z */

static bool synchronized;

bool __wrap_clock_is_synchronized(void);
int64_t __wrap_clock_now(void);

bool __wrap_clock_is_synchronized(void)
{
	return synchronized;
}

int64_t __wrap_clock_now(void)
{
	return NOW;
}

static void put_key(struct repository *repository, const char *key)
{
	(void)text_copy(repository->index_key, sizeof(repository->index_key), key);
}

/* -1, or 0 with the serial noted: a guest that has seen 5 of key "a". */
static int judge(const char *key, int64_t serial, const char *expires, int least,
		 struct error *err)
{
	static struct context ctx;
	struct index index = { .serial = serial };
	struct repository repository = { .index = &index, .index_signed = true };
	struct state state = { .index_count = 0 };
	int result;

	ctx.settings.driver.index_min_serial = least;
	put_key(&repository, key);
	(void)text_copy(index.expires, sizeof(index.expires), expires);
	assert_true(state_raise_serial(&state, "a", 5));

	result = freshness_judge(&ctx, &repository, &state, err);
	if (result == 0)
		assert_true(state_serial(&state, key) >= serial);
	else
		assert_true(state_serial(&state, "a") == 5);
	return result;
}

static void an_old_index_is_refused(void **state)
{
	static const struct {
		const char *key;
		int64_t serial;
		int least;
		const char *expires;
		bool synchronized;
		const char *says; /* NULL: it is fresh */
	} rows[] = {
		{ "a", 5, 0, "", true, NULL },
		{ "a", 6, 0, "", true, NULL },
		{ "a", 4, 0, "", true, "its key has signed 5 before" },
		{ "b", 1, 0, "", true, NULL },
		{ "b", 1, 2, "", true, "driver.index_min_serial is 2" },
		{ "b", 2, 2, "", true, NULL },
		{ "a", 5, 0, "2027-01-15T08:00:01Z", true, NULL },
		{ "a", 5, 0, "2027-01-15T08:00:00Z", true, "expired on 2027-01-15" },
		{ "a", 6, 0, "2001-01-15T08:00:00Z", true, "expired on 2001-01-15" },
		{ "a", 5, 0, "2001-01-15T08:00:00Z", false, NULL },
		{ "a", 5, 0, "in a year", false, "is no time" },
		{ "a", 5, 0, "2027-01-15", true, "is no time" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error err = ERROR_INIT;
		int result;

		synchronized = rows[i].synchronized;
		result = judge(rows[i].key, rows[i].serial, rows[i].expires,
			       rows[i].least, &err);
		if (result != (rows[i].says ? -1 : 0) ||
		    (rows[i].says && !strstr(err.text, rows[i].says)))
			fail_msg("row %zu: %d, \"%s\"", i, result, err.text);
		if (rows[i].says)
			assert_int_equal(err.code, ERROR_INTEGRITY);
	}
}

/* Whether a command's look at an index of serial 6 leaves the serial on the disk. */
static bool keeps(const struct sysroot *sysroot, enum job job)
{
	static struct context ctx;
	struct index index = { .serial = 6 };
	struct repository repository = { .index = &index, .index_signed = true };
	struct state state = { .steps = json_build("{}") }, saved;
	struct error err = ERROR_INIT;
	int64_t serial;

	ctx.job = job;
	ctx.root = sysroot->root;
	put_key(&repository, "a");
	assert_int_equal(freshness_judge(&ctx, &repository, &state, &err), 0);
	assert_int_equal(state_serial(&state, "a"), 6);
	state_done(&state);

	assert_int_equal(state_load(&sysroot->root, &saved, &err), 0);
	serial = state_serial(&saved, "a");
	state_done(&saved);
	return serial == 6;
}

static void a_serial_that_rises_is_saved_at_once(void **state)
{
	assert_false(keeps(*state, (enum job)0)); /* plan */
	assert_false(keeps(*state, JOB_FETCH));
	assert_false(keeps(*state, JOB_MODULES));
	assert_true(keeps(*state, JOB_RUN));
}

static void the_oldest_key_makes_room(void **state)
{
	static struct state memory;
	char key[8];

	(void)state;
	for (int i = 0; i <= STATE_KEYS_MAX; i++) {
		(void)snprintf(key, sizeof(key), "k%d", i);
		assert_true(state_raise_serial(&memory, key, i + 1));
		assert_false(state_raise_serial(&memory, key, i + 1));
		assert_false(state_raise_serial(&memory, key, i));
	}
	assert_int_equal(memory.index_count, STATE_KEYS_MAX);
	assert_int_equal(state_serial(&memory, "k0"), 0);
	assert_int_equal(state_serial(&memory, "k1"), 2);
	assert_int_equal(state_serial(&memory, key), STATE_KEYS_MAX + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_old_index_is_refused),
		cmocka_unit_test_setup_teardown(a_serial_that_rises_is_saved_at_once,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test(the_oldest_key_makes_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
