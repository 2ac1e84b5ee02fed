/* SPDX-License-Identifier: Apache-2.0 */
#include "model/paths.h"
#include "steps/fetch/fetch_member.h"

#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

/*
 * The worker is a shell script: it notes in "jobs" what it is asked for, keeps the
 * request in "request", writes "abc" where the member goes and answers with `member` or
 * `copy`.
 */
#define HASH "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define SUM "cb8379ac2098aa165029e3938a51da0bcecfc008fd6795f401178647f96c5b34"
#define CACHED PATHS_CACHE "/" HASH ".run"
#define NOTE PATHS_CACHE "/member.json"
#define PARTIAL PATHS_CACHE "/member.partial"
#define OF_ENTRY PATHS_CACHE "/" HASH
#define RUN "Guest_Drivers/NVIDIA-Linux-x86_64-525.105.17-grid.run"

#define COPY                              \
	"{\"result\":{\"sha256\":\"" HASH \
	"\",\"size\":3,\"bytes_transferred\":3,\"verified\":false}}"
#define MEMBER(kind, arch)                             \
	"{\"name\":\"" RUN "\",\"kind\":\"" kind "\"," \
	"\"version\":\"525.105.17\",\"arch\":\"" arch "\",\"size\":3}"
#define ANSWER(transfer, member, verified)                              \
	"{\"result\":{\"transfer\":\"" transfer "\",\"member\":" member \
	",\"size\":3,\"sha256\":\"" HASH                                \
	"\",\"bytes_transferred\":7,\"verified\":" verified ",\"why\":\"no ranges\"}}"
#define GOOD(transfer) ANSWER(transfer, MEMBER("run", "x86_64"), "true")
#define BAD(name) "{\"error\":{\"name\":\"" name "\",\"message\":\"no\"}}"

static struct settings settings;
static struct package package;
static const struct index_member entry = {
	.name = RUN,
	.kind = PACKAGE_RUN,
	.version = "525.105.17",
	.arch = "x86_64",
	.offset = 40,
	.method = 8,
	.compressed_size = 5,
	.size = 30,
	.sha256 = HASH,
};

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
	"read -r request <&3\n"
	"printf '%%s\\n' \"$request\" >$here/request\n"
	"case $request in\n"
	"*'\"job\":\"copy\"'*) echo copy >>$here/jobs; answer='%s' ;;\n"
	"*'\"job\":\"fetch\"'*) echo fetch >>$here/jobs; printf abc >&4; answer='%s' ;;\n"
	"*) echo member >>$here/jobs; answer='%s'; printf abc >&4 ;;\n"
	"esac\n"
	"printf '%%s\\n' \"$answer\" >&3\n";

static void scene_answer(struct scene *scene, const char *copy, const char *member)
{
	static const char fetch[] = "{\"result\":{\"sha256\":\"" SUM
				    "\",\"size\":1000,\"bytes_transferred\":9,"
				    "\"verified\":true}}";
	char text[4096];

	assert_true(text_format(text, sizeof(text), script, copy, fetch, member));
	sysroot_write(scene->sysroot, "/worker", text);
	assert_int_equal(chmod(scene->worker, 0755), 0);
}

static void scene_begin(struct scene *scene, struct sysroot *sysroot, const char *member)
{
	*scene = (struct scene){ .sysroot = sysroot,
				 .result = FETCH_RESULT_INIT,
				 .err = ERROR_INIT };
	assert_true(text_format(scene->worker, sizeof(scene->worker), "%s/worker",
				sysroot->dir));
	scene_answer(scene, COPY, member);
	scene->channel = (struct channel){ .worker = scene->worker,
					   .silence_s = 20,
					   .cancel_fd = -1 };
	scene->transport.http = json_build("{}");

	settings_init(&settings);
	package = (struct package){
		.kind = PACKAGE_BUNDLE, .name = "a.zip", .size = 1000, .sha256 = SUM
	};
	scene->input = (struct fetch_input){
		.url = "https://user:word@pulp.example/a.zip",
		.package = &package,
		.manifest_verified = true,
		.settings = &settings,
		.root = &sysroot->root,
		.wish = { .bundle = "a.zip", .arch = "x86_64", .kinds = { PACKAGE_RUN } },
	};
}

static int scene_fetch(struct scene *scene)
{
	fetch_result_done(&scene->result);
	return fetch_file(&scene->input, &scene->transport, &scene->sysroot->root,
			  &scene->channel, &scene->result, &scene->err);
}

static void scene_end(struct scene *scene)
{
	fetch_result_done(&scene->result);
	json_free(scene->transport.http);
}

static bool exists(const struct scene *scene, const char *path)
{
	struct stat st;

	return root_stat(&scene->sysroot->root, path, &st);
}

static bool holds(struct scene *scene, const char *path, const char *words)
{
	cleanup_free char *text = NULL;
	size_t size;

	assert_int_equal(
		file_read(&scene->sysroot->root, path, 4096, &text, &size, &scene->err),
		0);
	return strstr(text, words) != NULL;
}

