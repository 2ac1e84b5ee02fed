/* wrap: write fsync fchmod renameat */
/* SPDX-License-Identifier: Apache-2.0 */
#include "model/paths.h"
#include "steps/license/token.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/file.h"
#include "fault/fault.h"
#include "model/paths.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

#define BACKUP "/var/lib/vgpu-guest-agent/backup/tokens"
#define OLD "eyJhbGciOiJSUzI1NiJ9.old.sig"
#define NEW "eyJhbGciOiJSUzI1NiJ9.new%s.sig" /* printf would eat the %s */

static int setup(void **state)
{
	(void)sysroot_setup(state);
	sysroot_mkdir(*state, PATHS_TOKENS);
	return 0;
}

static void full_path(const struct sysroot *sysroot, const char *path,
		      char full[static PATH_MAX])
{
	(void)snprintf(full, PATH_MAX, "%s%s", sysroot->dir, path);
}

/* Installs `text`, from a descriptor whose place is at the end. */
static int install_bytes(const struct sysroot *sysroot, const char *text, size_t size,
			 unsigned mode, bool *ret_changed, struct error *err)
{
	cleanup_fd int fd = memfd_create("test", MFD_CLOEXEC);
	struct error ignored = ERROR_INIT;

	assert_true(fd >= 0);
	assert_int_equal(file_write_all(fd, text, size, &ignored), 0);
	return token_install(fd, mode, &sysroot->root, ret_changed, err);
}

static bool must_install(const struct sysroot *sysroot, const char *text, unsigned mode)
{
	struct error err = ERROR_INIT;
	bool changed = false;

	assert_int_equal(install_bytes(sysroot, text, strlen(text), mode, &changed, &err),
			 0);
	return changed;
}

static mode_t mode_of(const struct sysroot *sysroot, const char *path)
{
	struct stat st;

	assert_true(root_stat(&sysroot->root, path, &st));
	return st.st_mode;
}

static void exactly_the_bytes_are_installed(void **state)
{
	static const char odd[] = "\xef\xbb\xbf" NEW "\r\n\n";

	assert_true(must_install(*state, odd, 0744));

	sysroot_assert_text(*state, PATHS_TOKEN, odd);
	assert_int_equal(mode_of(*state, PATHS_TOKEN), S_IFREG | 0744);
	sysroot_assert_entries(*state, PATHS_TOKENS, 1);
}

static void the_folder_is_made(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(root_remove_tree(&sysroot->root, "/etc", &err), 0);

	assert_true(must_install(*state, NEW, 0600));

	sysroot_assert_text(*state, PATHS_TOKEN, NEW);
	assert_int_equal(mode_of(*state, PATHS_TOKEN), S_IFREG | 0600);
}

static void the_same_token_again_changes_nothing(void **state)
{
	const struct sysroot *sysroot = *state;
	struct stat before, after;

	(void)must_install(*state, NEW, 0744);
	assert_true(root_stat(&sysroot->root, PATHS_TOKEN, &before));

	assert_false(must_install(*state, NEW, 0744));

	assert_true(root_stat(&sysroot->root, PATHS_TOKEN, &after));
	assert_int_equal(after.st_ino, before.st_ino);
	assert_false(root_stat(&sysroot->root, BACKUP, &before));
}

static void another_mode_is_a_change(void **state)
{
	(void)must_install(*state, NEW, 0744);

	assert_true(must_install(*state, NEW, 0600));

	assert_int_equal(mode_of(*state, PATHS_TOKEN), S_IFREG | 0600);
}

static void the_token_before_it_is_kept(void **state)
{
	(void)must_install(*state, OLD, 0600);

	assert_true(must_install(*state, NEW, 0600));

	sysroot_assert_text(*state, PATHS_TOKEN, NEW);
	sysroot_assert_text(*state, BACKUP "/former.tok", OLD);
	assert_int_equal(mode_of(*state, BACKUP), S_IFDIR | 0700);
}

/* NREC's name has no suffix: there the bytes say what it is. */
#define SECOND "eyJhbGciOiJSUzI1NiJ9.second.x"
#define THIRD "eyJhbGciOiJSUzI1NiJ9.third.x"

