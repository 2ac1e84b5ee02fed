/* SPDX-License-Identifier: Apache-2.0 */
#include "model/paths.h"
#include "steps/fetch/fetch.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

static struct settings settings;
static struct package package;

static struct fetch_input input_of(const char *url, const char *integrity)
{
	settings_init(&settings);
	assert_true(text_copy(settings.driver.integrity,
			      sizeof(settings.driver.integrity), integrity));
	package = (struct package){ .kind = PACKAGE_RUN };
	memset(package.sha256, 'a', sizeof(package.sha256) - 1);
	return (struct fetch_input){ .url = url,
				     .package = &package,
				     .settings = &settings };
}

static void what_vouches_is_said_before_the_download(void **state)
{
	struct fetch_input input;

	(void)state;
	input = input_of("https://pulp.example/x.run", "require");
	assert_int_equal(fetch_foresee(&input), FETCH_TLS);
	input.manifest_verified = true;
	assert_int_equal(fetch_foresee(&input), FETCH_MANIFEST_TLS);
	input.pinned = true;
	assert_int_equal(fetch_foresee(&input), FETCH_SHA256_PIN);

	input = input_of("file:///tmp/x.run", "require");
	assert_int_equal(fetch_foresee(&input), FETCH_LOCAL_FILE);
	input = input_of("http://pulp.example/x.run", "require");
	assert_int_equal(fetch_foresee(&input), FETCH_NONE);
}

static void a_manifest_without_a_hash_is_only_tls(void **state)
{
	struct fetch_input input = input_of("https://pulp.example/x.run", "require");

	(void)state;
	package.sha256[0] = '\0';
	input.manifest_verified = true;

	assert_int_equal(fetch_foresee(&input), FETCH_TLS);
}

static void plain_http_is_refused_with_the_three_ways_out(void **state)
{
	struct fetch_input input =
		input_of("http://user:secret@pulp.example/x.run?token=1", "require");
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(fetch_check(&input, &err), -1);

	assert_int_equal(err.code, ERROR_INTEGRITY);
	assert_non_null(strstr(err.hint, "https://"));
	assert_non_null(strstr(err.hint, "driver.sha256"));
	assert_non_null(strstr(err.hint, "driver.integrity"));
	assert_null(strstr(err.text, "secret"));
	assert_null(strstr(err.text, "token=1"));
}

static void a_warning_is_enough_where_the_operator_says_so(void **state)
{
	struct fetch_input input = input_of("http://pulp.example/x.run", "warn");
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(fetch_check(&input, &err), 0);
}

/*
 * The rest goes through a worker that is a shell script; it notes each job in the file
 * "jobs" and answers with the variables `copy` and `fetch`.
 */
#define HASH "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define OTHER "cb8379ac2098aa165029e3938a51da0bcecfc008fd6795f401178647f96c5b34"
#define CACHED PATHS_CACHE "/" HASH ".run"
#define PARTIAL_FILE PATHS_CACHE "/" HASH ".partial"
#define GOOD(hash) "{\"result\":{\"sha256\":\"" hash "\",\"size\":3,"
#define VERIFIED "\"bytes_transferred\":3,\"verified\":true}}"
#define UNVERIFIED "\"bytes_transferred\":3,\"verified\":false}}"
#define BAD(name) "{\"error\":{\"name\":\"" name "\",\"message\":\"no\"}}"

struct scene {
	struct sysroot *sysroot;
	char worker[80];
	struct channel channel;
	struct transport transport;
	struct fetch_input input;
	struct fetch_result result;
	struct error err;
};

static const char script[] =
	"#!/bin/sh\n"
	"here=${0%%/*}\n"
	"read request <&3\n"
	"case $request in\n"
	"*'\"job\":\"copy\"'*) echo copy >>$here/jobs; answer='%s'\n"
	"  case $request in *output*) cat <&4 >&5 ;; esac ;;\n"
	"*) echo fetch >>$here/jobs; answer='%s'; printf %%s abc >&4 ;;\n"
	"esac\n"
	"[ \"$answer\" ] || sleep 30\n"
	"printf '%%s\\n' \"$answer\" >&3\n";

