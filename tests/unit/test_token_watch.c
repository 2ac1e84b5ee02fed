/* wrap: clock_now journal_event */
/* SPDX-License-Identifier: Apache-2.0 */
#include "license/token_watch.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#include "base/clock.h"
#include "core/journal.h"
#include "model/paths.h"
#include "steps/license/announce.h"
#include "steps/license/token.h"
#include "support/cmocka.h"
#include "support/stage.h"
#include "support/worker.h"

#define TOKEN "/etc/client.tok"
#define NOBODY 65534

#define EXPIRES "2030-01-01T00:00:00Z"
#define METADATA(token)                                                              \
	"{\"result\":{\"found\":true,\"object\":{},\"token\":" token ",\"token_so"   \
	"urce\":\"service\",\"token_check\":null,\"sources\":[],\"service\":\"answ"  \
	"ered\",\"warnings\":[],\"silent\":false,\"service_object\":{},\"service_to" \
	"ken_sha256\":null}}"

static int64_t now; /* 0: as it is */
static unsigned told;
static int told_priority;
static char told_text[200];

int64_t __real_clock_now(void);
int64_t __wrap_clock_now(void);
int64_t __wrap_clock_now(void)
{
	return now ? now : __real_clock_now();
}

/* Nothing is told to this machine's journal. */
void __wrap_journal_event(const char *id, int priority, const char *text);
void __wrap_journal_event(const char *id, int priority, const char *text)
{
	(void)id;
	told++;
	told_priority = priority;
	(void)snprintf(told_text, sizeof(told_text), "%s", text);
}

static void prepare(const struct sysroot *sysroot, struct stage *stage)
{
	sysroot_mkdir(sysroot, "/etc");
	sysroot_mkdir(sysroot, "/run");
	stage_set(stage, sysroot);
	(void)strcpy(stage->ctx.settings.license.token_file, TOKEN);
}

static void look(struct token_watch *watch, const struct stage *stage)
{
	struct error err = ERROR_INIT;

	assert_int_equal(token_watch_look(watch, &stage->ctx, false, &err), 0);
}

/* With root's rights nothing is unreadable. */
static void look_as_nobody(struct token_watch *watch, const struct stage *stage)
{
	bool is_root = geteuid() == 0;

	assert_true(!is_root || seteuid(NOBODY) == 0);
	look(watch, stage);
	assert_true(!is_root || seteuid(0) == 0);
}

static const char *relative(const char *path)
{
	return &path[1];
}

static bool is_asked(const struct sysroot *sysroot)
{
	struct stat st;
	bool there = root_stat(&sysroot->root, PATHS_ROTATE, &st);

	root_discard(&sysroot->root, PATHS_ROTATE);
	return there;
}

static void another_token_is_asked_for_once(void **state)
{
	const struct sysroot *sysroot = *state;
	cleanup(token_watch_done) struct token_watch watch = { 0 };
	struct stage stage;

	prepare(sysroot, &stage);
	sysroot_write(sysroot, TOKEN, "one");
	look(&watch, &stage);
	assert_false(is_asked(sysroot));

	sysroot_write(sysroot, TOKEN, "two");
	look(&watch, &stage);
	assert_true(is_asked(sysroot));
	look(&watch, &stage);
	assert_false(is_asked(sysroot));
}

static void what_could_not_be_asked_for_is_asked_for_again(void **state)
{
	const struct sysroot *sysroot = *state;
	cleanup(token_watch_done) struct token_watch watch = { 0 };
	struct stage stage;

	prepare(sysroot, &stage);
	sysroot_write(sysroot, TOKEN, "one");
	look(&watch, &stage);

	sysroot_write(sysroot, PATHS_RUN, "in the way of the folder");
	sysroot_write(sysroot, TOKEN, "two");
	look(&watch, &stage);
	root_discard(&sysroot->root, PATHS_RUN);
	assert_false(is_asked(sysroot));

	look(&watch, &stage);
	assert_true(is_asked(sysroot));
}

static void a_file_that_may_not_be_read_is_asked_for_when_it_changes(void **state)
{
	const struct sysroot *sysroot = *state;
	cleanup(token_watch_done) struct token_watch watch = { 0 };
	struct stage stage;

	prepare(sysroot, &stage);
	sysroot_mkdir(sysroot, PATHS_RUN);
	assert_int_equal(chmod(sysroot->dir, 0755), 0);
	assert_int_equal(fchmodat(sysroot->root.fd, relative(PATHS_RUN), 0777, 0), 0);
	sysroot_write(sysroot, TOKEN, "one");
	assert_int_equal(fchmodat(sysroot->root.fd, relative(TOKEN), 0, 0), 0);
	look_as_nobody(&watch, &stage);
	look_as_nobody(&watch, &stage);
	assert_false(is_asked(sysroot));

	root_discard(&sysroot->root, TOKEN);
	sysroot_write(sysroot, TOKEN, "another one");
	assert_int_equal(fchmodat(sysroot->root.fd, relative(TOKEN), 0, 0), 0);
	look_as_nobody(&watch, &stage);
	assert_true(is_asked(sysroot));
	look_as_nobody(&watch, &stage);
	assert_false(is_asked(sysroot));
}

