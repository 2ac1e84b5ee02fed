/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/commands.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "support/agent_stage.h"
#include "support/cmocka.h"

#define FILE_NAME "NVIDIA-Linux-x86_64-" MACHINE_NEW "-grid.run"
#define DRIVER "a driver"
#define SHA "90383ae1a1af0952d39bcf452e62c7d6de4381a03bdd30bf5ead80c3b9bf4b99"
#define OWN "/out/.vgpu-guest-agent"

/* It hashes what it has read, and hands it on where an output is open. */
#define COPY                                                                            \
	"d=$(cat <&4); { printf %s \"$d\" >&5; } 2>/dev/null; "                         \
	"set -- $(printf %s \"$d\" | sha256sum); echo \"{\\\"result\\\":{\\\"size\\\":" \
	"${#d},\\\"sha256\\\":\\\"$1\\\",\\\"bytes_transferred\\\":0,"                  \
	"\\\"verified\\\":false}}\" >&3"
#define DOWNLOAD                                                                      \
	"printf %s '" DRIVER "' >&4; echo '{\"result\":{\"size\":8,\"sha256\":\"" SHA \
	"\",\"bytes_transferred\":8,\"verified\":true}}' >&3"
#define INSPECT(kind)                                                         \
	"echo '{\"result\":{\"kind\":\"" kind "\",\"version\":\"" MACHINE_NEW \
	"\",\"arch\":\"x86_64\",\"members\":[]}}' >&3"
#define LIST                                                                        \
	"echo '{\"result\":{\"source\":\"manifest\",\"verified\":true,\"files\":[{" \
	"\"name\":\"d/" FILE_NAME "\",\"size\":8,\"sha256\":\"" SHA                 \
	"\"}],\"warnings\":[],\"catalog\":null,\"index\":null,\"index_verified\":"  \
	"false,\"index_signed\":false,\"index_key\":null}}' >&3"

static const struct agent_stage_answer good[] = {
	{ "copy", COPY }, { "fetch", DOWNLOAD },
	{ "list", LIST }, { "inspect", INSPECT("run") },
	{ NULL, NULL },
};

static struct machine machine;
static struct request request;
static char output[PATH_MAX];

/* A guest whose repository has a driver, which also lies in /srv. */
static struct agent *begin(const struct sysroot *sysroot,
			   const struct agent_stage_answer *answers)
{
	struct agent *agent;

	sysroot_empty(sysroot);
	request = (struct request){ .output = output };
	agent = agent_stage_guest(sysroot, &request.options, &machine);
	sysroot_mkdir(sysroot, "/out");
	sysroot_mkdir(sysroot, "/srv");
	sysroot_write(sysroot, "/srv/" FILE_NAME, DRIVER);
	assert_true(text_format(output, sizeof(output), "%s/out", sysroot->dir));
	(void)strcpy(agent->context.settings.driver.repository, "https://x.example/");
	(void)strcpy(agent->context.settings.driver.version, MACHINE_NEW);
	agent_stage_worker(agent, sysroot, answers);
	return agent;
}

static void name_url(struct agent *agent, const char *url)
{
	agent->context.settings.driver.version[0] = '\0';
	assert_true(text_copy(agent->context.settings.driver.url,
			      sizeof(agent->context.settings.driver.url), url));
}

static bool is_there(const struct sysroot *sysroot, const char *path)
{
	struct stat st;

	return root_stat(&sysroot->root, path, &st);
}

static bool was_asked(const struct sysroot *sysroot, const char *job)
{
	cleanup_free char *text = NULL;
	struct error err = ERROR_INIT;
	char words[64];
	size_t size;

	(void)text_format(words, sizeof(words), "\"job\":\"%s\"", job);
	assert_int_equal(
		file_read(&sysroot->root, "/requests", 65536, &text, &size, &err), 0);
	return strstr(text, words) != NULL;
}

static void the_file_lands_under_its_own_name(void **state)
{
	static const struct {
		const char *url, *rule;
		int64_t transferred;
	} rows[] = {
		{ NULL, "manifest-tls", 8 },
		{ "file:///srv/" FILE_NAME, "local-file", 0 },
		{ "https://x.example/a/" FILE_NAME "?sig=a/b#c", "tls", 8 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state, good);
		cleanup_json struct json *report = NULL;
		struct error err = ERROR_INIT;
		char path[PATH_MAX + 100];

		if (rows[i].url)
			name_url(agent, rows[i].url);
		if (command_fetch(agent, &request, &report, &err) < 0)
			fail_msg("%zu: %s", i, err.text);

		sysroot_assert_text(*state, "/out/" FILE_NAME, DRIVER);
		sysroot_assert_entries(*state, "/out", 1);
		(void)text_format(path, sizeof(path), "%s/" FILE_NAME, output);
		assert_string_equal(json_get_string(report, "path"), path);
		assert_string_equal(json_get_string(report, "version"), MACHINE_NEW);
		assert_string_equal(json_get_string(report, "kind"), "run");
		assert_string_equal(json_get_string(report, "sha256"), SHA);
		assert_string_equal(json_get_string(report, "integrity"), rows[i].rule);
		assert_int_equal(json_get_int(report, "size", 0), 8);
		assert_int_equal(json_get_int(report, "bytes_transferred", -1),
				 rows[i].transferred);
		agent_stage_end(agent);
	}
}

static void a_folder_of_its_name_is_seen_before_the_download(void **state)
{
	struct agent *agent = begin(*state, good);
	struct json *report = NULL;
	struct error err = ERROR_INIT;

	sysroot_mkdir(*state, "/out/" FILE_NAME);
	assert_int_equal(command_fetch(agent, &request, &report, &err), -1);
	assert_int_equal(err.code, ERROR_PERMISSION);
	assert_non_null(strstr(err.text, FILE_NAME));
	assert_false(was_asked(*state, "fetch"));
	agent_stage_end(agent);
}