static void scene_begin(struct scene *scene, struct sysroot *sysroot, const char *copy,
			const char *fetch)
{
	char text[2048];

	*scene = (struct scene){ .sysroot = sysroot,
				 .result = FETCH_RESULT_INIT,
				 .err = ERROR_INIT };
	assert_true(text_format(text, sizeof(text), script, copy, fetch));
	sysroot_write(sysroot, "/worker", text);
	assert_true(text_format(scene->worker, sizeof(scene->worker), "%s/worker",
				sysroot->dir));
	assert_int_equal(chmod(scene->worker, 0755), 0);

	scene->channel = (struct channel){ .worker = scene->worker,
					   .silence_s = 20,
					   .cancel_fd = -1 };
	scene->transport.http = json_build("{}");
	scene->input = input_of("https://pulp.example/x.run", "require");
	scene->input.root = &sysroot->root;
	scene->input.manifest_verified = true;
	package.size = 3;
	assert_true(text_copy(package.sha256, sizeof(package.sha256), HASH));
}

static int scene_fetch(struct scene *scene)
{
	return fetch_file(&scene->input, &scene->transport, &scene->sysroot->root,
			  &scene->channel, &scene->result, &scene->err);
}

static void scene_cache(struct scene *scene, const char *path, const char *text)
{
	sysroot_mkdir(scene->sysroot, PATHS_CACHE);
	sysroot_write(scene->sysroot, path, text);
}

static bool exists(const struct scene *scene, const char *path)
{
	struct stat st;

	return root_stat(&scene->sysroot->root, path, &st);
}

static void assert_taken(const struct scene *scene, const char *path, const char *jobs)
{
	char found[8] = "";

	assert_string_equal(scene->result.path, path);
	assert_int_equal(pread(scene->result.fd, found, sizeof(found), 0), 3);
	assert_string_equal(found, "abc");
	sysroot_assert_text(scene->sysroot, "/jobs", jobs);
}

static void scene_end(struct scene *scene)
{
	fetch_result_done(&scene->result);
	json_free(scene->transport.http);
}

static void a_download_gets_its_name_when_it_is_whole(void **state)
{
	struct scene scene;
	struct stat st;

	scene_begin(&scene, *state, "", GOOD(HASH) VERIFIED);

	assert_int_equal(scene_fetch(&scene), 0);

	assert_taken(&scene, CACHED, "fetch\n");
	assert_int_equal(scene.result.integrity, FETCH_MANIFEST_TLS);
	assert_int_equal(scene.result.bytes_transferred, 3);
	assert_false(exists(&scene, PARTIAL_FILE));
	assert_true(root_stat(&scene.sysroot->root, CACHED, &st));
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(root_stat(&scene.sysroot->root, PATHS_CACHE, &st));
	assert_int_equal(st.st_mode & 07777, 0700);
	scene_end(&scene);
}

/* An archive of modules has no member to wish for, whatever an index calls it. */
static void what_is_no_bundle_is_fetched_as_it_is(void **state)
{
	struct scene scene;

	scene_begin(&scene, *state, "", GOOD(HASH) VERIFIED);
	scene.input.url = "https://pulp.example/modules.zip";
	package.kind = PACKAGE_NONE;

	assert_int_equal(scene_fetch(&scene), 0);

	assert_taken(&scene, PATHS_CACHE "/" HASH ".zip", "fetch\n");
	scene_end(&scene);
}

static void a_cached_file_is_hashed_again_and_taken(void **state)
{
	struct scene scene;

	scene_begin(&scene, *state, GOOD(HASH) UNVERIFIED, BAD("network"));
	scene_cache(&scene, CACHED, "abc");

	assert_int_equal(scene_fetch(&scene), 0);

	assert_taken(&scene, CACHED, "copy\n");
	assert_int_equal(scene.result.integrity, FETCH_MANIFEST_TLS);
	assert_int_equal(scene.result.bytes_transferred, 0);
	scene_end(&scene);
}

static void a_cached_file_of_other_bytes_is_fetched_again(void **state)
{
	struct scene scene;

	scene_begin(&scene, *state, BAD("integrity"), GOOD(HASH) VERIFIED);
	scene_cache(&scene, CACHED, "abX");

	assert_int_equal(scene_fetch(&scene), 0);

	assert_taken(&scene, CACHED, "copy\nfetch\n");
	scene_end(&scene);
}

