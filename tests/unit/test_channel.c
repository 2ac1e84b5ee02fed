/* SPDX-License-Identifier: Apache-2.0 */
#include "base/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

/* A worker that is a shell script: descriptor 3 is the talk, as in the real one. */
struct talk {
	char path[80];
	struct channel channel;
	struct json *request;
	struct json *result;
	struct error err;
	int cancel[2];
	int told; /* how often the worker told its progress */
	int64_t last;
};

static void count_progress(void *context, const struct json *progress)
{
	struct talk *talk = context;

	talk->told++;
	talk->last = json_get_int(progress, "done", -1);
}

static void talk_begin(struct talk *talk, const struct sysroot *sysroot,
		       const char *script)
{
	char text[1024];

	*talk = (struct talk){ .err = ERROR_INIT };
	(void)snprintf(text, sizeof(text), "#!/bin/sh\n%s\n", script);
	sysroot_write(sysroot, "/worker", text);
	(void)snprintf(talk->path, sizeof(talk->path), "%s/worker", sysroot->dir);
	assert_int_equal(chmod(talk->path, 0755), 0);

	assert_int_equal(pipe2(talk->cancel, O_CLOEXEC), 0);
	talk->channel = (struct channel){
		.worker = talk->path,
		.silence_s = 20,
		.cancel_fd = talk->cancel[0],
		.progress = count_progress,
		.context = talk,
	};
	talk->request = json_build("{s:s}", "job", "try");
	assert_non_null(talk->request);
}

static int talk_call(struct talk *talk, const int *fds, size_t fd_count)
{
	return channel_call(&talk->channel, talk->request, fds, fd_count, &talk->result,
			    &talk->err);
}

static void talk_end(struct talk *talk)
{
	json_free(talk->request);
	json_free(talk->result);
	(void)close(talk->cancel[0]);
	(void)close(talk->cancel[1]);
}

static void a_result_comes_back_after_progress(void **state)
{
	struct talk talk;

	talk_begin(&talk, *state,
		   "read request <&3\n"
		   "echo '{\"progress\":{\"done\":1}}' >&3\n"
		   "echo '{\"progress\":{\"done\":7}}' >&3\n"
		   "echo \"{\\\"result\\\":$request}\" >&3");

	assert_int_equal(talk_call(&talk, NULL, 0), 0);

	assert_string_equal(json_get_string(talk.result, "job"), "try");
	assert_int_equal(talk.told, 2);
	assert_int_equal(talk.last, 7);
	talk_end(&talk);
}

/* The sources stand where the targets will be, in the wrong order. */
static void descriptors_arrive_in_their_order(void **state)
{
	struct talk talk;
	int fds[2], pipes[2][2];

	talk_begin(&talk, *state,
		   "read request <&3; read a <&4; read b <&5\n"
		   "echo \"{\\\"result\\\":{\\\"a\\\":$a,\\\"b\\\":$b}}\" >&3");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pipe2(pipes[i], O_CLOEXEC), 0);
		assert_int_equal(write(pipes[i][1], i ? "2\n" : "1\n", 2), 2);
		fds[1 - i] = pipes[i][0];
	}

	assert_int_equal(talk_call(&talk, fds, 2), 0);

	assert_int_equal(json_get_int(talk.result, "a", 0), 2);
	assert_int_equal(json_get_int(talk.result, "b", 0), 1);
	for (int i = 0; i < 2; i++) {
		(void)close(pipes[i][0]);
		(void)close(pipes[i][1]);
	}
	talk_end(&talk);
}

/* SSLKEYLOGFILE would make libcurl write down the keys of every connection. */
static void of_the_environment_only_what_the_worker_needs(void **state)
{
	struct talk talk;

	assert_int_equal(setenv("https_proxy", "http://proxy.example", 1), 0);
	assert_int_equal(setenv("SSLKEYLOGFILE", "/tmp/keys", 1), 0);
	talk_begin(&talk, *state,
		   "printf '{\"result\":{\"proxy\":\"%s\",\"keys\":\"%s\"}}\\n' "
		   "\"$https_proxy\" \"$SSLKEYLOGFILE\" >&3");

	assert_int_equal(talk_call(&talk, NULL, 0), 0);

	assert_string_equal(json_get_string(talk.result, "proxy"),
			    "http://proxy.example");
	assert_string_equal(json_get_string(talk.result, "keys"), "");
	assert_int_equal(unsetenv("https_proxy"), 0);
	assert_int_equal(unsetenv("SSLKEYLOGFILE"), 0);
	talk_end(&talk);
}

