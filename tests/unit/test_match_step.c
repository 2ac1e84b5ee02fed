/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/fetch/match.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

#define RUN "NVIDIA-Linux-x86_64-535.161.08-grid.run"

/* A worker that keeps its request and what descriptors 4 and 5 held, then answers. */
#define NO_INDEX "\"index\":null,\"index_verified\":false,\"index_signed\":false"

static int list(const struct sysroot *sysroot, const char *answer,
		const struct settings_driver *settings, struct repository *ret_repository,
		struct error *err)
{
	cleanup_free char *text = text_print("#!/bin/sh\nread -r request <&3\n"
					     "printf %%s \"$request\" > %s/request\n"
					     "cat /dev/fd/4 > %s/four 2>/dev/null\n"
					     "cat /dev/fd/5 > %s/five 2>/dev/null\n"
					     "echo '%s' >&3\n",
					     sysroot->dir, sysroot->dir, sysroot->dir,
					     answer);
	cleanup_json struct json *http = json_build("{s:i}", "retries", 1);
	char worker[PATH_MAX];
	const struct channel channel = { .worker = worker,
					 .silence_s = 20,
					 .cancel_fd = -1 };
	struct transport transport = { .http = http, .fd_count = 1 };
	cleanup_fd int ca = -1;

	assert_non_null(text);
	sysroot_write(sysroot, "/worker", text);
	sysroot_write(sysroot, "/ca.pem", "the CA");
	assert_true(text_format(worker, sizeof(worker), "%s/worker", sysroot->dir));
	assert_int_equal(chmod(worker, 0755), 0);
	ca = root_open_at(&sysroot->root, "/ca.pem", O_RDONLY, 0, err);
	transport.fds[0] = ca;
	return match_list(settings, &transport, &sysroot->root, &channel, ret_repository,
			  err);
}

static void the_worker_is_asked_for_the_list(void **state)
{
	static const struct settings_driver settings = {
		.repository = "https://pulp.example/content/", .catalog = "auto"
	};
	cleanup(repository_done) struct repository repository = { 0 };
	struct error err = ERROR_INIT;

	if (list(*state,
		 "{\"result\":{\"source\":\"manifest\",\"verified\":true,\"files\":["
		 "{\"name\":\"" RUN
		 "\",\"size\":7}],\"warnings\":[],\"catalog\":null," NO_INDEX "}}",
		 &settings, &repository, &err) < 0)
		fail_msg("%s", err.text);

	sysroot_assert_text(*state, "/request",
			    "{\"job\":\"list\",\"repository\":"
			    "\"https://pulp.example/content/\",\"http\":{\"retries\":1},"
			    "\"catalog\":\"auto\"}");
	sysroot_assert_text(*state, "/four", "the CA");
	assert_int_equal(repository.count, 1);
	assert_true(repository.verified);
}

static void a_catalogs_path_becomes_a_descriptor(void **state)
{
	static const struct settings_driver settings = {
		.repository = "https://pulp.example/", .catalog = "/catalog.yaml"
	};
	cleanup(repository_done) struct repository repository = { 0 };
	struct error err = ERROR_INIT;

	sysroot_write(*state, "/catalog.yaml", "version: 52");
	if (list(*state,
		 "{\"result\":{\"source\":\"listing\",\"verified\":false,\"files\":[],\"warnings\":[],\"catalog\":null," NO_INDEX
		 "}}",
		 &settings, &repository, &err) < 0)
		fail_msg("%s", err.text);

	sysroot_assert_text(*state, "/request",
			    "{\"job\":\"list\",\"repository\":\"https://pulp.example/\","
			    "\"http\":{\"retries\":1},\"catalog_input\":5,"
			    "\"catalog\":\"none\"}");
	sysroot_assert_text(*state, "/five", "version: 52");
}

static void what_cannot_be_listed_is_named_without_its_secrets(void **state)
{
	static const struct settings_driver settings = {
		.repository = "https://me:secret@pulp.example/", .catalog = "auto"
	};
	struct repository repository = { .count = 77 };
	struct error err = ERROR_INIT;

	assert_int_equal(
		list(*state,
		     "{\"error\":{\"name\":\"network\",\"message\":\"HTTP 503\"}}",
		     &settings, &repository, &err),
		-1);

	assert_int_equal(err.code, ERROR_NETWORK);
	assert_string_equal(err.text, "listing https://pulp.example/: HTTP 503");
	assert_int_equal(repository.count, 77);
}

static void only_http_has_repositories(void **state)
{
	static const struct settings_driver settings = { .repository = "file:///srv/",
							 .catalog = "auto" };
	struct repository repository;
	struct error err = ERROR_INIT;

	assert_int_equal(list(*state, "", &settings, &repository, &err), -1);
	assert_int_equal(err.code, ERROR_USAGE);
}

static void a_missing_catalog_is_named(void **state)
{
	static const struct settings_driver settings = {
		.repository = "https://pulp.example/", .catalog = "/none.yaml"
	};
	struct repository repository;
	struct error err = ERROR_INIT;

	assert_int_equal(list(*state, "", &settings, &repository, &err), -1);
	assert_non_null(strstr(err.text, "driver.catalog: opening /none.yaml"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_worker_is_asked_for_the_list),
		TEST(a_catalogs_path_becomes_a_descriptor),
		TEST(what_cannot_be_listed_is_named_without_its_secrets),
		TEST(only_http_has_repositories),
		TEST(a_missing_catalog_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