/* Ctrl-C while gigabytes are hashed must not cost them. */
static void an_interruption_leaves_the_cached_file(void **state)
{
	struct scene scene;
	int cancel[2];

	scene_begin(&scene, *state, "", "");
	scene_cache(&scene, CACHED, "abc");
	assert_int_equal(pipe(cancel), 0);
	assert_int_equal(write(cancel[1], "x", 1), 1);
	scene.channel.cancel_fd = cancel[0];

	assert_int_equal(scene_fetch(&scene), -1);

	assert_true(scene.err.interrupted);
	sysroot_assert_text(scene.sysroot, CACHED, "abc");
	(void)close(cancel[0]);
	(void)close(cancel[1]);
	scene_end(&scene);
}

static void a_failed_download_leaves_what_can_be_continued(void **state)
{
	static const struct {
		const char *answer, *sha256;
		bool kept;
	} cases[] = {
		{ BAD("network"), HASH, true },
		{ BAD("prerequisites"), HASH, true },
		{ BAD("integrity"), HASH, false },
		{ BAD("network"), "", false },
		{ GOOD("../../etc/passwd") VERIFIED, HASH, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct scene scene;

		scene_begin(&scene, *state, "", cases[i].answer);
		assert_true(text_copy(package.sha256, sizeof(package.sha256),
				      cases[i].sha256));

		assert_int_equal(scene_fetch(&scene), -1);

		assert_int_equal(exists(&scene, PARTIAL_FILE), cases[i].kept);
		assert_false(exists(&scene, CACHED));
		sysroot_assert_entries(scene.sysroot, PATHS_CACHE, cases[i].kept);
		if (cases[i].kept)
			root_discard(&scene.sysroot->root, PARTIAL_FILE);
		scene_end(&scene);
	}
}

/* It thinks that this is what was asked for: what was asked for is compared by us. */
static void a_workers_word_for_other_bytes_is_not_taken(void **state)
{
	static const char *const answers[] = {
		GOOD(OTHER) VERIFIED,
		"{\"result\":{\"sha256\":\"" HASH "\",\"size\":4," VERIFIED,
	};

	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		struct scene scene;

		scene_begin(&scene, *state, "", answers[i]);
		assert_true(text_copy(package.sha256, sizeof(package.sha256), HASH));
		package.size = 3;

		scene.input.pinned = i > 0;

		assert_int_equal(scene_fetch(&scene), -1);

		assert_int_equal(scene.err.code, ERROR_INTEGRITY);
		/* The list may have been another publication's, a pin is nobody's. */
		assert_int_equal(scene.err.passing, i == 0);
		sysroot_assert_entries(scene.sysroot, PATHS_CACHE, 0);
		scene_end(&scene);
	}
}

static void without_a_hash_the_found_one_is_the_name(void **state)
{
	struct scene scene;

	scene_begin(&scene, *state, "", GOOD(OTHER) VERIFIED);
	package.sha256[0] = '\0';
	scene_cache(&scene, PATHS_CACHE "/unnamed.partial", "left over and longer");

	assert_int_equal(scene_fetch(&scene), 0);

	assert_taken(&scene, PATHS_CACHE "/" OTHER ".run", "fetch\n");
	assert_int_equal(scene.result.integrity, FETCH_TLS);
	scene_end(&scene);
}

/* Foreseen was https, but a hop of it was not. */
static void nothing_is_kept_when_nothing_vouches_in_the_end(void **state)
{
	struct scene scene;

	scene_begin(&scene, *state, "", GOOD(OTHER) UNVERIFIED);
	package.sha256[0] = '\0';

	assert_int_equal(scene_fetch(&scene), -1);

	assert_int_equal(scene.err.code, ERROR_INTEGRITY);
	sysroot_assert_entries(scene.sysroot, PATHS_CACHE, 0);
	scene_end(&scene);
}

static void nobody_is_asked_for_what_would_be_refused(void **state)
{
	struct scene scene;

	scene_begin(&scene, *state, "", GOOD(HASH) VERIFIED);
	scene.input.url = "http://pulp.example/x.run";
	scene.input.manifest_verified = false;

	assert_int_equal(scene_fetch(&scene), -1);

	assert_int_equal(scene.err.code, ERROR_INTEGRITY);
	assert_false(scene.err.passing);
	assert_false(exists(&scene, "/jobs"));
	scene_end(&scene);
}