static void the_workers_error_is_ours(void **state)
{
	struct talk talk;

	talk_begin(
		&talk, *state,
		"read request <&3\n"
		"printf '%s\\n' '{\"error\":{\"name\":\"network\",\"message\":\"no\\nway\","
		"\"hint\":\"turn back\",\"errnum\":2}}' >&3");

	assert_int_equal(talk_call(&talk, NULL, 0), -1);

	assert_int_equal(talk.err.code, ERROR_NETWORK);
	assert_int_equal(talk.err.errnum, 2);
	assert_string_equal(talk.err.text, "no?way");
	assert_string_equal(talk.err.hint, "turn back");
	assert_true(talk.err.passing);
	assert_null(talk.result);
	talk_end(&talk);
}

static void a_worker_without_an_answer_is_told_in_words(void **state)
{
	static const struct {
		const char *script, *words;
	} cases[] = {
		{ "kill -SEGV $$", "was killed by signal 11 without an answer" },
		{ "exit 127", "ended with exit status 127 without an answer" },
		{ "read request <&3", "ended with exit status 0 without an answer" },
		{ "printf '{\"result\":{' >&3", "status 0 in the middle of a line" },
		{ "echo hello >&3; sleep 9", "the worker sent no JSON" },
		{ "echo '[1]' >&3; sleep 9", "a line of an unknown kind" },
		{ "echo '{\"gossip\":{}}' >&3; sleep 9", "a line of an unknown kind" },
		{ "echo '{\"result\":{}}' >&3; exit 3",
		  "the worker answered, but ended with exit status 3" },
		{ "echo '{\"error\":{}}' >&3", "the worker failed without words" },
		{ "echo '{\"result\":{}}' >&3; echo '{\"result\":{}}' >&3",
		  "the worker answered, and said more" },
		{ "echo '{\"result\":[]}' >&3", "the worker's answer is no object" },
		{ "yes '{\"progress\":{}}' >&3", "the worker does not stop talking" },
		{ "tr '\\0' x </dev/zero >&3", "a line of more than 11534336 bytes" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct talk talk;

		talk_begin(&talk, *state, cases[i].script);
		assert_int_equal(talk_call(&talk, NULL, 0), -1);

		if (!strstr(talk.err.text, cases[i].words))
			fail_msg("%s: %s", cases[i].script, talk.err.text);
		assert_int_equal(talk.err.code, ERROR_INTERNAL);
		assert_null(talk.result);
		talk_end(&talk);
	}
}

static void how_a_worker_ended_says_what_to_do(void **state)
{
	static const struct {
		const char *script, *hint;
	} cases[] = {
		{ "exit 127", "a library may be missing or too old: see ldd /" },
		{ "kill -SYS $$", "report this with the audit line of journalctl -k" },
		{ "kill -KILL $$", "when memory runs out: see journalctl -k" },
		{ "exit 126", "" },
		{ "kill -SEGV $$", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct talk talk;

		talk_begin(&talk, *state, cases[i].script);
		assert_int_equal(talk_call(&talk, NULL, 0), -1);
		if (cases[i].hint[0] ? !strstr(talk.err.hint, cases[i].hint)
				     : talk.err.hint[0])
			fail_msg("%s: %s", cases[i].script, talk.err.hint);
		talk_end(&talk);
	}
}

static void a_silent_worker_is_ended(void **state)
{
	double begin = clock_monotonic();
	struct talk talk;

	talk_begin(&talk, *state, "sleep 30");
	talk.channel.silence_s = 1;

	assert_int_equal(talk_call(&talk, NULL, 0), -1);

	assert_string_equal(talk.err.text, "the worker said nothing for 1 s");
	assert_true(clock_monotonic() - begin < 10);
	talk_end(&talk);
}

static void a_missing_worker_is_named(void **state)
{
	struct talk talk;

	talk_begin(&talk, *state, "exit 0");
	assert_int_equal(unlink(talk.path), 0);

	assert_int_equal(talk_call(&talk, NULL, 0), -1);

	assert_non_null(strstr(talk.err.text, talk.path));
	assert_int_equal(talk.err.errnum, ENOENT);
	talk_end(&talk);
}

static bool is_alive(pid_t pid)
{
	char path[64], state = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	(void)fclose(f);
	return state != 0 && state != 'Z';
}

/* The worker's child holds the talk open too: both must go. */
static void cancelling_ends_the_whole_process_group(void **state)
{
	const struct sysroot *sysroot = *state;
	char script[256], pid_path[96];
	struct talk talk;
	char number[16] = "";
	pid_t pid;
	FILE *f;

	(void)snprintf(pid_path, sizeof(pid_path), "%s/pid", sysroot->dir);
	(void)snprintf(script, sizeof(script),
		       "sleep 60 & echo $! >%s\necho '{\"progress\":{}}' >&3\nwait",
		       pid_path);
	talk_begin(&talk, sysroot, script);
	assert_int_equal(write(talk.cancel[1], "x", 1), 1);
	talk.channel.cancel_fd = -1; /* until the child is there */
	talk.channel.silence_s = 1;

	assert_int_equal(talk_call(&talk, NULL, 0), -1);
	f = fopen(pid_path, "re");
	assert_non_null(f);
	assert_non_null(fgets(number, sizeof(number), f));
	(void)fclose(f);
	pid = (pid_t)strtol(number, NULL, 10);
	assert_true(pid > 1);
	for (int i = 0; i < 100 && is_alive(pid); i++)
		(void)usleep(20000);
	assert_false(is_alive(pid));

	talk.channel.cancel_fd = talk.cancel[0];
	assert_int_equal(talk_call(&talk, NULL, 0), -1);
	assert_true(talk.err.interrupted);
	talk_end(&talk);
}

static bool only_9000(void *context, const struct json *request, const char *host,
		      unsigned port)
{
	(void)context;
	assert_string_equal(json_get_string(request, "job"), "try");
	return strcmp(host, "cdn.example") == 0 && port == 9000;
}

/* The first is refused by its sandbox; a new one gets the port, or nobody does. */
static void a_worker_that_is_sent_to_another_port_is_replaced(void **state)
{
	static const struct {
		bool asked;
		const char *port, *host, *words; /* NULL: it worked */
	} cases[] = {
		{ true, "9000", "cdn.example", NULL },
		{ false, "9000", "cdn.example", "no way" },
		{ true, "9001", "cdn.example", "no way" },
		{ true, "9000", "other.example", "no way" },
		{ true, "-1", "cdn.example", "no way" },
		{ true, "74536", "cdn.example", "no way" }, /* 9000 in 16 bits */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char script[512];
		struct talk talk;
		int done;

		(void)snprintf(
			script, sizeof(script),
			"read request <&3\n"
			"case $request in *'\"ports\":[9000]'*) echo "
			"'{\"result\":{\"here\":true}}' >&3; exit ;; esac\n"
			"echo '{\"progress\":{\"port\":%s,\"host\":\"%s\"}}' >&3\n"
			"echo '{\"error\":{\"name\":\"network\",\"message\":\"no way\"}}' "
			">&3",
			cases[i].port, cases[i].host);
		talk_begin(&talk, *state, script);
		talk.channel.may_connect = cases[i].asked ? only_9000 : NULL;

		done = talk_call(&talk, NULL, 0);

		assert_int_equal(done, cases[i].words ? -1 : 0);
		if (cases[i].words)
			assert_string_equal(talk.err.text, cases[i].words);
		assert_int_equal(talk.told, 0);
		talk_end(&talk);
	}
}

/* A server that sends us to one port after the other. */
static void a_worker_is_not_replaced_for_ever(void **state)
{
	struct talk talk;

	talk_begin(&talk, *state,
		   "read request <&3; echo x >>${0%/*}/count\n"
		   "echo '{\"progress\":{\"port\":9000,\"host\":\"cdn.example\"}}' >&3\n"
		   "echo '{\"error\":{\"message\":\"no way\"}}' >&3");
	talk.channel.may_connect = only_9000;

	assert_int_equal(talk_call(&talk, NULL, 0), -1);

	assert_string_equal(talk.err.text, "no way");
	sysroot_assert_text(*state, "/count", "x\nx\nx\nx\nx\n");
	talk_end(&talk);
}

/* Larger than any socket buffer, to a worker that never reads. */
static void a_worker_that_does_not_listen_cannot_block_us(void **state)
{
	cleanup_free char *text = malloc(4 << 20);
	struct talk talk;

	assert_non_null(text);
	memset(text, 'x', 4 << 20);
	talk_begin(&talk, *state, "sleep 30");
	talk.channel.silence_s = 1;
	assert_int_equal(json_set(talk.request, "text", json_text(text, 4 << 20)), 0);

	assert_int_equal(talk_call(&talk, NULL, 0), -1);

	assert_string_equal(talk.err.text, "the worker said nothing for 1 s");
	talk_end(&talk);
}

static void the_worker_hears_a_whole_line_or_an_error(void **state)
{
	static const struct {
		const char *sent, *words;
	} cases[] = {
		{ "{\"job\":\"x\"}\n", NULL },
		{ "{\"job\":\"x\"", "there is no request" },
		{ "", "there is no request" },
		{ "hello\n", "reading the request" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_json struct json *request = NULL;
		struct error err = ERROR_INIT;
		int pair[2], result;

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		assert_int_equal(write(pair[0], cases[i].sent, strlen(cases[i].sent)),
				 strlen(cases[i].sent));
		(void)close(pair[0]);

		result = channel_receive(pair[1], &request, &err);
		(void)close(pair[1]);

		assert_int_equal(result, cases[i].words ? -1 : 0);
		if (cases[i].words)
			assert_non_null(strstr(err.text, cases[i].words));
		else
			assert_string_equal(json_get_string(request, "job"), "x");
	}
}

/* What a server said may be in a message: no byte of it breaks the line. */
static void an_error_of_any_bytes_is_one_line_of_json(void **state)
{
	cleanup_json struct json *line = NULL;
	struct error error = ERROR_INIT, err = ERROR_INIT;
	char text[2048];
	int pair[2];
	ssize_t n;

	(void)state;
	(void)error_set(&error, ERROR_NETWORK, "a\n\"\xff\xc3(\\");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);

	assert_int_equal(channel_send_error(pair[0], &error, &err), 0);

	n = read(pair[1], text, sizeof(text));
	assert_true(n > 0 && memchr(text, '\n', (size_t)n) == text + n - 1);
	assert_int_equal(json_parse(text, (size_t)n, &line, &err), 0);
	assert_string_equal(json_get_string(json_get(line, "error"), "message"),
			    "a?\"?\?(\\");
	assert_true(json_get_bool(json_get(line, "error"), "passing", false));
	(void)close(pair[0]);
	(void)close(pair[1]);
}

#define sysroot_test(f) \
	cmocka_unit_test_setup_teardown(f, sysroot_setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		sysroot_test(a_result_comes_back_after_progress),
		sysroot_test(descriptors_arrive_in_their_order),
		sysroot_test(of_the_environment_only_what_the_worker_needs),
		sysroot_test(the_workers_error_is_ours),
		sysroot_test(a_worker_without_an_answer_is_told_in_words),
		sysroot_test(how_a_worker_ended_says_what_to_do),
		sysroot_test(a_silent_worker_is_ended),
		sysroot_test(a_missing_worker_is_named),
		sysroot_test(cancelling_ends_the_whole_process_group),
		sysroot_test(a_worker_that_is_sent_to_another_port_is_replaced),
		sysroot_test(a_worker_is_not_replaced_for_ever),
		sysroot_test(a_worker_that_does_not_listen_cannot_block_us),
		cmocka_unit_test(the_worker_hears_a_whole_line_or_an_error),
		cmocka_unit_test(an_error_of_any_bytes_is_one_line_of_json),
	};

	return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