static void other_tokens_are_moved_and_never_lost(void **state)
{
	const struct sysroot *sysroot = *state;

	sysroot_write(sysroot, PATHS_TOKENS "/client_configuration_token_03-28-2023.tok",
		      "first");
	sysroot_write(sysroot, PATHS_TOKENS "/bgo-client-token-latest", SECOND);
	assert_true(must_install(sysroot, NEW, 0744));
	sysroot_assert_entries(sysroot, PATHS_TOKENS, 1);

	/* The same name with other bytes gets a name of its own, the same bytes do not.
	 */
	sysroot_write(sysroot, PATHS_TOKENS "/bgo-client-token-latest", THIRD);
	assert_true(must_install(sysroot, NEW, 0744));
	sysroot_write(sysroot, PATHS_TOKENS "/bgo-client-token-latest", THIRD);
	assert_true(must_install(sysroot, NEW, 0744));

	sysroot_assert_text(sysroot, BACKUP "/client_configuration_token_03-28-2023.tok",
			    "first");
	sysroot_assert_text(sysroot, BACKUP "/bgo-client-token-latest", SECOND);
	sysroot_assert_text(sysroot, BACKUP "/bgo-client-token-latest.1", THIRD);
	sysroot_assert_entries(sysroot, BACKUP, 3);
	sysroot_assert_text(sysroot, PATHS_TOKEN, NEW);
}

/* The daemon ignores them, or not: they are nobody's token, and newer than it. */
static void a_file_that_is_no_token_is_none_and_stays(void **state)
{
	static const char *const files[][2] = {
		{ "gridd.conf", "FeatureType=1\n" },
		{ "README", "put the .tok here; it begins with eyJ\n" },
		{ "client_configuration_token.tok.bak", SECOND },
		{ "x.tok~", THIRD },
		{ "notes.txt", "" },
	};
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	size_t count = 0;

	sysroot_write(sysroot, PATHS_TOKENS "/mine", SECOND);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		const struct timespec later[] = { { .tv_sec = 4000000000 },
						  { .tv_sec = 4000000000 } };
		char path[PATH_MAX], full[PATH_MAX];

		(void)snprintf(path, sizeof(path), PATHS_TOKENS "/%s", files[i][0]);
		sysroot_write(sysroot, path, files[i][1]);
		full_path(sysroot, path, full);
		assert_int_equal(utimensat(AT_FDCWD, full, later, 0), 0);
	}
	/* Called like one, and damaged: it is told where there is no better one. */
	sysroot_write(sysroot, PATHS_TOKENS "/damaged.tok", "PK");

	cleanup_fd int fd = -1;
	assert_int_equal(token_open_installed(&sysroot->root, &fd, &count, &err), 0);
	assert_int_equal(count, 2);
	char text[64] = "";
	assert_int_equal(pread(fd, text, sizeof(text) - 1, 0), strlen(SECOND));
	assert_string_equal(text, SECOND);

	assert_true(must_install(sysroot, NEW, 0744));
	sysroot_assert_entries(sysroot, PATHS_TOKENS, ARRAY_SIZE(files) + 1);
}

/* A site's own folder is the token's folder, and the default is not touched. */
static void the_folder_that_gridd_conf_names_is_the_tokens(void **state)
{
	static const struct {
		const char *conf, *folder;
	} cases[] = {
		{ "ClientConfigTokenPath=/etc/nvidia/vgpu-tokens/\n",
		  "/etc/nvidia/vgpu-tokens" },
		{ "FeatureType=1\nClientConfigTokenPath = \"/srv/t\" # ours\n",
		  "/srv/t" },
		{ "ClientConfigTokenPath=/a\nClientConfigTokenPath=/srv/t//\n",
		  "/srv/t" },
		{ "#ClientConfigTokenPath=/srv/t\n", PATHS_TOKENS },
		{ "ClientConfigTokenPath=tokens\n", PATHS_TOKENS },
		{ "ClientConfigTokenPath=\n", PATHS_TOKENS },
		{ "ClientConfigTokenPath=/\n", PATHS_TOKENS },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct sysroot *sysroot = *state;
		struct error err = ERROR_INIT;
		char path[PATH_MAX];
		size_t count = 0;

		sysroot_write(sysroot, "/etc/nvidia/gridd.conf", cases[i].conf);
		assert_true(must_install(sysroot, NEW, 0744));

		(void)snprintf(path, sizeof(path), "%s/" PATHS_TOKEN_NAME,
			       cases[i].folder);
		sysroot_assert_text(sysroot, path, NEW);
		sysroot_assert_entries(sysroot, PATHS_TOKENS,
				       strcmp(cases[i].folder, PATHS_TOKENS) == 0);
		cleanup_fd int fd = -1;
		assert_int_equal(token_open_installed(&sysroot->root, &fd, &count, &err),
				 0);
		assert_int_equal(count, 1);
		(void)sysroot_teardown(state);
		(void)setup(state);
	}
}

