/* SPDX-License-Identifier: Apache-2.0 */
#include "model/repository/repository.h"

#include <string.h>

#include "base/text.h"
#include "support/cmocka.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define RUN "NVIDIA-Linux-x86_64-535.161.08-grid.run"

static int read_text(const char *text, struct repository *ret_repository,
		     struct error *err)
{
	cleanup_json struct json *json = NULL;

	assert_int_equal(json_parse(text, strlen(text), &json, err), 0);
	return repository_from_json(json, ret_repository, err);
}

static void the_workers_answer_becomes_packages(void **state)
{
	cleanup(repository_done) struct repository repository = { 0 };
	struct error err = ERROR_INIT;

	(void)state;
	if (read_text("{\"source\":\"manifest\",\"verified\":true,\"files\":["
		      "{\"name\":\"a/" RUN "\",\"size\":7,\"sha256\":\"" SHA "\"},"
		      "{\"name\":\"x-vgpu-kvm.run\",\"size\":1,\"sha256\":\"" SHA "\"}],"
		      "\"warnings\":[\"PULP_MANIFEST line 7: \\u001b[2J\"],"
		      "\"catalog\":{\"branch\":[],\"driver\":[]}}",
		      &repository, &err) < 0)
		fail_msg("%s", err.text);

	assert_int_equal(repository.source, REPOSITORY_MANIFEST);
	assert_true(repository.verified);
	assert_int_equal(repository.count, 1);
	assert_string_equal(repository.packages[0].name, "a/" RUN);
	assert_string_equal(repository.packages[0].version, "535.161.08");
	assert_int_equal(repository.packages[0].size, 7);
	assert_string_equal(repository.packages[0].sha256, SHA);
	assert_int_equal(repository.passed_over_count, 1);
	assert_string_equal(repository.passed_over[0].name, "x-vgpu-kvm.run");
	assert_int_equal(repository.warning_count, 1);
	assert_string_equal(repository.warnings[0], "PULP_MANIFEST line 7: ?[2J");
	assert_non_null(repository.catalog);
}

static void an_index_page_gives_names_only(void **state)
{
	cleanup(repository_done) struct repository repository = { 0 };
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(read_text("{\"source\":\"listing\",\"files\":[{\"name\":\"" RUN
				   "\",\"size\":0,\"sha256\":\"\"}],\"catalog\":null}",
				   &repository, &err),
			 0);

	assert_int_equal(repository.source, REPOSITORY_LISTING);
	assert_false(repository.verified);
	assert_string_equal(repository.packages[0].sha256, "");
	assert_null(repository.catalog);
}

#define OTHER "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define THIRD "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define BUNDLE "NVIDIA-GRID-Linux-KVM-535.161.05-535.161.07-538.33.zip"

/* A manifest with RUN and BUNDLE, an index with these files, signed or not. */
static void with_index(const char *files, bool is_signed,
		       struct repository *ret_repository)
{
	cleanup_free char *text = text_print(
		"{\"source\":\"manifest\",\"files\":[{\"name\":\"" RUN
		"\",\"size\":7,\"sha256\":\"" SHA "\"},{\"name\":\"" BUNDLE
		"\",\"size\":9000,\"sha256\":\"" OTHER "\"}],\"index_signed\":%s,"
		"\"index\":{\"schema\":1,\"serial\":3,\"files\":[%s],\"modules\":[]}}",
		is_signed ? "true" : "false", files);
	struct error err = ERROR_INIT;

	assert_non_null(text);
	if (read_text(text, ret_repository, &err) < 0)
		fail_msg("%s", err.text);
}

static void without_an_index_there_is_no_signed_one(void **state)
{
	cleanup(repository_done) struct repository repository = { 0 };
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(read_text("{\"source\":\"manifest\",\"files\":[],"
				   "\"index\":null,\"index_signed\":true}",
				   &repository, &err),
			 0);

	assert_null(repository.index);
	assert_false(repository.index_signed);
}

static void what_the_index_says_of_a_file_wins_over_its_name(void **state)
{
	cleanup(repository_done) struct repository repository = { 0 };

	(void)state;
	with_index("{\"name\":\"" BUNDLE "\",\"size\":9000,\"sha256\":\"" OTHER
		   "\",\"host_version\":\"535.161.06\",\"members\":["
		   "{\"name\":\"a.deb\",\"kind\":\"deb\",\"version\":\"1.2\","
		   "\"arch\":\"x86_64\",\"offset\":0,\"method\":0,\"compressed_size\":9,"
		   "\"size\":9,\"sha256\":\"" SHA "\"},"
		   "{\"name\":\"b.run\",\"kind\":\"run\",\"version\":\"535.161.09\","
		   "\"arch\":\"aarch64\",\"offset\":99,\"method\":0,"
		   "\"compressed_size\":9,\"size\":9,\"sha256\":\"" SHA "\"}]}",
		   false, &repository);

	assert_int_equal(repository.count, 2);
	assert_string_equal(repository.packages[0].name, RUN);
	assert_string_equal(repository.packages[1].name, BUNDLE);
	assert_string_equal(repository.packages[1].host_version, "535.161.06");
	assert_string_equal(repository.packages[1].version, "535.161.09");
	assert_string_equal(repository.packages[1].arch, "aarch64");
	assert_string_equal(repository.packages[1].sha256, OTHER);
	assert_int_equal(repository.packages[1].size, 9000);
	assert_int_equal(repository.index->serial, 3);
}

