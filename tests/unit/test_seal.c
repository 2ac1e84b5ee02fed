/* wrap: fstatat64 openat64 readdir64 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "model/paths.h"
#include "steps/seal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "model/license/token.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

#define SITE "/etc/nvidia/vgpu-tokens"

/* Long enough, and no two pieces of it are alike. */
static const char token[] =
	"eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJqdGkiOiJiNmU2ZjA0Yy0wMDAxLTQ0NDQtOTk5OS0w"
	"MDAwMDAwMDAwMDEiLCJpc3MiOiJOTFMgU2VydmljZSBJbnN0YW5jZSIsImF1ZCI6Ik5MUyBMaWNlbnNlZCB"
	"DbGllbnQifQ.c2lnbmF0dXJlLW9mLXRoZS10b2tlbi1pcy1ub3QtcmVhbA";
/* Found only where it is known. */
static const char formless[] =
	"a-token-of-nobodys-form-and-long-enough-for-its-second-half-to-be-pieces-of-it-"
	"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-9876543210";

static struct seal seal;
static struct seal_found found;

/* The call that fails, and as what: of the folder CLOSED, or, as it has no name, at its
 * first entry. */
#define CLOSED "closed"
enum call { CALL_NONE, CALL_FSTATAT, CALL_OPENAT, CALL_READDIR };
static struct {
	enum call call;
	int errnum;
} failing;

static bool fails(enum call call, const char *name)
{
	if (failing.call != call || strcmp(name, CLOSED) != 0)
		return false;
	errno = failing.errnum;
	return true;
}

int __real_fstatat64(int dir, const char *name, struct stat *st, int flags);
int __wrap_fstatat64(int dir, const char *name, struct stat *st, int flags);
int __wrap_fstatat64(int dir, const char *name, struct stat *st, int flags)
{
	return fails(CALL_FSTATAT, name) ? -1 : __real_fstatat64(dir, name, st, flags);
}

int __real_openat64(int dir, const char *name, int flags, ...);
int __wrap_openat64(int dir, const char *name, int flags, ...);
int __wrap_openat64(int dir, const char *name, int flags, ...)
{
	va_list args;
	mode_t mode = 0;

	va_start(args, flags);
	if (flags & (O_CREAT | O_TMPFILE))
		mode = va_arg(args, mode_t);
	va_end(args);
	return fails(CALL_OPENAT, name) ? -1 : __real_openat64(dir, name, flags, mode);
}

struct dirent *__real_readdir64(DIR *dir);
struct dirent *__wrap_readdir64(DIR *dir);
struct dirent *__wrap_readdir64(DIR *dir)
{
	struct dirent *entry = __real_readdir64(dir);

	return entry && fails(CALL_READDIR, entry->d_name) ? NULL : entry;
}

static int setup(void **state)
{
	static const char *const folders[] = {
		PATHS_TOKENS,     PATHS_TOKEN_BACKUP, "/var/lib/cloud", "/root",    SITE,
		"/usr/local/etc", "/usr/share/doc",   "/tmp",           PATHS_CACHE
	};
	const struct sysroot *sysroot;

	(void)sysroot_setup(state);
	sysroot = *state;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		sysroot_mkdir(*state, folders[i]);
	seal = (struct seal){ .root = &sysroot->root,
			      .folder = PATHS_TOKENS,
			      .token_file = "" };
	return 0;
}

static size_t search(void)
{
	struct error err = ERROR_INIT;

	assert_int_equal(seal_learn(&seal, &err), 0);
	assert_int_equal(seal_search(&seal, &found, &err), 0);
	return found.count;
}

static void discard(const struct sysroot *sysroot, const char *path)
{
	struct error err = ERROR_INIT;

	assert_int_equal(root_unlink(&sysroot->root, path, &err), 0);
}

static bool is_there(const struct sysroot *sysroot, const char *path)
{
	struct stat st;

	return root_stat(&sysroot->root, path, &st);
}

static void a_copy_is_found_wherever_it_lies(void **state)
{
	static const char *const paths[] = { "/root/t", "/var/lib/cloud/x", "/tmp/y",
					     "/etc/.hidden", "/usr/local/etc/z" };
	const struct sysroot *sysroot = *state;

	sysroot_write(sysroot, PATHS_TOKEN, formless);
	assert_int_equal(search(), 0);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		char text[1024];

		(void)snprintf(text, sizeof(text), "before\n%s\nafter", formless);
		sysroot_write(sysroot, paths[i], text);
		assert_int_equal(search(), 1);
		assert_string_equal(found.paths[0], paths[i]);
		discard(sysroot, paths[i]);
	}
}

