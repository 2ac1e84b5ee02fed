/* SPDX-License-Identifier: Apache-2.0 */
#include "model/paths.h"
#include "steps/seal.h"

#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "model/license/token.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

/* Long enough, and no two pieces of it are alike. */
static const char token[] =
	"eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJqdGkiOiJiNmU2ZjA0Yy0wMDAxLTQ0NDQtOTk5OS0w"
	"MDAwMDAwMDAwMDEiLCJpc3MiOiJOTFMgU2VydmljZSBJbnN0YW5jZSIsImF1ZCI6Ik5MUyBMaWNlbnNlZCB"
	"DbGllbnQifQ.c2lnbmF0dXJlLW9mLXRoZS10b2tlbi1pcy1ub3QtcmVhbA";

static struct seal_secrets secrets;
static struct seal_found found;

static int setup(void **state)
{
	(void)sysroot_setup(state);
	sysroot_mkdir(*state, PATHS_TOKENS);
	sysroot_mkdir(*state, PATHS_TOKEN_BACKUP);
	sysroot_mkdir(*state, "/var/lib/cloud");
	sysroot_mkdir(*state, "/root");
	return 0;
}

static void learn(const struct sysroot *sysroot, const char *token_file)
{
	struct error err = ERROR_INIT;

	assert_int_equal(seal_learn(&sysroot->root, token_file, &secrets, &err), 0);
}

static size_t search(const struct sysroot *sysroot, const char *token_file)
{
	struct error err = ERROR_INIT;

	assert_int_equal(seal_search(&sysroot->root, &secrets, token_file, &found, &err),
			 0);
	return found.count;
}

static void a_copy_is_found_wherever_it_lies(void **state)
{
	static const char *const paths[] = { "/root/t", "/var/lib/cloud/x", "/tmp/y",
					     "/etc/.hidden" };
	const struct sysroot *sysroot = *state;

	sysroot_write(sysroot, PATHS_TOKEN, token);
	learn(sysroot, "");
	sysroot_mkdir(sysroot, "/tmp");
	assert_int_equal(search(sysroot, ""), 0);

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct error err = ERROR_INIT;
		char text[1024];

		(void)snprintf(text, sizeof(text), "before\n%s\nafter", token);
		sysroot_write(sysroot, paths[i], text);
		assert_int_equal(search(sysroot, ""), 1);
		assert_string_equal(found.paths[0], paths[i]);
		assert_int_equal(root_unlink(&sysroot->root, paths[i], &err), 0);
	}
}

/* The file is read in pieces: the token is put across every border near one. */
static void a_copy_across_two_reads_is_found(void **state)
{
	const struct sysroot *sysroot = *state;
	const size_t border = 64u << 10;
	cleanup_free char *text = malloc(2 * border);

	assert_non_null(text);
	sysroot_write(sysroot, PATHS_TOKEN, token);
	learn(sysroot, "");

	for (size_t before = border - sizeof(token); before <= border; before += 7) {
		memset(text, 'x', 2 * border);
		memcpy(text + before, token, sizeof(token) - 1);
		text[2 * border - 1] = '\0';
		sysroot_write(sysroot, "/root/large", text);
		assert_int_equal(search(sysroot, ""), 1);
	}
}

static void tokens_that_are_kept_or_named_are_known_too(void **state)
{
	const struct sysroot *sysroot = *state;

	sysroot_write(sysroot, PATHS_TOKEN_BACKUP "/old.tok", token);
	learn(sysroot, "");
	sysroot_write(sysroot, "/root/copy", token);
	assert_int_equal(search(sysroot, ""), 1);

	sysroot_write(sysroot, "/etc/named.tok",
		      "another token that is long enough here");
	learn(sysroot, "/etc/named.tok");
	sysroot_write(sysroot, "/root/second", "another token that is long enough here");
	assert_int_equal(search(sysroot, "/etc/named.tok"), 2);
}

