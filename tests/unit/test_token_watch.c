/* SPDX-License-Identifier: Apache-2.0 */
#include "license/token_watch.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "model/paths.h"
#include "steps/license/announce.h"
#include "steps/license/token.h"
#include "support/cmocka.h"
#include "support/stage.h"

#define TOKEN "/etc/client.tok"
#define NOBODY 65534

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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