/* Those that are installed, kept, or named, whichever folder gridd.conf names. */
static void every_token_of_the_guest_is_known(void **state)
{
	static const struct {
		const char *path, *folder, *token_file;
	} rows[] = {
		{ PATHS_TOKEN, PATHS_TOKENS, "" },
		{ PATHS_TOKENS "/site.tok", PATHS_TOKENS, "" },
		{ PATHS_TOKEN_BACKUP "/old", PATHS_TOKENS, "" },
		{ SITE "/client_configuration_token_03-28-2023-16-16-36.tok", SITE, "" },
		{ PATHS_TOKEN, SITE, "" },
		{ "/etc/named", PATHS_TOKENS, "/etc/named" },
	};
	const struct sysroot *sysroot = *state;

	sysroot_write(sysroot, "/root/copy", formless);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(search(), 0);
		seal.folder = rows[i].folder;
		seal.token_file = rows[i].token_file;
		sysroot_write(sysroot, rows[i].path, formless);
		if (search() != 1)
			fail_msg("%s: %zu", rows[i].path, found.count);
		assert_string_equal(found.paths[0], "/root/copy");
		discard(sysroot, rows[i].path);
		discard(sysroot, PATHS_SEAL);
	}
}

static void a_token_is_found_without_being_known(void **state)
{
	static const struct {
		const char *path, *text;
		size_t expected;
	} rows[] = {
		{ "/root/any", token, 1 },
		{ SITE "/left.conf", token, 1 }, /* no gridd.conf names that folder */
		{ "/root/client_configuration_token_03-28-2023-16-16-36.tok", "cut", 1 },
		{ "/root/client_configuration_token.tok", "", 0 },
		{ "/var/lib/cloud/obj.pkl", "client_token: none", 0 },
		{ "/usr/share/doc/manual", token, 0 }, /* a package's */
		{ PATHS_CACHE "/driver.run", token, 0 },
		{ PATHS_TOKENS "/README", "the token goes here", 0 },
	};
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		sysroot_write(sysroot, rows[i].path, rows[i].text);
		if (search() != rows[i].expected)
			fail_msg("%s: %zu", rows[i].path, found.count);
		discard(sysroot, rows[i].path);
	}
}

static void links_are_not_followed(void **state)
{
	const struct sysroot *sysroot = *state;
	char path[128];

	sysroot_write(sysroot, PATHS_TOKEN, token);
	(void)snprintf(path, sizeof(path), "%s/root/link", sysroot->dir);
	assert_int_equal(symlink(PATHS_TOKEN, path), 0);
	(void)snprintf(path, sizeof(path), "%s/root/loop", sysroot->dir);
	assert_int_equal(symlink("..", path), 0);

	assert_int_equal(search(), 0);
}

/* By hand or by a seal that failed in its middle: the token is gone, its copy is not. */
static void a_second_search_is_no_weaker(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	bool changed;

	sysroot_write(sysroot, PATHS_TOKEN, formless);
	sysroot_write(sysroot, "/root/copy", formless);
	assert_int_equal(search(), 1);
	assert_int_equal(seal_tokens(&seal, &changed, &err), 0);
	assert_int_equal(search(), 1);

	discard(sysroot, "/root/copy");
	assert_int_equal(seal_end(&sysroot->root, &err), 0);
	assert_false(is_there(sysroot, PATHS_SEAL));
	sysroot_write(sysroot, "/root/copy", formless);
	assert_int_equal(search(), 0);
}

static void what_is_kept_of_a_token_is_none(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	cleanup_free char *text = NULL;
	struct stat st;
	size_t size;

	sysroot_write(sysroot, PATHS_TOKEN, token);
	assert_int_equal(search(), 0);

	assert_int_equal(file_read(&sysroot->root, PATHS_SEAL, 65536, &text, &size, &err),
			 0);
	for (size_t i = 0; i + 8 < sizeof(token); i++) {
		char piece[9];

		(void)snprintf(piece, sizeof(piece), "%.8s", token + i);
		assert_null(strstr(text, piece));
	}
	assert_true(root_stat(&sysroot->root, PATHS_SEAL, &st));
	assert_int_equal(st.st_mode & 07777, 0600);
}

/* A record that is damaged is as none: what is installed is known, still. */
static void a_damaged_record_is_none(void **state)
{
	static const char *const texts[] = { "", "{", "{\"pieces\":7}",
					     "{\"pieces\":[7,\"xyz\",null]}" };
	const struct sysroot *sysroot = *state;

	sysroot_write(sysroot, PATHS_TOKEN, formless);
	sysroot_write(sysroot, "/root/copy", formless);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		sysroot_write(sysroot, PATHS_SEAL, texts[i]);
		assert_int_equal(search(), 1);
	}
}

