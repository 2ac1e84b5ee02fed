/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/obtain.h"

#include <fcntl.h>
#include <string.h>

#include "base/text.h"
#include "model/paths.h"
#include "support/cmocka.h"
#include "support/worker.h"

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define VERSION "550.90.07"
#define RUN "NVIDIA-Linux-x86_64-" VERSION "-grid.run"
#define ZIP "NVIDIA-GRID-Linux-KVM-550.90.05-550.90.07-552.55.zip"
#define CACHED PATHS_CACHE "/" SHA_A ".run"

/* A guest of a host of branch 550, and a repository whose index knows one file. */
struct scene {
	struct stage stage;
	struct guest guest;
	struct index_member member;
	struct index_file file;
	struct index index;
	struct repository repository;
	struct work work;
	struct error err;
};

static struct scene scene;

static void begin(const struct sysroot *sysroot, const char *name)
{
	scene = (struct scene){ .err = ERROR_INIT };
	stage_set(&scene.stage, sysroot);
	(void)strcpy(scene.stage.ctx.settings.driver.repository, "https://x.example/d/");
	scene.guest = (struct guest){ .host = { .version = "550.90.05" },
				      .os = { .id = "debian", .arch = "x86_64" } };
	scene.member = (struct index_member){ .name = "G/" RUN,
					      .kind = PACKAGE_RUN,
					      .version = VERSION,
					      .arch = "x86_64",
					      .size = 3,
					      .sha256 = SHA_A };
	scene.file = (struct index_file){ .kind = package_kind_of(span_of(name)),
					  .size = 3,
					  .sha256 = SHA_A,
					  .member_count = 1,
					  .members = &scene.member };
	(void)strcpy(scene.file.name, name);
	(void)strcpy(scene.file.version, VERSION);
	scene.index = (struct index){ .file_count = 1, .files = &scene.file };
	scene.repository = (struct repository){ .source = REPOSITORY_INDEX };

	work_begin(&scene.stage.ctx, &scene.guest, &scene.work);
	scene.work.match.rule = MATCH_VERSION;
	scene.work.match.package.kind = scene.file.kind;
	(void)strcpy(scene.work.match.package.name, name);
	(void)strcpy(scene.work.driver.version, VERSION);
}

static void end(void)
{
	work_done(&scene.work);
	stage_clear(&scene.stage);
}

static int prepare(struct obtain_request *ret_request)
{
	return obtain_prepare(&scene.stage.ctx, &scene.repository, &scene.work,
			      ret_request, &scene.err);
}

static void a_file_of_the_repository_is_asked_for_below_it(void **state)
{
	struct obtain_request request;

	begin(*state, "a b.run");

	assert_int_equal(prepare(&request), 0);

	assert_string_equal(request.input.url, "https://x.example/d/a%20b.run");
	assert_false(request.input.pinned || request.input.index_signed ||
		     request.input.manifest_verified);
	assert_ptr_equal(request.input.root, &scene.stage.ctx.root);
	end();
}

static void a_named_url_is_asked_for_as_it_is(void **state)
{
	struct obtain_request request;

	begin(*state, RUN);
	scene.work.match.rule = MATCH_URL;
	(void)strcpy(scene.stage.ctx.settings.driver.url, "https://y.example/x?a=/b");
	scene.stage.ctx.settings.driver_layer = SETTINGS_COMMAND;
	/* The manifest is of the repository, which this file is not from. */
	scene.repository.source = REPOSITORY_MANIFEST;
	scene.repository.verified = true;

	assert_int_equal(prepare(&request), 0);

	assert_string_equal(request.input.url, "https://y.example/x?a=/b");
	assert_false(request.input.manifest_verified);
	assert_ptr_equal(request.input.root, &scene.stage.ctx.caller);
	end();
}