static void assert_asked(struct scene *scene, const char *words)
{
	assert_true(holds(scene, "/request", words));
}

static void assert_member(const struct scene *scene, const char *jobs)
{
	char found[8] = "";

	assert_string_equal(scene->result.path, CACHED);
	assert_string_equal(scene->result.sha256, HASH);
	assert_string_equal(scene->result.member.name, RUN);
	assert_int_equal(scene->result.member.kind, PACKAGE_RUN);
	assert_int_equal(pread(scene->result.fd, found, sizeof(found), 0), 3);
	assert_string_equal(found, "abc");
	sysroot_assert_text(scene->sysroot, "/jobs", jobs);
}

static void the_member_gets_its_name_and_no_bundle_lies_anywhere(void **state)
{
	struct scene scene;

	scene_begin(&scene, *state, GOOD("whole"));

	assert_int_equal(scene_fetch(&scene), 0);

	assert_member(&scene, "member\n");
	assert_asked(&scene, "\"ranges\":true");
	assert_asked(&scene, SUM);
	assert_int_equal(scene.result.integrity, FETCH_MANIFEST_TLS);
	assert_int_equal(scene.result.bytes_transferred, 7);
	assert_string_equal(scene.result.why, "no ranges");
	sysroot_assert_entries(scene.sysroot, PATHS_CACHE, 2); /* and its note */
	scene_end(&scene);
}

static void a_second_run_takes_it_from_the_cache_and_hashes_it_again(void **state)
{
	struct scene scene;

	scene_begin(&scene, *state, GOOD("whole"));
	assert_int_equal(scene_fetch(&scene), 0);

	assert_int_equal(scene_fetch(&scene), 0);

	assert_member(&scene, "member\ncopy\n");
	assert_int_equal(scene.result.integrity, FETCH_MANIFEST_TLS);
	assert_int_equal(scene.result.bytes_transferred, 0);
	scene_end(&scene);
}

static void other_bytes_in_the_cache_are_fetched_again(void **state)
{
	struct scene scene;

	scene_begin(&scene, *state, GOOD("whole"));
	assert_int_equal(scene_fetch(&scene), 0);
	scene_answer(&scene, BAD("integrity"), GOOD("whole"));

	assert_int_equal(scene_fetch(&scene), 0);

	assert_member(&scene, "member\ncopy\nmember\n");
	scene_end(&scene);
}

static void a_note_of_another_bundle_or_another_wish_is_none(void **state)
{
	for (int change = 0; change < 4; change++) {
		struct scene scene;

		scene_begin(&scene, *state, GOOD("whole"));
		assert_int_equal(scene_fetch(&scene), 0);
		if (change == 0)
			package.sha256[0] = 'a';
		else if (change == 1)
			package.sha256[0] = '\0';
		else if (change == 2)
			scene.input.wish.kinds[1] = PACKAGE_DEB;
		else
			sysroot_write(scene.sysroot, NOTE, "{");

		assert_int_equal(scene_fetch(&scene), 0);

		assert_member(&scene, "member\nmember\n");
		scene_end(&scene);
		root_discard(&scene.sysroot->root, "/jobs");
		root_discard(&scene.sysroot->root, NOTE);
	}
}

/* What came by ranges proves nothing of the bundle's own sum. */
static void what_only_crc_guarded_is_not_taken_for_what_a_pin_guards(void **state)
{
	struct scene scene;

	scene_begin(&scene, *state, GOOD("member"));
	assert_int_equal(scene_fetch(&scene), 0);
	assert_asked(&scene, "\"ranges\":true");
	assert_int_equal(scene.result.integrity, FETCH_MANIFEST_TLS);
	assert_int_equal(scene_fetch(&scene), 0);
	assert_member(&scene, "member\ncopy\n");
	scene_answer(&scene, COPY, GOOD("whole"));
	scene.input.pinned = true;

	assert_int_equal(scene_fetch(&scene), 0);

	assert_member(&scene, "member\ncopy\nmember\n");
	assert_asked(&scene, "\"ranges\":false");
	assert_int_equal(scene.result.integrity, FETCH_SHA256_PIN);
	scene_end(&scene);
}

static void the_note_keeps_no_secret_of_the_url(void **state)
{
	struct scene scene;

	scene_begin(&scene, *state, GOOD("whole"));
	assert_int_equal(scene_fetch(&scene), 0);

	assert_true(holds(&scene, NOTE, "pulp.example"));
	assert_false(holds(&scene, NOTE, "word"));
	scene_end(&scene);
}

/* Foreseen was https, but a hop of it was not. The manifest says which bundle it is, and
 * of what came of it by ranges nothing. */
static void nothing_is_kept_when_nothing_vouches_in_the_end(void **state)
{
	static const char *const sums[] = { "", SUM };

	for (size_t i = 0; i < ARRAY_SIZE(sums); i++) {
		struct scene scene;

		scene_begin(&scene, *state,
			    ANSWER("member", MEMBER("run", "x86_64"), "false"));
		(void)text_copy(package.sha256, sizeof(package.sha256), sums[i]);

		assert_int_equal(scene_fetch(&scene), -1);

		assert_int_equal(scene.err.code, ERROR_INTEGRITY);
		sysroot_assert_entries(scene.sysroot, PATHS_CACHE, 0);
		scene_end(&scene);
	}
}