static void no_room_is_said_before_the_download(void **state)
{
	struct scene scene;

	scene_begin(&scene, *state, "", GOOD(HASH) VERIFIED);
	package.size = 1ull << 60;

	assert_int_equal(scene_fetch(&scene), -1);

	assert_int_equal(scene.err.code, ERROR_PREREQUISITES);
	assert_non_null(strstr(scene.err.text, PATHS_CACHE));
	assert_false(exists(&scene, "/jobs"));
	scene_end(&scene);
}

static void a_local_file_is_copied_and_a_local_bundle_only_hashed(void **state)
{
	struct scene scene;

	scene_begin(&scene, *state, GOOD(HASH) UNVERIFIED, "");
	scene.input.url = "file:///my%20driver.run";
	sysroot_write(scene.sysroot, "/my driver.run", "abc");
	assert_int_equal(scene_fetch(&scene), 0);
	assert_taken(&scene, CACHED, "copy\n");
	assert_int_equal(scene.result.integrity, FETCH_LOCAL_FILE);
	assert_int_equal(scene.result.bytes_transferred, 0);
	fetch_result_done(&scene.result);

	package.kind = PACKAGE_BUNDLE;
	sysroot_write(scene.sysroot, "/b.zip", "abc");
	scene.input.url = "file:///b.zip";
	assert_int_equal(scene_fetch(&scene), 0);
	assert_taken(&scene, "", "copy\ncopy\n");
	sysroot_assert_entries(scene.sysroot, PATHS_CACHE, 1);
	scene_end(&scene);
}

static void a_local_file_that_is_none_is_an_error(void **state)
{
	static const char *const urls[] = { "file:///missing.run", "file:///folder",
					    "file://host/x.run" };

	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		struct scene scene;

		scene_begin(&scene, *state, GOOD(HASH) UNVERIFIED, "");
		assert_int_equal(
			root_mkdir(&scene.sysroot->root, "/folder", 0755, &scene.err), 0);
		scene.input.url = urls[i];

		assert_int_equal(scene_fetch(&scene), -1);

		assert_false(exists(&scene, "/jobs"));
		scene_end(&scene);
	}
}

static void pruning_keeps_one(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	sysroot_mkdir(sysroot, PATHS_CACHE);
	sysroot_write(sysroot, CACHED, "abc");
	sysroot_write(sysroot, PARTIAL_FILE, "ab");

	assert_int_equal(fetch_prune(&sysroot->root, CACHED, &err), 0);
	sysroot_assert_text(sysroot, CACHED, "abc");
	sysroot_assert_entries(sysroot, PATHS_CACHE, 1);

	assert_int_equal(fetch_prune(&sysroot->root, NULL, &err), 0);
	sysroot_assert_entries(sysroot, PATHS_CACHE, 0);
}

#define sysroot_test(f) \
	cmocka_unit_test_setup_teardown(f, sysroot_setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_vouches_is_said_before_the_download),
		cmocka_unit_test(a_manifest_without_a_hash_is_only_tls),
		cmocka_unit_test(plain_http_is_refused_with_the_three_ways_out),
		cmocka_unit_test(a_warning_is_enough_where_the_operator_says_so),
		sysroot_test(a_download_gets_its_name_when_it_is_whole),
		sysroot_test(what_is_no_bundle_is_fetched_as_it_is),
		sysroot_test(a_cached_file_is_hashed_again_and_taken),
		sysroot_test(a_cached_file_of_other_bytes_is_fetched_again),
		sysroot_test(an_interruption_leaves_the_cached_file),
		sysroot_test(a_failed_download_leaves_what_can_be_continued),
		sysroot_test(a_workers_word_for_other_bytes_is_not_taken),
		sysroot_test(without_a_hash_the_found_one_is_the_name),
		sysroot_test(nothing_is_kept_when_nothing_vouches_in_the_end),
		sysroot_test(nobody_is_asked_for_what_would_be_refused),
		sysroot_test(no_room_is_said_before_the_download),
		sysroot_test(a_local_file_is_copied_and_a_local_bundle_only_hashed),
		sysroot_test(a_local_file_that_is_none_is_an_error),
		sysroot_test(pruning_keeps_one),
	};

	return cmocka_run_group_tests_name("fetch", tests, NULL, NULL);
}