static void metadata_with_a_token_is_found_without_knowing_it(void **state)
{
	static const struct {
		const char *before, *after;
		size_t expected;
	} cases[] = {
		{ "{\"client_token\": \"", "\"}", 1 },
		{ "", "", 0 }, /* somebody's, but not said to be ours */
		{ "client_token eyJ... of a manual ", NULL, 0 },
	};
	const struct sysroot *sysroot = *state;

	learn(sysroot, "");
	assert_int_equal(secrets.count, 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[1024];

		(void)snprintf(text, sizeof(text), "%s%s%s", cases[i].before,
			       cases[i].after ? token : "",
			       cases[i].after ? cases[i].after : "");
		sysroot_write(sysroot, "/var/lib/cloud/obj.pkl", text);
		assert_int_equal(search(sysroot, ""), cases[i].expected);
	}
}

static void links_are_not_followed(void **state)
{
	const struct sysroot *sysroot = *state;
	char path[128];

	sysroot_write(sysroot, PATHS_TOKEN, token);
	learn(sysroot, "");
	(void)snprintf(path, sizeof(path), "%s/root/link", sysroot->dir);
	assert_int_equal(symlink(PATHS_TOKEN, path), 0);
	(void)snprintf(path, sizeof(path), "%s/root/loop", sysroot->dir);
	assert_int_equal(symlink("..", path), 0);

	assert_int_equal(search(sysroot, ""), 0);
}

static void every_token_goes_and_the_folders_stay(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	bool changed = false;

	sysroot_write(sysroot, PATHS_TOKEN, token);
	sysroot_write(sysroot, PATHS_TOKENS "/.half-written", token);
	sysroot_write(sysroot, PATHS_TOKEN_BACKUP "/old.tok", token);
	sysroot_write(sysroot, "/etc/named.tok", token);

	assert_int_equal(seal_tokens(&sysroot->root, "/etc/named.tok", &changed, &err),
			 0);
	assert_true(changed);
	sysroot_assert_entries(sysroot, PATHS_TOKENS, 0);
	sysroot_assert_entries(sysroot, PATHS_TOKEN_BACKUP, 0);
	learn(sysroot, "/etc/named.tok");
	assert_int_equal(secrets.count, 0);

	assert_int_equal(seal_tokens(&sysroot->root, "/etc/named.tok", &changed, &err),
			 0);
	assert_false(changed);
	assert_int_equal(seal_sync(&sysroot->root, &err), 0);
}

static void a_single_token_anywhere_is_a_change(void **state)
{
	static const char *const paths[] = { PATHS_TOKEN, PATHS_TOKEN_BACKUP "/old.tok",
					     "/etc/named.tok" };
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct error err = ERROR_INIT;
		bool changed = false;

		sysroot_write(sysroot, paths[i], token);
		assert_int_equal(
			seal_tokens(&sysroot->root, "/etc/named.tok", &changed, &err), 0);
		assert_true(changed);
	}
}

static void forgotten_secrets_are_gone(void **state)
{
	static const struct seal_secrets none;
	const struct sysroot *sysroot = *state;

	sysroot_write(sysroot, PATHS_TOKEN, token);
	learn(sysroot, "");
	assert_int_equal(secrets.count, 1);
	seal_forget(&secrets);
	assert_memory_equal(&secrets, &none, sizeof(none));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_copy_is_found_wherever_it_lies),
		TEST(a_copy_across_two_reads_is_found),
		TEST(tokens_that_are_kept_or_named_are_known_too),
		TEST(metadata_with_a_token_is_found_without_knowing_it),
		TEST(links_are_not_followed),
		TEST(every_token_goes_and_the_folders_stay),
		TEST(a_single_token_anywhere_is_a_change),
		TEST(forgotten_secrets_are_gone),
	};

	return cmocka_run_group_tests_name("seal", tests, NULL, NULL);
}