/* Nothing is written where the daemon finds nothing. */
static void a_folder_that_is_a_file_is_told(void **state)
{
	static const char *const confs[] = {
		"ClientConfigTokenPath=/srv/t/a.tok\n",
		"ClientConfigTokenPath=/srv/t/a.tok/\n",
		"ClientConfigTokenPath=/srv/t/a.tok/below\n"
	};

	sysroot_mkdir(*state, "/srv/t");
	sysroot_write(*state, "/srv/t/a.tok", OLD);
	for (size_t i = 0; i < ARRAY_SIZE(confs); i++) {
		const struct sysroot *sysroot = *state;
		struct error err = ERROR_INIT;
		bool changed = false;
		size_t count = 0;
		int fd = -1;

		sysroot_write(sysroot, "/etc/nvidia/gridd.conf", confs[i]);
		assert_int_equal(token_open_installed(&sysroot->root, &fd, &count, &err),
				 -1);
		assert_int_equal(err.code, ERROR_TOKEN);
		assert_non_null(strstr(err.text, "/srv/t/a.tok"));
		assert_non_null(strstr(err.hint, "name the folder"));

		err = ERROR_INIT;
		assert_int_equal(
			install_bytes(sysroot, NEW, strlen(NEW), 0744, &changed, &err),
			-1);
		assert_int_equal(err.code, ERROR_TOKEN);
		sysroot_assert_text(sysroot, "/srv/t/a.tok", OLD);
		sysroot_assert_entries(sysroot, PATHS_TOKENS, 0);
	}
}

static void hidden_files_and_folders_of_others_stay(void **state)
{
	sysroot_write(*state, PATHS_TOKENS "/.tmp", "half");
	sysroot_mkdir(*state, PATHS_TOKENS "/..data");
	sysroot_mkdir(*state, PATHS_TOKENS "/old");

	assert_true(must_install(*state, NEW, 0744));
	assert_false(must_install(*state, NEW, 0744));

	sysroot_assert_entries(*state, PATHS_TOKENS, 4);
	sysroot_assert_text(*state, PATHS_TOKENS "/.tmp", "half");
}

static void a_linked_folder_is_followed_inside_the_root(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	char full[PATH_MAX];

	assert_int_equal(root_unlink(&sysroot->root, PATHS_TOKENS, &err), 0);
	sysroot_mkdir(sysroot, "/srv/tokens");
	full_path(sysroot, PATHS_TOKENS, full);
	assert_int_equal(symlink("/srv/tokens", full), 0);
	sysroot_write(sysroot, "/srv/tokens/other.tok", "other");

	assert_true(must_install(sysroot, NEW, 0744));

	sysroot_assert_text(sysroot, "/srv/tokens/client_configuration_token.tok", NEW);
	sysroot_assert_text(sysroot, BACKUP "/other.tok", "other");
	sysroot_assert_entries(sysroot, "/srv/tokens", 1);
}