static void manifest_and_index_that_contradict_each_other(void **state)
{
	static const struct {
		const char *size, *sha256, *why;
	} cases[] = {
		{ "7", SHA, NULL },
		{ "8", SHA, "different sizes" },
		{ "7", THIRD, "different SHA-256" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(repository_done) struct repository repository = { 0 };
		cleanup_free char *files =
			text_print("{\"name\":\"" RUN "\",\"kind\":\"run\",\"version\":"
				   "\"535.161.08\",\"arch\":\"x86_64\",\"size\":%s,"
				   "\"sha256\":\"%s\"}",
				   cases[i].size, cases[i].sha256);

		with_index(files, false, &repository);

		assert_int_equal(repository.count, cases[i].why ? 1 : 2);
		assert_int_equal(repository.passed_over_count, cases[i].why ? 1 : 0);
		if (cases[i].why)
			assert_non_null(
				strstr(repository.passed_over[0].why, cases[i].why));
	}
}

static void what_a_signed_index_does_not_name_is_passed_over(void **state)
{
	cleanup(repository_done) struct repository repository = { 0 };

	(void)state;
	with_index("", true, &repository);

	assert_int_equal(repository.count, 0);
	assert_int_equal(repository.passed_over_count, 2);
	assert_string_equal(repository.passed_over[0].why,
			    "not in the signed vgpu-index.json");
	assert_string_equal(repository.warnings[0],
			    "2 drivers are not in the signed vgpu-index.json (serial 3): "
			    "make and sign it again");
}

static void an_odd_answer_is_an_error(void **state)
{
	static const char *const cases[] = {
		"{\"files\":[{\"size\":1}]}",
		"{\"files\":[{\"name\":\"" RUN "\",\"size\":-1}]}",
		"{\"files\":[{\"name\":\"" RUN "\",\"sha256\":\"abc\"}]}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct repository repository = { .count = 77 };
		struct error err = ERROR_INIT;

		assert_int_equal(read_text(cases[i], &repository, &err), -1);
		assert_int_equal(repository.count, 77);
	}
}

static void what_only_people_read_is_capped(void **state)
{
	cleanup(repository_done) struct repository repository = { 0 };
	cleanup_json struct json *files = json_build("[]"), *warnings = json_build("[]");
	cleanup_json struct json *json = NULL;
	struct error err = ERROR_INIT;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(json_append(files, json_build("{s:s}", "name", "x.run")),
				 0);
		assert_int_equal(json_append(warnings, json_build("s", "odd")), 0);
	}
	json = json_build("{s:o, s:o}", "files", take_ptr(files), "warnings",
			  take_ptr(warnings));
	assert_non_null(json);
	assert_int_equal(repository_from_json(json, &repository, &err), 0);

	assert_int_equal(repository.count, 0);
	assert_in_range(repository.passed_over_count, 1, 1999);
	assert_in_range(repository.warning_count, 1, 1999);
}

static void a_files_url_is_the_repositorys_and_its_encoded_name(void **state)
{
	static const struct {
		const char *base, *name, *url;
	} cases[] = {
		{ "https://h/r", "a.run", "https://h/r/a.run" },
		{ "https://h/r/", "16/a b.zip", "https://h/r/16/a%20b.zip" },
		{ "file:///srv", "a?b#c%.run", "file:///srv/a%3Fb%23c%25.run" },
		{ "https://h", "\303\274.run", "https://h/%C3%BC.run" },
	};
	char url[64];

	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_true(repository_file_url(cases[i].base, cases[i].name, url,
						sizeof(url)));
		assert_string_equal(url, cases[i].url);
	}
	assert_false(repository_file_url("https://h", "12345", url, 14));
	assert_false(repository_file_url("https://a.host", "x", url, 14));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_workers_answer_becomes_packages),
		cmocka_unit_test(an_index_page_gives_names_only),
		cmocka_unit_test(without_an_index_there_is_no_signed_one),
		cmocka_unit_test(what_the_index_says_of_a_file_wins_over_its_name),
		cmocka_unit_test(manifest_and_index_that_contradict_each_other),
		cmocka_unit_test(what_a_signed_index_does_not_name_is_passed_over),
		cmocka_unit_test(an_odd_answer_is_an_error),
		cmocka_unit_test(what_only_people_read_is_capped),
		cmocka_unit_test(a_files_url_is_the_repositorys_and_its_encoded_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
