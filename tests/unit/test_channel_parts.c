/* SPDX-License-Identifier: Apache-2.0 */
#include "base/channel_parts.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/channel.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

#define URL "https://192.0.2.1/driver.run"
#define OUTPUT 4
#define HEADER 5
#define NOTE 6

/* As a download is asked for: two files are the fetch worker's, one is the net worker's.
 */
static struct json *download(void)
{
	struct json *request =
		json_build("{s:s, s:s, s:i, s:i, s:s, s:{s:s, s:i, s:i}, s:[i]}", "job",
			   "fetch", "url", URL, "output", OUTPUT, "note", NOTE, "sha256",
			   "ab", "http", "proxy", "http://user:secret@proxy/", "header",
			   HEADER, "retries", NOTE, "ports", 9000);

	assert_non_null(request);
	return request;
}

static void who_has_the_network_has_no_verdict(void **state)
{
	static const struct {
		const char *key;
		const char *worker;
		bool online, pair;
	} cases[] = {
		{ "url", "fetch", false, true },
		{ "repository", "fetch", false, true },
		{ "service", "fetch", false, true },
		{ "servers", "net", true, false },
		{ "input", "fetch", false, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(channel_parts_done) struct channel_parts parts =
			CHANNEL_PARTS_INIT;
		cleanup_json struct json *request =
			json_build("{s:s}", cases[i].key, URL);
		struct error err = ERROR_INIT;

		assert_int_equal(channel_parts_make("fetch", "net", request, NULL, 0,
						    &parts, &err),
				 0);

		assert_string_equal(parts.worker.program, cases[i].worker);
		assert_int_equal(parts.worker.online, cases[i].online);
		assert_int_equal(parts.net.request != NULL, cases[i].pair);
		assert_int_equal(parts.net.online, cases[i].pair);
	}
}

static void each_descriptor_goes_to_one_of_them_under_its_number(void **state)
{
	cleanup(channel_parts_done) struct channel_parts parts = CHANNEL_PARTS_INIT;
	cleanup_json struct json *request = download();
	const int fds[] = { 100, 101, 102 };
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(
		channel_parts_make("fetch", "net", request, fds, 3, &parts, &err), 0);

	assert_int_equal(parts.worker.count, 5);
	assert_int_equal(parts.worker.fds[OUTPUT - CHANNEL_FIRST_FILE], 100);
	assert_int_equal(parts.worker.fds[HEADER - CHANNEL_FIRST_FILE], -1);
	assert_int_equal(parts.worker.fds[NOTE - CHANNEL_FIRST_FILE], 102);
	assert_int_equal(parts.net.count, 5);
	assert_int_equal(parts.net.fds[OUTPUT - CHANNEL_FIRST_FILE], -1);
	assert_int_equal(parts.net.fds[HEADER - CHANNEL_FIRST_FILE], 101);
	assert_int_equal(parts.net.fds[NOTE - CHANNEL_FIRST_FILE], -1);
	assert_int_equal(parts.worker.fds[3], parts.pipes[0][1]);
	assert_int_equal(parts.net.fds[3], parts.pipes[0][0]);
	assert_int_equal(parts.net.fds[4], parts.pipes[1][1]);
	assert_int_equal(parts.worker.fds[4], parts.pipes[1][0]);
}

static void neither_is_told_what_is_the_others(void **state)
{
	static const char *const workers[] = {
		"job", "url", "output", "note", "sha256", "ports", "questions", "answers"
	};
	static const char *const nets[] = { "job",   "url",       "http",
					    "ports", "questions", "answers" };
	cleanup(channel_parts_done) struct channel_parts parts = CHANNEL_PARTS_INIT;
	cleanup_json struct json *request = download();
	const int fds[] = { 100, 101, 102 };
	struct error err = ERROR_INIT;
	cleanup_free char *text = NULL;

	(void)state;
	assert_int_equal(
		channel_parts_make("fetch", "net", request, fds, 3, &parts, &err), 0);

	for (size_t i = 0; i < ARRAY_SIZE(workers); i++)
		json_free(json_take(parts.worker.request, workers[i]));
	for (size_t i = 0; i < ARRAY_SIZE(nets); i++)
		json_free(json_take(parts.net.request, nets[i]));
	text = json_print(parts.worker.request);
	assert_string_equal(text, "{}");
	free(text);
	text = json_print(parts.net.request);
	assert_string_equal(text, "{}");
	/* The agent's own is as it was. */
	assert_non_null(json_get(request, "http"));
	assert_null(json_get(request, "questions"));
}

static void there_are_not_too_many_files(void **state)
{
	cleanup(channel_parts_done) struct channel_parts parts = CHANNEL_PARTS_INIT;
	cleanup_json struct json *request = download();
	int fds[CHANNEL_FILES_MAX] = { 0 };
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(channel_parts_make("fetch", "net", request, fds,
					    ARRAY_SIZE(fds) - 1, &parts, &err),
			 -1);
	assert_int_equal(err.code, ERROR_INTERNAL);
	assert_int_equal(channel_parts_make("fetch", "net", request, fds,
					    ARRAY_SIZE(fds) - 2, &parts, &err),
			 0);
}

struct pair {
	char worker[96], net[96];
	struct channel channel;
};

static void put_script(const struct sysroot *sysroot, const char *name,
		       const char *script, char *ret_path, size_t size)
{
	char text[1024];

	(void)snprintf(text, sizeof(text),
		       "#!/bin/sh\nPATH=/usr/bin:/bin\nread -r request <&3\n%s\n",
		       script);
	sysroot_write(sysroot, name, text);
	(void)snprintf(ret_path, size, "%s%s", sysroot->dir, name);
	assert_int_equal(chmod(ret_path, 0755), 0);
}

/* Both workers are scripts: without files the pipes are 4 and 5. */
static int call(const struct sysroot *sysroot, const char *worker, const char *net,
		struct error *err)
{
	cleanup_json struct json *request =
		json_build("{s:s, s:s}", "job", "try", "url", URL);
	cleanup_json struct json *result = NULL;
	struct pair pair;

	put_script(sysroot, "/worker", worker, pair.worker, sizeof(pair.worker));
	put_script(sysroot, "/net", net, pair.net, sizeof(pair.net));
	pair.channel = (struct channel){
		.worker = pair.worker, .net = pair.net, .silence_s = 20, .cancel_fd = -1
	};
	return channel_call(&pair.channel, request, NULL, 0, &result, err);
}

#define SAY(text) "printf '{\"error\":{\"message\":\"%s\"}}\\n' \"" text "\" >&3"

static void the_agent_hears_the_fetch_worker_alone(void **state)
{
	struct error err = ERROR_INIT;

	/* The net worker has said all it wants before the other one asks. */
	assert_int_equal(
		call(*state, "read -r done <&5\n" SAY("the worker $done"),
		     "printf '{\"result\":{}}\\n' >&3\necho done >&5\nread -r _ <&4",
		     &err),
		-1);
	assert_string_equal(err.text, "the worker done");
}

static void only_the_net_worker_has_a_network(void **state)
{
	char ours[64] = "";
	struct error err = ERROR_INIT;
	ssize_t n = readlink("/proc/self/ns/net", ours, sizeof(ours) - 1);

	if (geteuid() != 0)
		skip();
	assert_true(n > 0);
	assert_int_equal(
		call(*state,
		     "read -r nets <&5\n" SAY("$(readlink /proc/self/ns/net) $nets"),
		     "readlink /proc/self/ns/net >&5\nread -r _ <&4", &err),
		-1);
	assert_non_null(strchr(err.text, ' '));
	assert_string_equal(strchr(err.text, ' ') + 1, ours);
	assert_int_not_equal(strncmp(err.text, ours, strlen(ours)), 0);
}

static void a_net_worker_that_died_is_named(void **state)
{
	static const struct {
		const char *end, *words;
	} cases[] = {
		{ "kill -11 $$", "the net worker was killed by signal 11" },
		{ "exit 7", "the net worker ended with exit status 7" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = ERROR_INIT;

		assert_int_equal(
			call(*state,
			     "exec 4>&-\nread -r _ <&5\n"
			     "echo '{\"error\":{\"message\":\"gone\",\"errnum\":32}}' >&3",
			     cases[i].end, &err),
			-1);
		assert_string_equal(err.text, cases[i].words);
		assert_int_equal(err.code, ERROR_INTERNAL);
	}
}

static void neither_outlives_the_call(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	char text[32] = "";
	int fd;

	/* The net worker neither reads nor ends. */
	assert_int_equal(call(sysroot, "read -r pid <&5\n" SAY("$pid"),
			      "echo $$ >&5\nexec 4>&- 5>&-\nsleep 600", &err),
			 -1);
	(void)snprintf(text, sizeof(text), "/proc/%.20s", err.text);
	fd = open(text, O_PATH | O_CLOEXEC);
	assert_int_equal(fd, -1);
}

#define sysroot_test(f) \
	cmocka_unit_test_setup_teardown(f, sysroot_setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_has_the_network_has_no_verdict),
		cmocka_unit_test(each_descriptor_goes_to_one_of_them_under_its_number),
		cmocka_unit_test(neither_is_told_what_is_the_others),
		cmocka_unit_test(there_are_not_too_many_files),
		sysroot_test(the_agent_hears_the_fetch_worker_alone),
		sysroot_test(only_the_net_worker_has_a_network),
		sysroot_test(a_net_worker_that_died_is_named),
		sysroot_test(neither_outlives_the_call),
	};

	return cmocka_run_group_tests_name("channel_parts", tests, NULL, NULL);
}