/* It is hashed before it is believed, and only what nobody else can change. */
static void what_lies_there_with_the_right_hash_is_not_loaded_again(void **state)
{
	static const struct {
		const char *text;
		mode_t mode;
		bool loaded;
	} rows[] = {
		{ DRIVER, 0644, false },
		{ "another driver", 0644, true },
		{ DRIVER, 0666, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state, good);
		cleanup_json struct json *report = NULL;
		struct error err = ERROR_INIT;

		sysroot_write(*state, "/out/" FILE_NAME, rows[i].text);
		assert_int_equal(fchmodat(agent->context.root.fd, "out/" FILE_NAME,
					  rows[i].mode, 0),
				 0);
		if (command_fetch(agent, &request, &report, &err) < 0)
			fail_msg("%zu: %s", i, err.text);

		assert_int_equal(was_asked(*state, "fetch"), rows[i].loaded);
		sysroot_assert_text(*state, "/out/" FILE_NAME, DRIVER);
		sysroot_assert_entries(*state, "/out", 1);
		agent_stage_end(agent);
	}
}

static void what_is_installed_is_of_no_interest(void **state)
{
	struct agent *agent = begin(*state, good);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;

	(void)strcpy(agent->state.driver.version, MACHINE_NEW);
	(void)strcpy(agent->state.installing.version, MACHINE_OLD);
	if (command_fetch(agent, &request, &report, &err) < 0)
		fail_msg("%s", err.text);

	sysroot_assert_text(*state, "/out/" FILE_NAME, DRIVER);
	assert_false(is_there(*state, PATHS_STATE_FILE));
	agent_stage_end(agent);
}

/* A page of text is no driver: nothing of it stays, and nothing is overwritten. */
static void what_is_no_driver_is_not_kept(void **state)
{
	static const struct agent_stage_answer bad[] = {
		{ "copy", COPY }, { "fetch", DOWNLOAD },
		{ "list", LIST }, { "inspect", INSPECT("unknown") },
		{ NULL, NULL },
	};
	struct agent *agent = begin(*state, bad);
	struct json *report = NULL;
	struct error err = ERROR_INIT;

	sysroot_write(*state, "/out/" FILE_NAME, "what was there");
	assert_int_equal(command_fetch(agent, &request, &report, &err), -1);

	assert_int_equal(err.code, ERROR_INTEGRITY);
	assert_null(report);
	sysroot_assert_text(*state, "/out/" FILE_NAME, "what was there");
	sysroot_assert_entries(*state, "/out", 1);
	agent_stage_end(agent);
}

/* With what has come a later fetch goes on. */
static void a_download_that_broke_off_leaves_what_has_come(void **state)
{
	static const struct agent_stage_answer broken[] = {
		{ "list", LIST },
		{ "fetch", "printf 'a d' >&4; echo '{\"error\":{\"name\":\"network\","
			   "\"message\":\"reset\"}}' >&3" },
		{ NULL, NULL },
	};
	static const struct agent_stage_answer down[] = {
		{ "list",
		  "echo '{\"error\":{\"name\":\"network\",\"message\":\"down\"}}' >&3" },
		{ NULL, NULL },
	};
	static const struct {
		const struct agent_stage_answer *answers;
		const char *step;
		bool stays;
	} rows[] = { { broken, "fetch", true }, { down, "match", false } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state, rows[i].answers);
		struct json *report = NULL;
		struct error err = ERROR_INIT;

		assert_int_equal(command_fetch(agent, &request, &report, &err), -1);

		assert_int_equal(err.code, ERROR_NETWORK);
		assert_string_equal(agent->tools.step, rows[i].step);
		assert_int_equal(is_there(*state, OWN), rows[i].stays);
		agent_stage_end(agent);
	}
}

static void a_folder_that_others_may_write_is_refused(void **state)
{
	for (unsigned link = 0; link < 2; link++) {
		struct agent *agent = begin(*state, good);
		struct json *report = NULL;
		struct error err = ERROR_INIT;

		if (link) {
			assert_int_equal(
				symlinkat("../srv", agent->context.root.fd, &OWN[1]), 0);
		} else {
			sysroot_mkdir(*state, OWN);
			assert_int_equal(
				fchmodat(agent->context.root.fd, &OWN[1], 0777, 0), 0);
		}
		assert_int_equal(command_fetch(agent, &request, &report, &err), -1);

		assert_int_equal(err.code, ERROR_PERMISSION);
		assert_false(is_there(*state, "/requests"));
		agent_stage_end(agent);
	}
}

static void a_folder_that_is_not_there_is_a_wrong_word(void **state)
{
	struct agent *agent = begin(*state, good);
	struct json *report = NULL;
	struct error err = ERROR_INIT;

	assert_true(text_format(output, sizeof(output), "/nowhere/to/be/found"));
	assert_int_equal(command_fetch(agent, &request, &report, &err), -1);

	assert_int_equal(err.code, ERROR_USAGE);
	agent_stage_end(agent);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_file_lands_under_its_own_name),
		TEST(a_folder_of_its_name_is_seen_before_the_download),
		TEST(what_lies_there_with_the_right_hash_is_not_loaded_again),
		TEST(what_is_installed_is_of_no_interest),
		TEST(what_is_no_driver_is_not_kept),
		TEST(a_download_that_broke_off_leaves_what_has_come),
		TEST(a_folder_that_others_may_write_is_refused),
		TEST(a_folder_that_is_not_there_is_a_wrong_word),
	};

	return cmocka_run_group_tests_name("command_fetch", tests, NULL, NULL);
}