static void what_vouches_is_what_names_the_file(void **state)
{
	static const struct {
		enum repository_source source;
		bool verified, indexed, index_verified, index_signed;
		bool manifest, by_index, by_signature;
	} rows[] = {
		{ REPOSITORY_MANIFEST, true, false, false, false, true, false, false },
		{ REPOSITORY_MANIFEST, false, false, false, false, false, false, false },
		{ REPOSITORY_LISTING, true, false, false, false, false, false, false },
		{ REPOSITORY_INDEX, true, true, true, false, false, true, false },
		{ REPOSITORY_INDEX, true, true, true, true, false, true, true },
		{ REPOSITORY_INDEX, true, false, true, true, false, false, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct obtain_request request;

		if (i == 0)
			begin(*state, RUN);
		scene.repository.source = rows[i].source;
		scene.repository.verified = rows[i].verified;
		scene.repository.index = &scene.index;
		scene.repository.index_verified = rows[i].index_verified;
		scene.repository.index_signed = rows[i].index_signed;
		(void)strcpy(scene.file.name, rows[i].indexed ? RUN : "other.run");
		assert_int_equal(prepare(&request), 0);
		if (request.input.manifest_verified != rows[i].manifest ||
		    request.input.index_verified != rows[i].by_index ||
		    request.input.index_signed != rows[i].by_signature)
			fail_msg("row %zu", i);
	}
	end();
}

static void the_pin_counts_and_must_not_contradict(void **state)
{
	static const struct {
		const char *pin, *known, *taken; /* NULL: refused */
		bool indexed;
		const char *words;
	} rows[] = {
		{ "", SHA_A, SHA_A, false, "" },
		{ SHA_A, "", SHA_A, false, "" },
		{ SHA_A, SHA_A, SHA_A, true, "" },
		{ SHA_B, SHA_A, NULL, true, "the index says aaaaaaaaaaaa..." },
		{ SHA_B, SHA_A, NULL, false, "the manifest says aaaaaaaaaaaa..." },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct obtain_request request;

		begin(*state, RUN);
		scene.repository.index = rows[i].indexed ? &scene.index : NULL;
		(void)strcpy(scene.stage.ctx.settings.driver.sha256, rows[i].pin);
		(void)strcpy(scene.work.match.package.sha256, rows[i].known);
		assert_int_equal(prepare(&request), rows[i].taken ? 0 : -1);
		if (rows[i].taken) {
			assert_string_equal(request.package.sha256, rows[i].taken);
			assert_int_equal(request.input.pinned, rows[i].pin[0] != '\0');
		} else {
			assert_int_equal(scene.err.code, ERROR_INTEGRITY);
			assert_false(scene.err.passing);
			assert_non_null(strstr(scene.err.text, rows[i].words));
		}
		end();
	}
}

static void of_a_bundle_the_guests_member_is_wished_for(void **state)
{
	static const struct {
		const char *package, *os;
		enum package_kind first, second;
	} rows[] = {
		{ "auto", "debian", PACKAGE_RUN, PACKAGE_DEB },
		{ "auto", "rhel", PACKAGE_RUN, PACKAGE_RPM },
		{ "run", "debian", PACKAGE_RUN, PACKAGE_NONE },
		{ "deb", "debian", PACKAGE_DEB, PACKAGE_NONE },
		{ "rpm", "debian", PACKAGE_RPM, PACKAGE_NONE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct obtain_request request;

		begin(*state, ZIP);
		(void)strcpy(scene.stage.ctx.settings.driver.package, rows[i].package);
		(void)strcpy(scene.guest.os.id, rows[i].os);
		assert_int_equal(prepare(&request), 0);
		assert_string_equal(request.input.wish.bundle, ZIP);
		assert_string_equal(request.input.wish.arch, "x86_64");
		assert_int_equal(request.input.wish.kinds[0], rows[i].first);
		assert_int_equal(request.input.wish.kinds[1], rows[i].second);
		end();
	}
}

/* A pin is of the whole bundle, and an index that nobody vouches for says nothing. */
static void the_indexs_member_is_used_where_something_vouches_for_it(void **state)
{
	static const struct {
		bool index_verified, index_signed, pinned, expected;
	} rows[] = {
		{ true, false, false, true },
		{ false, true, false, true },
		{ false, false, false, false },
		{ true, true, true, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct obtain_request request;

		begin(*state, ZIP);
		scene.repository.index = &scene.index;
		scene.repository.index_verified = rows[i].index_verified;
		scene.repository.index_signed = rows[i].index_signed;
		if (rows[i].pinned)
			(void)strcpy(scene.stage.ctx.settings.driver.sha256, SHA_A);
		assert_int_equal(prepare(&request), 0);
		if ((request.input.entry == &scene.member) != rows[i].expected)
			fail_msg("row %zu", i);
		end();
	}
}

#define CAME(more)                                                                  \
	"{\"result\":{\"sha256\":\"" SHA_A "\",\"size\":3,\"bytes_transferred\":3," \
	"\"verified\":" more "}}"

static int fetch(const struct sysroot *sysroot, const char *answer,
		 struct outcome *outcome)
{
	const struct worker_answer answers[] = { { "fetch", "printf %s abc >&4", answer },
						 { NULL } };

	worker_set(&scene.stage, sysroot, answers);
	return obtain_fetch(&scene.stage.ctx, &scene.repository, &scene.work, outcome,
			    &scene.err);
}

static void a_fetched_file_lies_in_the_cache(void **state)
{
	struct outcome outcome = { .step = "fetch" };

	begin(*state, RUN);

	if (fetch(*state, CAME("true"), &outcome) < 0)
		fail_msg("%s", scene.err.text);

	assert_string_equal(scene.work.file.path, CACHED);
	assert_int_equal(outcome.kind, OUTCOME_CHANGED);
	assert_string_equal(outcome.detail, "3 B, 3 B transferred, tls");
	assert_string_equal(outcome.warning, "");
	assert_int_equal(worker_count(*state, "https://x.example/d/" RUN), 1);
	end();
}

static void that_nothing_vouches_is_refused_or_warned_of(void **state)
{
	struct outcome outcome = { .step = "fetch" };

	begin(*state, RUN);
	(void)strcpy(scene.stage.ctx.settings.driver.repository, "http://x.example/");
	assert_int_equal(fetch(*state, CAME("false"), &outcome), -1);
	assert_int_equal(scene.err.code, ERROR_INTEGRITY);
	assert_int_equal(worker_count(*state, "fetch"), 0);

	(void)strcpy(scene.stage.ctx.settings.driver.integrity, "warn");
	assert_int_equal(fetch(*state, CAME("false"), &outcome), 0);
	assert_non_null(strstr(outcome.warning, "nothing vouches for this file"));
	end();
}

static void what_is_here_is_not_fetched(void **state)
{
	struct outcome outcome;

	for (unsigned installed = 0; installed < 2; installed++) {
		begin(*state, RUN);
		outcome = (struct outcome){ .step = "fetch" };
		if (installed)
			scene.work.match.rule = MATCH_INSTALLED;
		else
			(void)strcpy(scene.work.driver.path, CACHED);

		assert_int_equal(obtain_fetch(&scene.stage.ctx, &scene.repository,
					      &scene.work, &outcome, &scene.err),
				 0);
		assert_int_equal(outcome.kind, OUTCOME_SKIPPED);
		assert_string_equal(scene.work.file.path, "");
		end();
	}
}

/* The file was fetched; the worker says this of it. */
static int take_out(const struct sysroot *sysroot, const char *inspected,
		    struct outcome *outcome)
{
	const struct worker_answer answers[] = {
		{ "inspect", NULL, inspected },
		{ "unpack", "printf %s run >&5",
		  "{\"result\":{\"member\":\"m\",\"sha256\":\"" SHA_B "\",\"size\":3}}" },
		{ NULL }
	};
	struct fetch_result *file = &scene.work.file;

	worker_set(&scene.stage, sysroot, answers);
	sysroot_write(sysroot, "/fetched", "abc");
	file->fd = root_open_at(&sysroot->root, "/fetched", O_RDONLY, 0, &scene.err);
	assert_true(file->fd >= 0);
	(void)strcpy(file->path, CACHED);
	(void)strcpy(file->sha256, SHA_A);
	return obtain_take_out(&scene.stage.ctx, &scene.repository, &scene.work, outcome,
			       &scene.err);
}

#define A_RUN(version)                                       \
	"{\"result\":{\"kind\":\"run\",\"version\":" version \
	",\"arch\":\"x86_64\",\"members\":[]}}"

static void the_file_says_what_it_is(void **state)
{
	struct outcome outcome = { .step = "unpack" };

	begin(*state, RUN);

	if (take_out(*state, A_RUN("\"550.90.12\""), &outcome) < 0)
		fail_msg("%s", scene.err.text);

	assert_int_equal(scene.work.driver.kind, PACKAGE_RUN);
	assert_string_equal(scene.work.driver.version, "550.90.12");
	assert_string_equal(scene.work.driver.path, CACHED);
	assert_string_equal(scene.work.driver.sha256, SHA_A);
	assert_string_equal(outcome.detail, "run driver 550.90.12");
	end();
}

static void what_the_file_says_must_fit(void **state)
{
	static const struct {
		const char *version, *answer;
		bool mismatch;
		enum error_code code; /* ERROR_NONE: it fits */
	} rows[] = {
		{ VERSION, A_RUN("null"), false, ERROR_NONE },
		{ "", A_RUN("null"), false, ERROR_INTEGRITY },
		{ VERSION, A_RUN("\"570.10\""), false, ERROR_NO_MATCH },
		{ VERSION, A_RUN("\"570.10\""), true, ERROR_NONE },
		{ "570.10", A_RUN("\"570.10\""), false, ERROR_NONE },
		{ VERSION,
		  "{\"result\":{\"kind\":\"none\",\"version\":null,\"arch\":null,"
		  "\"members\":[]}}",
		  false, ERROR_INTEGRITY },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct outcome outcome = { .step = "unpack" };

		begin(*state, RUN);
		(void)strcpy(scene.work.driver.version, rows[i].version);
		scene.stage.ctx.settings.driver.allow_mismatch = rows[i].mismatch;
		assert_int_equal(take_out(*state, rows[i].answer, &outcome),
				 rows[i].code ? -1 : 0);
		if (scene.err.code != rows[i].code)
			fail_msg("row %zu: %s", i, scene.err.text);
		end();
	}
}

#define A_BUNDLE                                                                                          \
	"{\"result\":{\"kind\":\"bundle\",\"version\":null,\"arch\":null,\"members\":[{\"name\":\"G/" RUN \
	"\","                                                                                             \
	"\"kind\":\"run\",\"version\":\"" VERSION                                                         \
	"\",\"arch\":\"x86_64\",\"size\":3}]}}"

static void of_a_bundle_the_member_is_the_driver(void **state)
{
	struct outcome outcome = { .step = "unpack" };

	begin(*state, ZIP);

	if (take_out(*state, A_BUNDLE, &outcome) < 0)
		fail_msg("%s", scene.err.text);

	assert_int_equal(scene.work.driver.kind, PACKAGE_RUN);
	assert_string_equal(scene.work.driver.path, PATHS_CACHE "/" SHA_B ".run");
	assert_string_equal(scene.work.driver.sha256, SHA_B);
	sysroot_assert_text(*state, PATHS_CACHE "/" SHA_B ".run", "run");
	end();
}

/* What the file holds, beside what the index says of it. */
static void a_file_that_contradicts_the_index_is_refused(void **state)
{
	static const struct {
		const char *name, *says; /* NULL: a bundle's member, as it is */
		enum package_kind kind;
		const char *version, *member, *member_version;
		unsigned size;
		const char *words; /* NULL: it is as the index says */
	} rows[] = {
		{ RUN, A_RUN("\"" VERSION "\""), PACKAGE_RUN, VERSION, "", "", 0, NULL },
		{ RUN, A_RUN("null"), PACKAGE_RUN, "550.1", "", "", 0, NULL },
		{ RUN, A_RUN("\"" VERSION "\""), PACKAGE_DEB, VERSION, "", "", 0,
		  "it is of another kind" },
		{ RUN, A_RUN("\"" VERSION "\""), PACKAGE_RUN, "550.1", "", "", 0,
		  "it is of another version" },
		{ ZIP, NULL, PACKAGE_RUN, "", "G/" RUN, VERSION, 3,
		  "it is of another kind" },
		{ ZIP, NULL, PACKAGE_BUNDLE, "", "other.run", VERSION, 3,
		  "it has another guest driver" },
		{ ZIP, NULL, PACKAGE_BUNDLE, "", "G/" RUN, "550.1", 3,
		  "of another version or size" },
		{ ZIP, NULL, PACKAGE_BUNDLE, "", "G/" RUN, VERSION, 4,
		  "of another version or size" },
		{ ZIP, NULL, PACKAGE_BUNDLE, "", "G/" RUN, VERSION, 3,
		  "another SHA-256" }, /* of the member: what is unpacked is SHA_B */
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct outcome outcome = { .step = "unpack" };

		begin(*state, rows[i].name);
		if (!rows[i].says) {
			(void)strcpy(scene.member.name, rows[i].member);
			(void)strcpy(scene.member.version, rows[i].member_version);
			scene.member.size = rows[i].size;
		}
		scene.file.kind = rows[i].kind;
		(void)strcpy(scene.file.version, rows[i].version);
		scene.repository.index = &scene.index;
		assert_int_equal(take_out(*state, rows[i].says ? rows[i].says : A_BUNDLE,
					  &outcome),
				 rows[i].words ? -1 : 0);
		if (rows[i].words &&
		    (scene.err.code != ERROR_INTEGRITY || !scene.err.passing ||
		     !strstr(scene.err.text, rows[i].words)))
			fail_msg("row %zu: %s", i, scene.err.text);
		end();
	}
}

/* It came alone, unpacked on its way: the file in the cache is the member. */
static void a_member_that_came_alone_is_not_looked_into_again(void **state)
{
	static const struct {
		const char *arch;
		enum error_code code;
	} rows[] = { { "x86_64", ERROR_NONE }, { "aarch64", ERROR_NO_MATCH } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct outcome outcome = { .step = "unpack" };

		begin(*state, ZIP);
		scene.work.file.member = (struct member){ .name = "G/" RUN,
							  .kind = PACKAGE_RUN,
							  .version = VERSION,
							  .size = 3 };
		(void)strcpy(scene.work.file.member.arch, rows[i].arch);
		(void)strcpy(scene.work.file.path, CACHED);
		(void)strcpy(scene.work.file.sha256, SHA_A);
		scene.repository.index = &scene.index;

		assert_int_equal(obtain_take_out(&scene.stage.ctx, &scene.repository,
						 &scene.work, &outcome, &scene.err),
				 rows[i].code ? -1 : 0);
		assert_int_equal(scene.err.code, rows[i].code);
		assert_string_equal(scene.work.driver.path, rows[i].code ? "" : CACHED);
		end();
	}
}

static void what_stays_or_is_here_is_not_taken_out(void **state)
{
	struct outcome outcome = { .step = "unpack" };

	begin(*state, RUN);
	scene.work.match.rule = MATCH_INSTALLED;
	assert_int_equal(obtain_take_out(&scene.stage.ctx, &scene.repository, &scene.work,
					 &outcome, &scene.err),
			 0);
	assert_int_equal(outcome.kind, OUTCOME_SKIPPED);

	scene.work.match.rule = MATCH_NONE;
	scene.work.driver.kind = PACKAGE_RUN;
	(void)strcpy(scene.work.driver.path, PATHS_BACKUP "/old.run");
	assert_int_equal(obtain_take_out(&scene.stage.ctx, &scene.repository, &scene.work,
					 &outcome, &scene.err),
			 0);
	assert_string_equal(outcome.detail, "run driver " VERSION);
	assert_string_equal(scene.work.driver.path, PATHS_BACKUP "/old.run");
	end();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_file_of_the_repository_is_asked_for_below_it),
		TEST(a_named_url_is_asked_for_as_it_is),
		TEST(what_vouches_is_what_names_the_file),
		TEST(the_pin_counts_and_must_not_contradict),
		TEST(of_a_bundle_the_guests_member_is_wished_for),
		TEST(the_indexs_member_is_used_where_something_vouches_for_it),
		TEST(a_fetched_file_lies_in_the_cache),
		TEST(that_nothing_vouches_is_refused_or_warned_of),
		TEST(what_is_here_is_not_fetched),
		TEST(the_file_says_what_it_is),
		TEST(what_the_file_says_must_fit),
		TEST(of_a_bundle_the_member_is_the_driver),
		TEST(a_file_that_contradicts_the_index_is_refused),
		TEST(a_member_that_came_alone_is_not_looked_into_again),
		TEST(what_stays_or_is_here_is_not_taken_out),
	};

	return cmocka_run_group_tests_name("obtain", tests, NULL, NULL);
}