static void a_member_that_nobody_wished_for_is_refused(void **state)
{
	static const char *const answers[] = {
		ANSWER("whole", MEMBER("deb", "x86_64"), "true"),
		ANSWER("whole", MEMBER("run", "aarch64"), "true"),
		ANSWER("whole", MEMBER("bundle", "x86_64"), "true"),
		ANSWER("whole", "{}", "true"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		struct scene scene;

		scene_begin(&scene, *state, answers[i]);

		assert_int_equal(scene_fetch(&scene), -1);

		assert_int_equal(scene.err.code, ERROR_INTEGRITY);
		sysroot_assert_entries(scene.sysroot, PATHS_CACHE, 0);
		scene_end(&scene);
	}
}

static void a_bundle_that_cannot_stream_is_fetched_whole(void **state)
{
	struct scene scene;

	scene_begin(&scene, *state, GOOD("spool"));

	assert_int_equal(scene_fetch(&scene), 0);

	assert_string_equal(scene.result.path, PATHS_CACHE "/" SUM ".zip");
	assert_string_equal(scene.result.member.name, "");
	assert_int_equal(scene.result.bytes_transferred, 7 + 9);
	sysroot_assert_text(scene.sysroot, "/jobs", "member\nfetch\n");
	assert_false(exists(&scene, PARTIAL));
	scene_end(&scene);
}

static void with_an_index_what_came_is_kept_and_its_words_are_the_answer(void **state)
{
	struct scene scene;

	scene_begin(&scene, *state, BAD("network"));
	scene.input.entry = &entry;
	assert_int_equal(scene_fetch(&scene), -1);
	sysroot_assert_text(scene.sysroot, OF_ENTRY ".partial", "abc");
	assert_true(exists(&scene, OF_ENTRY ".place"));
	scene_answer(&scene, COPY, ANSWER("member", "{}", "true"));

	assert_int_equal(scene_fetch(&scene), 0);

	assert_member(&scene, "member\nmember\n");
	assert_asked(&scene, "\"offset\":40");
	assert_asked(&scene, "\"ranges\":true");
	assert_asked(&scene, "\"note\":5");
	assert_false(exists(&scene, OF_ENTRY ".partial"));
	assert_false(exists(&scene, OF_ENTRY ".place"));
	root_discard(&scene.sysroot->root, NOTE); /* the index is enough */
	assert_int_equal(scene_fetch(&scene), 0);
	assert_member(&scene, "member\nmember\ncopy\n");
	scene_end(&scene);
}

static void what_is_bad_or_cannot_be_resumed_is_dropped(void **state)
{
	static const struct {
		const char *answer;
		bool indexed;
	} cases[] = {
		{ BAD("integrity"), true },
		{ BAD("integrity"), false },
		{ BAD("network"), false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct scene scene;

		scene_begin(&scene, *state, cases[i].answer);
		scene.input.entry = cases[i].indexed ? &entry : NULL;

		assert_int_equal(scene_fetch(&scene), -1);

		sysroot_assert_entries(scene.sysroot, PATHS_CACHE, 0);
		scene_end(&scene);
	}
}

static void no_room_is_said_before_the_download(void **state)
{
	struct index_member large = entry;
	struct scene scene;

	scene_begin(&scene, *state, GOOD("member"));
	large.size = 1ull << 60;
	scene.input.entry = &large;

	assert_int_equal(scene_fetch(&scene), -1);

	assert_int_equal(scene.err.code, ERROR_PREREQUISITES);
	assert_false(exists(&scene, "/jobs"));
	sysroot_assert_entries(scene.sysroot, PATHS_CACHE, 0);
	scene_end(&scene);
}

#define sysroot_test(f) \
	cmocka_unit_test_setup_teardown(f, sysroot_setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		sysroot_test(the_member_gets_its_name_and_no_bundle_lies_anywhere),
		sysroot_test(a_second_run_takes_it_from_the_cache_and_hashes_it_again),
		sysroot_test(other_bytes_in_the_cache_are_fetched_again),
		sysroot_test(a_note_of_another_bundle_or_another_wish_is_none),
		sysroot_test(what_only_crc_guarded_is_not_taken_for_what_a_pin_guards),
		sysroot_test(the_note_keeps_no_secret_of_the_url),
		sysroot_test(nothing_is_kept_when_nothing_vouches_in_the_end),
		sysroot_test(a_member_that_nobody_wished_for_is_refused),
		sysroot_test(a_bundle_that_cannot_stream_is_fetched_whole),
		sysroot_test(
			with_an_index_what_came_is_kept_and_its_words_are_the_answer),
		sysroot_test(what_is_bad_or_cannot_be_resumed_is_dropped),
		sysroot_test(no_room_is_said_before_the_download),
	};

	return cmocka_run_group_tests_name("fetch_member", tests, NULL, NULL);
}