/* A folder that cannot be looked into may hold a token; one that is gone does not. */
static void a_folder_that_cannot_be_searched_is_told(void **state)
{
	static const struct {
		enum call call;
		int errnum;
		size_t unread;
		const char *first;
	} rows[] = {
		{ CALL_FSTATAT, EIO, 1, "/root/" CLOSED },
		{ CALL_FSTATAT, ENOENT, 0, "" },
		{ CALL_OPENAT, EACCES, 1, "/root/" CLOSED },
		{ CALL_OPENAT, EMFILE, 1, "/root/" CLOSED },
		{ CALL_OPENAT, ENOENT, 0, "" },
		{ CALL_READDIR, EIO, 1, "/root" },
	};

	sysroot_mkdir(*state, "/root/" CLOSED);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		failing.call = rows[i].call;
		failing.errnum = rows[i].errnum;
		assert_int_equal(search(), 0);
		failing.call = CALL_NONE;
		if (found.unread != rows[i].unread)
			fail_msg("row %zu: %zu", i, found.unread);
		assert_string_equal(found.first_unread, rows[i].first);
	}
}

/* What cannot be unpacked is said, and what is read of it is searched. */
static void what_is_damaged_is_told(void **state)
{
	const struct sysroot *sysroot = *state;
	static const struct channel none = { .worker = "/none", .cancel_fd = -1 };

	seal.channel = &none;
	sysroot_write(sysroot, "/root/damaged.gz", "\x1f\x8b no gzip file");
	assert_int_equal(search(), 0);
	assert_int_equal(found.unread, 1);
	assert_string_equal(found.first_unread, "/root/damaged.gz");

	sysroot_write(sysroot, "/root/a.journal", "LPKSHHRH no journal");
	assert_int_equal(search(), 0);
	assert_int_equal(found.unread, 2);
}

static int tire(void *context, uint64_t bytes, struct error *err)
{
	uint64_t *searched = context;

	*searched += bytes;
	return *searched > 100 ? error_set_interrupted(err) : 0;
}

static void a_search_tells_how_far_it_is_and_can_be_ended(void **state)
{
	struct error err = ERROR_INIT;
	uint64_t searched = 0;

	seal.each = tire;
	seal.context = &searched;
	sysroot_write(*state, "/root/first", "few bytes");
	assert_int_equal(search(), 0);
	assert_int_equal(searched, strlen("few bytes"));
	sysroot_write(*state, "/root/second", formless);
	assert_int_equal(seal_search(&seal, &found, &err), -1);
	assert_true(err.interrupted);
}

static void every_token_goes_and_what_is_none_stays(void **state)
{
	static const struct {
		const char *path, *text;
		bool stays;
	} rows[] = {
		{ PATHS_TOKEN, token, false },
		{ PATHS_TOKENS "/.half-written", token, false },
		{ PATHS_TOKENS "/damaged.tok", "damaged", false },
		{ PATHS_TOKENS "/README", "of the site", true },
		{ PATHS_TOKEN_BACKUP "/old.tok.1", "whatever", false },
		{ SITE "/site", token, false },
		{ SITE "/gridd.conf.bak", "FeatureType=1", true },
		{ "/etc/named", token, false },
	};
	struct error err = ERROR_INIT;
	bool changed = false;

	seal.folder = SITE;
	seal.token_file = "/etc/named";
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		sysroot_write(*state, rows[i].path, rows[i].text);

	assert_int_equal(seal_tokens(&seal, &changed, &err), 0);
	assert_true(changed);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (is_there(*state, rows[i].path) != rows[i].stays)
			fail_msg("%s", rows[i].path);
	}
	assert_int_equal(seal_tokens(&seal, &changed, &err), 0);
	assert_false(changed);
}

static void a_single_token_anywhere_is_a_change(void **state)
{
	static const char *const paths[] = { PATHS_TOKEN, PATHS_TOKEN_BACKUP "/old.tok",
					     SITE "/t.tok", "/etc/named.tok" };

	seal.folder = SITE;
	seal.token_file = "/etc/named.tok";
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct error err = ERROR_INIT;
		bool changed = false;

		sysroot_write(*state, paths[i], token);
		assert_int_equal(seal_tokens(&seal, &changed, &err), 0);
		assert_true(changed);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_copy_is_found_wherever_it_lies),
		TEST(every_token_of_the_guest_is_known),
		TEST(a_token_is_found_without_being_known),
		TEST(links_are_not_followed),
		TEST(a_second_search_is_no_weaker),
		TEST(what_is_kept_of_a_token_is_none),
		TEST(a_damaged_record_is_none),
		TEST(a_folder_that_cannot_be_searched_is_told),
		TEST(what_is_damaged_is_told),
		TEST(a_search_tells_how_far_it_is_and_can_be_ended),
		TEST(every_token_goes_and_what_is_none_stays),
		TEST(a_single_token_anywhere_is_a_change),
	};

	return cmocka_run_group_tests_name("seal", tests, NULL, NULL);
}
