/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/bound.h"

#include <string.h>

#include "support/cmocka.h"

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct context ctx;

/* The metadata name this URL and checksum; root has a key. */
static void say(const char *url, const char *sha256)
{
	settings_init(&ctx.base);
	settings_init(&ctx.settings);
	ctx.settings.driver_layer = SETTINGS_METADATA;
	(void)snprintf(ctx.settings.driver.url, sizeof(ctx.settings.driver.url), "%s",
		       url);
	(void)strcpy(ctx.settings.driver.sha256, sha256);
	(void)strcpy(ctx.settings.driver.index_key, "/etc/key.pem");
}

/* One whose index names three files, one of them with a space. */
static struct repository *signed_repository(void)
{
	static struct index_file files[] = {
		{ .name = "a b.run", .size = 7, .sha256 = SHA_B },
		{ .name = "old/a.run", .size = 5, .sha256 = SHA_A },
		{ .name = "zip.zip", .size = 9, .sha256 = SHA_B },
	};
	static struct index index = { .file_count = ARRAY_SIZE(files), .files = files };
	static struct repository repository;

	repository = (struct repository){ .index = &index, .index_signed = true };
	return &repository;
}

static void a_url_is_bound_where_the_cloud_names_it_and_root_has_a_key(void **state)
{
	static const struct {
		enum settings_layer layer;
		const char *url, *key;
		bool expected;
	} rows[] = {
		{ SETTINGS_METADATA, "https://x/a.run", "/k", true },
		{ SETTINGS_FILE, "https://x/a.run", "/k", false },
		{ SETTINGS_COMMAND, "https://x/a.run", "/k", false },
		{ SETTINGS_METADATA, "", "/k", false },
		{ SETTINGS_METADATA, "https://x/a.run", "", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		say(rows[i].url, "");
		ctx.settings.driver_layer = rows[i].layer;
		(void)strcpy(ctx.settings.driver.index_key, rows[i].key);
		if (bound_is(&ctx) != rows[i].expected)
			fail_msg("row %zu", i);
	}
}

static void its_index_lies_where_root_says_else_in_the_urls_folder(void **state)
{
	static const struct {
		const char *own, *url, *expected;
	} rows[] = {
		{ "https://own.example/", "https://x.example/d/a.run",
		  "https://own.example/" },
		{ "", "https://x.example/d/a.run", "https://x.example/d/" },
		{ "", "https://x.example/d/a.run?to=/e/f#g", "https://x.example/d/" },
		{ "", "https://x.example/", "https://x.example/" },
	};
	struct error err = ERROR_INIT;
	char url[128], small[8];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		say(rows[i].url, "");
		(void)strcpy(ctx.base.driver.repository, rows[i].own);
		assert_int_equal(bound_repository(&ctx, url, sizeof(url), &err), 0);
		assert_string_equal(url, rows[i].expected);
	}

	assert_int_equal(bound_repository(&ctx, small, sizeof(small), &err), -1);
	assert_int_equal(err.code, ERROR_USAGE);
}

static void a_file_is_known_by_its_name_as_a_url_has_it(void **state)
{
	static const struct {
		const char *name, *sha256;
		uint64_t size; /* 0: not known */
	} rows[] = {
		{ "a%20b.run", "", 7 }, { "a b.run", "", 0 },    { "a.run", "", 5 },
		{ "a.run", SHA_A, 5 },  { "a.run", SHA_B, 0 },   { "old/a.run", "", 0 },
		{ "b.run", "", 0 },     { "zip.zip", SHA_B, 9 },
	};
	struct repository *repository = signed_repository();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct index_file *file =
			bound_file(repository, span_of(rows[i].name), rows[i].sha256);

		if ((file ? file->size : 0) != rows[i].size)
			fail_msg("row %zu: %s", i, file ? file->name : "none");
	}
}

static void an_index_that_nobody_signed_names_nothing(void **state)
{
	struct repository *repository = signed_repository();

	(void)state;
	repository->index_signed = false;
	assert_null(bound_file(repository, span_of("a.run"), ""));

	repository->index_signed = true;
	repository->index = NULL;
	assert_null(bound_file(repository, span_of("a.run"), ""));
}

static void what_the_index_says_of_the_file_is_taken(void **state)
{
	struct package package = { .name = "a b.run", .size = 1 };
	struct error err = ERROR_INIT;

	(void)state;
	say("https://x.example/d/a%20b.run?token=a/b", "");

	assert_int_equal(bound_take(&ctx, signed_repository(), &package, &err), 0);

	assert_int_equal(package.size, 7);
	assert_string_equal(package.sha256, SHA_B);
}

static void what_the_index_does_not_name_is_refused(void **state)
{
	static const struct {
		const char *url, *sha256, *words;
	} rows[] = {
		{ "https://x.example/d/other.run", "", "names p.run, which" },
		{ "https://x.example/d/a.run", SHA_B, "p.run with its driver.sha256" },
		{ "https://x.example/d/", "", "names p.run, which" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct package package = { .name = "p.run", .size = 1 };
		struct error err = ERROR_INIT;

		say(rows[i].url, rows[i].sha256);
		assert_int_equal(bound_take(&ctx, signed_repository(), &package, &err),
				 -1);
		assert_int_equal(err.code, ERROR_INTEGRITY);
		assert_non_null(strstr(err.text, rows[i].words));
		assert_non_null(strstr(err.hint, "--set driver.url"));
		assert_int_equal(package.size, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_url_is_bound_where_the_cloud_names_it_and_root_has_a_key),
		cmocka_unit_test(its_index_lies_where_root_says_else_in_the_urls_folder),
		cmocka_unit_test(a_file_is_known_by_its_name_as_a_url_has_it),
		cmocka_unit_test(an_index_that_nobody_signed_names_nothing),
		cmocka_unit_test(what_the_index_says_of_the_file_is_taken),
		cmocka_unit_test(what_the_index_does_not_name_is_refused),
	};

	return cmocka_run_group_tests_name("bound", tests, NULL, NULL);
}