static void a_linked_token_becomes_a_file_and_its_target_stays(void **state)
{
	const struct sysroot *sysroot = *state;
	char full[PATH_MAX];

	sysroot_mkdir(sysroot, "/srv");
	sysroot_write(sysroot, "/srv/secret", OLD);
	full_path(sysroot, PATHS_TOKEN, full);
	assert_int_equal(symlink("/srv/secret", full), 0);

	assert_true(must_install(sysroot, NEW, 0744));

	assert_int_equal(mode_of(sysroot, PATHS_TOKEN), S_IFREG | 0744);
	sysroot_assert_text(sysroot, "/srv/secret", OLD);
	sysroot_assert_text(sysroot, BACKUP "/client_configuration_token.tok", OLD);
}

static void what_cannot_be_a_token_leaves_the_old_one(void **state)
{
	static char large[TOKEN_SIZE_MAX + 1];
	const struct {
		size_t size;
		const char *text;
	} cases[] = {
		{ 0, "the token is empty" },
		{ sizeof(large), "the token: larger than 65536 bytes" },
	};

	memset(large, 'a', sizeof(large));
	(void)must_install(*state, OLD, 0744);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = ERROR_INIT;
		bool changed;

		assert_int_equal(
			install_bytes(*state, large, cases[i].size, 0744, &changed, &err),
			-1);
		assert_int_equal(err.code, ERROR_TOKEN);
		assert_string_equal(err.text, cases[i].text);
		sysroot_assert_text(*state, PATHS_TOKEN, OLD);
	}
}

static bool holds(const struct sysroot *sysroot, const char *path, const char *expected)
{
	cleanup_free char *text = NULL;
	struct error missing = ERROR_INIT;
	size_t size;

	return file_read(&sysroot->root, path, 4096, &text, &size, &missing) == 0 &&
	       strcmp(text, expected) == 0;
}

/*
 * Break it at every system call: one of both tokens is in place, whole, and the old one
 * is not lost. The mode is never looser than asked for.
 */
static void no_fault_loses_a_token(void **state)
{
	const struct sysroot *sysroot = *state;
	int nth = 0, result;

	do {
		struct error err = ERROR_INIT;
		struct error ignored = ERROR_INIT;
		cleanup_fd int fd = -1;
		bool changed;

		fault_arm(0);
		assert_int_equal(root_remove_tree(&sysroot->root, "/var", &ignored), 0);
		sysroot_write(sysroot, PATHS_TOKEN, OLD);
		sysroot_write(sysroot, PATHS_TOKENS "/other.tok", "other");
		assert_int_equal(token_memory(NEW, strlen(NEW), &fd, &err), 0);

		fault_arm(++nth);
		result = token_install(fd, 0600, &sysroot->root, &changed, &err);
		assert_int_equal(result, fault_fired() ? -1 : 0);
		fault_arm(0);

		if (!holds(sysroot, PATHS_TOKEN, OLD)) {
			sysroot_assert_text(sysroot, PATHS_TOKEN, NEW);
			assert_int_equal(mode_of(sysroot, PATHS_TOKEN), S_IFREG | 0600);
			sysroot_assert_text(
				sysroot, BACKUP "/client_configuration_token.tok", OLD);
		}
		assert_true(holds(sysroot, PATHS_TOKENS "/other.tok", "other") ||
			    holds(sysroot, BACKUP "/other.tok", "other"));
		if (result < 0) {
			assert_int_equal(err.code, ERROR_INTERNAL);
			assert_null(strstr(err.text, "eyJ"));
		}
	} while (result < 0);

	/* Two copies, entry, token and note, of five calls each. */
	assert_int_equal(nth, 26);
	sysroot_assert_text(sysroot, PATHS_TOKEN, NEW);
	sysroot_assert_text(sysroot, BACKUP "/other.tok", "other");
	sysroot_assert_entries(sysroot, PATHS_TOKENS, 1);
}