static void install(const struct sysroot *sysroot, const char *text)
{
	struct error err = ERROR_INIT;

	assert_int_equal(root_mkdir(&sysroot->root, PATHS_TOKENS, 0755, &err), 0);
	sysroot_write(sysroot, PATHS_TOKEN, text);
}

/* The sources say what they said before: who installed another one knew that. */
static void what_was_installed_meanwhile_is_not_undone(void **state)
{
	const struct sysroot *sysroot = *state;
	cleanup(token_watch_done) struct token_watch watch = { 0 };
	struct stage stage;

	prepare(sysroot, &stage);
	sysroot_write(sysroot, TOKEN, "eyJh.one");
	install(sysroot, "eyJh.one");
	look(&watch, &stage);
	install(sysroot, "eyJh.by-hand");
	look(&watch, &stage);
	assert_false(is_asked(sysroot));

	sysroot_write(sysroot, TOKEN, "eyJh.two");
	look(&watch, &stage);
	assert_true(is_asked(sysroot));
}

static void a_monitor_that_starts_leaves_what_was_installed_by_hand(void **state)
{
	const struct sysroot *sysroot = *state;

	for (int by_hand = 0; by_hand < 2; by_hand++) {
		cleanup(token_watch_done) struct token_watch watch = { 0 };
		struct error err = ERROR_INIT;
		struct stage stage;

		sysroot_empty(sysroot);
		prepare(sysroot, &stage);
		sysroot_write(sysroot, TOKEN, "eyJh.one");
		install(sysroot, "eyJh.another");
		assert_int_equal(token_set_by_hand(&sysroot->root, by_hand, &err), 0);
		look(&watch, &stage);
		assert_int_equal(is_asked(sysroot), !by_hand);
	}
}

/* Each once, and not again before the token file is another one. */
static void an_expiry_that_comes_near_is_told_in_stages(void **state)
{
	static const struct {
		int days;
		const char *words; /* NULL: nothing */
		int priority;
	} rows[] = {
		{ 31, NULL, 0 },
		{ 30, "expires at " EXPIRES, LOG_WARNING },
		{ 8, NULL, 0 },
		{ 7, "expires at " EXPIRES, LOG_WARNING },
		{ 1, "expires at " EXPIRES, LOG_ERR },
		{ 0, "has expired at " EXPIRES, LOG_ERR },
		{ -9, NULL, 0 },
	};
	static const struct worker_answer answers[] = {
		{ "token", NULL,
		  "{\"result\":{\"problems\":[],\"expires\":\"" EXPIRES "\"}}" },
		{ NULL },
	};
	cleanup(token_watch_done) struct token_watch watch = { 0 };
	struct error err = ERROR_INIT;
	int64_t expires = 0;
	struct stage stage;

	prepare(*state, &stage);
	stage.ctx.settings.metadata.enabled = false;
	worker_set(&stage, *state, answers);
	install(*state, "eyJh.one");
	assert_true(clock_read(EXPIRES, &expires));
	told = 0;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		unsigned before = told;

		now = expires - INT64_C(86400) * rows[i].days;
		assert_int_equal(token_watch_look(&watch, &stage.ctx, i > 0, &err), 0);
		assert_int_equal(told - before, rows[i].words != NULL);
		if (!rows[i].words)
			continue;
		assert_non_null(strstr(told_text, rows[i].words));
		assert_int_equal(told_priority, rows[i].priority);
	}
	now = 0;
	assert_int_equal(watch.expires, expires);
	stage_clear(&stage);
}

static void a_token_of_the_metadata_is_asked_for(void **state)
{
	static const struct {
		const char *answer;
		bool enabled, asked;
	} rows[] = {
		{ METADATA("\"eyJh.two\""), true, true },
		{ METADATA("\"eyJh.two\""), false, false },
		{ METADATA("\"eyJh.one\""), true, false },
		{ METADATA("null"), true, false },
		{ "{\"error\":{\"name\":\"network\",\"message\":\"down\"}}", true,
		  false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct worker_answer answers[] = {
			{ "metadata", NULL, rows[i].answer }, { NULL }
		};
		cleanup(token_watch_done) struct token_watch watch = { 0 };
		struct error err = ERROR_INIT;
		struct stage stage;

		sysroot_empty(*state);
		prepare(*state, &stage);
		stage.ctx.settings.license.token_file[0] = '\0';
		stage.ctx.settings.metadata.enabled = rows[i].enabled;
		worker_set(&stage, *state, answers);
		install(*state, "eyJh.one");
		if (token_watch_look(&watch, &stage.ctx, true, &err) < 0)
			fail_msg("%zu: %s", i, err.text);
		if (is_asked(*state) != rows[i].asked)
			fail_msg("row %zu", i);
		assert_int_equal(worker_count(*state, "\"metadata\""), rows[i].enabled);
		stage_clear(&stage);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			an_expiry_that_comes_near_is_told_in_stages, sysroot_setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_token_of_the_metadata_is_asked_for,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(another_token_is_asked_for_once,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			what_could_not_be_asked_for_is_asked_for_again, sysroot_setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			a_file_that_may_not_be_read_is_asked_for_when_it_changes,
			sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			what_was_installed_meanwhile_is_not_undone, sysroot_setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			a_monitor_that_starts_leaves_what_was_installed_by_hand,
			sysroot_setup, sysroot_teardown),
	};

	return cmocka_run_group_tests_name("token_watch", tests, NULL, NULL);
}