static void memory_is_sealed_and_at_its_beginning(void **state)
{
	struct error err = ERROR_INIT;
	cleanup_fd int fd = -1;
	char bytes[64];

	(void)state;

	assert_int_equal(token_memory(NEW, strlen(NEW), &fd, &err), 0);

	assert_int_equal(read(fd, bytes, sizeof(bytes)), strlen(NEW));
	assert_memory_equal(bytes, NEW, strlen(NEW));
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(fcntl(fd, F_GET_SEALS),
			 F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

static void memory_refuses_what_is_too_large(void **state)
{
	static char large[TOKEN_SIZE_MAX + 2]; /* one more than the check must see */
	struct error err = ERROR_INIT;
	int fd = -1;

	(void)state;

	assert_int_equal(token_memory(large, sizeof(large), &fd, &err), -1);
	assert_int_equal(err.code, ERROR_TOKEN);
	assert_int_equal(fd, -1);
}

static void the_installed_token_is_the_newest(void **state)
{
	const struct sysroot *sysroot = *state;
	const struct timespec old[] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	const struct timespec older[] = { { .tv_sec = 900 }, { .tv_sec = 900 } };
	struct error err = ERROR_INIT;
	cleanup_fd int fd = -1;
	char full[PATH_MAX], bytes[64] = "";
	size_t count;

	sysroot_write(sysroot, PATHS_TOKEN, "old");
	full_path(sysroot, PATHS_TOKEN, full);
	assert_int_equal(utimensat(AT_FDCWD, full, old, 0), 0);
	sysroot_write(sysroot, PATHS_TOKENS "/a.tok", "older");
	full_path(sysroot, PATHS_TOKENS "/a.tok", full);
	assert_int_equal(utimensat(AT_FDCWD, full, older, 0), 0);
	sysroot_write(sysroot, PATHS_TOKENS "/b.tok", "newest");
	sysroot_write(sysroot, PATHS_TOKENS "/.hidden", "no");

	assert_int_equal(token_open_installed(&sysroot->root, &fd, &count, &err), 0);

	assert_int_equal(count, 3);
	assert_int_equal(read(fd, bytes, sizeof(bytes)), 6);
	assert_string_equal(bytes, "newest");
}

static void no_token_is_no_error(void **state)
{
	const struct sysroot *sysroot = *state;

	sysroot_write(sysroot, PATHS_TOKENS "/.hidden", "no");
	for (int i = 0; i < 2; i++) {
		struct error err = ERROR_INIT;
		size_t count = 9;
		int fd = 9;

		assert_int_equal(token_open_installed(&sysroot->root, &fd, &count, &err),
				 0);
		assert_int_equal(fd, -1);
		assert_int_equal(count, 0);
		assert_int_equal(root_remove_tree(&sysroot->root, "/etc", &err), 0);
	}
}

/* A worker that is a shell script: descriptor 3 is the talk, 4 the token. */
static int check_with(const struct sysroot *sysroot, const char *script,
		      struct json **ret_check, struct error *err)
{
	cleanup_fd int fd = -1;
	char path[PATH_MAX], text[512];
	const struct channel channel = {
		.worker = path,
		.silence_s = 20,
		.cancel_fd = -1,
	};

	(void)snprintf(text, sizeof(text), "#!/bin/sh\n%s\n", script);
	sysroot_write(sysroot, "/worker", text);
	full_path(sysroot, "/worker", path);
	assert_int_equal(chmod(path, 0755), 0);
	assert_int_equal(token_memory(OLD, strlen(OLD), &fd, err), 0);
	(void)lseek(fd, 0, SEEK_END);
	return token_check(fd, &channel, ret_check, err);
}

static void check_hands_the_token_to_the_worker(void **state)
{
	cleanup_json struct json *check = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(
		check_with(
			*state,
			"read -r request <&3\n"
			"[ \"$request\" = '{\"job\":\"token\",\"input\":4}' ] || exit 1\n"
			"[ \"$(cat <&4)\" = " OLD " ] || exit 1\n"
			"echo '{\"result\":{\"valid\":true,\"problems\":[]}}' >&3",
			&check, &err),
		0);

	assert_true(json_get_bool(check, "valid", false));
}

static void a_worker_that_says_nothing_of_problems_is_not_believed(void **state)
{
	struct json *check = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(check_with(*state,
				    "read -r request <&3; echo '{\"result\":{}}' >&3",
				    &check, &err),
			 -1);
	assert_int_equal(err.code, ERROR_INTERNAL);
	assert_null(check);
}

static void a_worker_that_fails_is_an_error_with_its_words(void **state)
{
	struct json *check = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(
		check_with(*state,
			   "read -r request <&3; echo "
			   "'{\"error\":{\"name\":\"token\",\"message\":\"no\"}}' "
			   ">&3",
			   &check, &err),
		-1);
	assert_int_equal(err.code, ERROR_TOKEN);
	assert_string_equal(err.text, "checking the token: no");
}

static void older_tokens_are_forgotten_but_not_that_one_was_tried(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(token_forget_older(&sysroot->root, &err), 0);
	sysroot_mkdir(sysroot, BACKUP);
	sysroot_write(sysroot, BACKUP "/other.tok", "other");
	sysroot_write(sysroot, BACKUP "/rejected.tok", "tried");
	sysroot_write(sysroot, PATHS_TOKEN, "installed");

	assert_int_equal(token_forget_older(&sysroot->root, &err), 0);

	sysroot_assert_entries(sysroot, BACKUP, 1);
	sysroot_assert_text(sysroot, BACKUP "/rejected.tok", "tried");
	sysroot_assert_text(sysroot, PATHS_TOKEN, "installed");
}

static void a_rejected_token_is_known_by_its_bytes(void **state)
{
	const struct sysroot *sysroot = *state;
	cleanup_fd int bad = -1, good = -1;
	struct error err = ERROR_INIT;

	assert_int_equal(token_memory("bad", 3, &bad, &err), 0);
	assert_int_equal(token_memory("good", 4, &good, &err), 0);
	assert_false(token_is_rejected(&sysroot->root, bad));
	assert_int_equal(token_reject(&sysroot->root, bad, &err), 0);

	assert_true(token_is_rejected(&sysroot->root, bad));
	assert_false(token_is_rejected(&sysroot->root, good));
	assert_true(token_same(bad, bad));
	assert_false(token_same(bad, good));
}

static void the_way_back_is_the_last_licensed_one(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(token_open_licensed(&sysroot->root), -1);
	sysroot_write(sysroot, PATHS_TOKEN, "licensed");
	assert_int_equal(token_keep_licensed(&sysroot->root, &err), 0);
	sysroot_write(sysroot, PATHS_TOKEN, "on trial");
	assert_int_equal(token_keep_licensed(&sysroot->root, &err), 0);

	cleanup_fd int kept = token_open_licensed(&sysroot->root);
	assert_true(kept >= 0);
	sysroot_assert_text(sysroot, BACKUP "/licensed.tok", "licensed");

	assert_int_equal(token_forget_older(&sysroot->root, &err), 0);
	assert_int_equal(token_open_licensed(&sysroot->root), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(exactly_the_bytes_are_installed),
		TEST(the_folder_is_made),
		TEST(the_same_token_again_changes_nothing),
		TEST(another_mode_is_a_change),
		TEST(the_token_before_it_is_kept),
		TEST(other_tokens_are_moved_and_never_lost),
		TEST(older_tokens_are_forgotten_but_not_that_one_was_tried),
		TEST(the_way_back_is_the_last_licensed_one),
		TEST(a_file_that_is_no_token_is_none_and_stays),
		TEST(the_folder_that_gridd_conf_names_is_the_tokens),
		TEST(a_folder_that_is_a_file_is_told),
		TEST(hidden_files_and_folders_of_others_stay),
		TEST(a_linked_folder_is_followed_inside_the_root),
		TEST(a_linked_token_becomes_a_file_and_its_target_stays),
		TEST(what_cannot_be_a_token_leaves_the_old_one),
		TEST(no_fault_loses_a_token),
		TEST(memory_is_sealed_and_at_its_beginning),
		TEST(memory_refuses_what_is_too_large),
		TEST(the_installed_token_is_the_newest),
		TEST(a_rejected_token_is_known_by_its_bytes),
		TEST(no_token_is_no_error),
		TEST(check_hands_the_token_to_the_worker),
		TEST(a_worker_that_says_nothing_of_problems_is_not_believed),
		TEST(a_worker_that_fails_is_an_error_with_its_words),
	};

	return cmocka_run_group_tests_name("token_step", tests, NULL, NULL);
}
