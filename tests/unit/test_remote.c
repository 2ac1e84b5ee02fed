/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/channel.h"
#include "support/cmocka.h"
#include "worker/wire.h"

#define URL "https://192.0.2.1/f"

/* Both pipes; the net worker's ends are this test's. */
struct scene {
	int questions[2], answers[2];
	struct remote *remote;
	struct sink_memory memory;
	struct http_answer answer;
	struct error err;
};

static void scene_begin(struct scene *scene)
{
	cleanup_json struct json *request = NULL;

	*scene = (struct scene){ .err = ERROR_INIT };
	assert_int_equal(pipe2(scene->questions, O_CLOEXEC), 0);
	assert_int_equal(pipe2(scene->answers, O_CLOEXEC), 0);
	request = json_build("{s:i, s:i}", "questions", scene->questions[1], "answers",
			     scene->answers[0]);
	assert_int_equal(remote_open(request, &scene->remote, &scene->err), 0);
	sink_memory_begin(&scene->memory, 1 << 20);
}

static void scene_end(struct scene *scene)
{
	remote_close(scene->remote);
	sink_memory_done(&scene->memory);
	for (size_t i = 0; i < 2; i++) {
		(void)close(scene->questions[i]);
		if (scene->answers[i] >= 0)
			(void)close(scene->answers[i]);
	}
}

static void put(struct scene *scene, enum wire_kind kind, const char *text)
{
	assert_int_equal(
		wire_send(scene->answers[1], kind, text, strlen(text), &scene->err), 0);
}

static int get(struct scene *scene, struct http_request request)
{
	request.url = URL;
	return remote_get(scene->remote, &request, &scene->memory.sink, &scene->answer,
			  &scene->err);
}

static void the_bytes_after_the_last_restart_are_the_file(void **state)
{
	const struct http_request wanted = { .limit = 9, .total = 7 };
	cleanup_json struct json *asked = NULL;
	struct scene scene;

	(void)state;
	scene_begin(&scene);
	put(&scene, WIRE_DATA, "not ");
	put(&scene, WIRE_TEXT, "{\"progress\":{}}");
	put(&scene, WIRE_RESTART, "");
	put(&scene, WIRE_DATA, "bet");
	put(&scene, WIRE_DATA, "ter!");
	put(&scene, WIRE_TEXT, "{\"result\":{\"verified\":true,\"total\":7}}");

	if (get(&scene, wanted) < 0)
		fail_msg("%s", scene.err.text);

	assert_string_equal(scene.memory.data, "better!");
	assert_true(scene.answer.verified);
	assert_int_equal(scene.answer.total, 7);
	assert_int_equal(channel_receive(scene.questions[0], &asked, &scene.err), 0);
	assert_string_equal(json_get_string(json_get(asked, "get"), "url"), URL);
	scene_end(&scene);
}

/* Whatever the net worker says of them. */
static void other_bytes_than_were_asked_for_are_none(void **state)
{
	static const struct {
		struct http_request request;
		const char *data;
		enum error_code code; /* ERROR_NONE: taken */
	} cases[] = {
		{ { .limit = 4 }, "four", ERROR_NONE },
		{ { .limit = 4 }, "fiver", ERROR_INTEGRITY },
		{ { .limit = 9, .total = 4 }, "four", ERROR_NONE },
		{ { .limit = 9, .total = 4 }, "fiver", ERROR_INTERNAL },
		{ { .limit = 9, .total = 4 }, "two", ERROR_INTERNAL },
		{ { .limit = 9, .total = 9, .offset = 5 }, "four", ERROR_NONE },
		{ { .limit = 9, .total = 9, .offset = 5 }, "fiver", ERROR_INTEGRITY },
		{ { .first = 100, .end = 104 }, "four", ERROR_NONE },
		{ { .first = 100, .end = 104 }, "fiver", ERROR_INTEGRITY },
		{ { .first = 100, .end = 104 }, "two", ERROR_INTERNAL },
		{ { .first = 100, .end = 104, .limit = 9 }, "fiver", ERROR_INTEGRITY },
		{ { .limit = 0 }, "x", ERROR_INTEGRITY },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct scene scene;
		int result;

		scene_begin(&scene);
		put(&scene, WIRE_DATA, cases[i].data);
		put(&scene, WIRE_TEXT,
		    "{\"result\":{\"verified\":true,\"sha256\":\"as promised\"}}");
		result = get(&scene, cases[i].request);
		if ((result == 0) != (cases[i].code == ERROR_NONE) ||
		    scene.err.code != cases[i].code)
			fail_msg("%zu: %d %s", i, result, scene.err.text);
		scene_end(&scene);
	}
}

static void what_is_no_frame_is_an_error(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		const char *words;
	} cases[] = {
		{ "", 0, "the net worker is gone" },
		{ "\1\0\0\0\4\0", 6, "the net worker is gone" },
		{ "\1\0\0\0\4\0\0\0abc", 11, "the net worker is gone" },
		{ "\1\0\0\0\0\0\0\0", 8, "sent no frame" },
		{ "\0\0\0\0\1\0\0\0x", 9, "sent no frame" },
		{ "\4\0\0\0\1\0\0\0x", 9, "sent no frame" },
		{ "\2\0\0\0\1\0\0\0x", 9, "sent no frame" },
		{ "\3\0\0\0\0\0\0\0", 8, "sent no frame" },
		{ "\3\0\0\0\1\x80\0\0", 8, "sent no frame" },
		{ "\3\0\0\0\1\0\0\0{", 9, "hearing the net worker" },
		{ "\3\0\0\0\2\0\0\0{}", 10, "unknown kind" },
		{ "\3\0\0\0\2\0\0\0[]", 10, "unknown kind" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct scene scene;

		scene_begin(&scene);
		assert_int_equal(write(scene.answers[1], cases[i].bytes, cases[i].size),
				 cases[i].size);
		(void)close(scene.answers[1]);
		scene.answers[1] = -1;
		assert_int_equal(get(&scene, (struct http_request){ .limit = 99 }), -1);
		if (!strstr(scene.err.text, cases[i].words))
			fail_msg("%zu: %s", i, scene.err.text);
		assert_int_equal(scene.err.errnum == EPIPE, i < 3);
		scene_end(&scene);
	}
}

static void the_net_workers_error_is_ours(void **state)
{
	struct scene scene;

	(void)state;
	scene_begin(&scene);
	put(&scene, WIRE_TEXT,
	    "{\"error\":{\"name\":\"network\",\"message\":\"HTTP 404\",\"errnum\":2}}");
	assert_int_equal(get(&scene, (struct http_request){ .limit = 9 }), -1);
	assert_int_equal(scene.err.code, ERROR_NETWORK);
	assert_int_equal(scene.err.errnum, ENOENT);
	assert_string_equal(scene.err.text, "HTTP 404");
	scene_end(&scene);
}

/* An error that is none: nothing may come of it that looks like success. */
static void no_error_of_the_net_workers_is_a_success(void **state)
{
	static const char *const errors[] = { "{}", "7", "null", "{\"name\":\"ok\"}",
					      "{\"name\":\"\",\"errnum\":0}" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		struct scene scene;
		char text[64];

		scene_begin(&scene);
		(void)snprintf(text, sizeof(text), "{\"error\":%s}", errors[i]);
		put(&scene, WIRE_TEXT, text);
		assert_int_equal(get(&scene, (struct http_request){ .limit = 9 }), -1);
		assert_int_not_equal(scene.err.code, ERROR_NONE);
		scene_end(&scene);
	}
}

/* What still comes of an answer that was broken off belongs to no other. */
static void after_an_error_of_the_sink_the_next_question_has_its_own_answer(void **state)
{
	struct scene scene;

	(void)state;
	scene_begin(&scene);
	put(&scene, WIRE_DATA, "too much");
	put(&scene, WIRE_DATA, "more");
	assert_int_equal(get(&scene, (struct http_request){ .limit = 3 }), -1);
	assert_int_equal(scene.err.code, ERROR_INTEGRITY);
	assert_int_equal(strncmp(scene.err.text, URL, strlen(URL)), 0);

	put(&scene, WIRE_RESTART, "");
	put(&scene, WIRE_DATA, "rest");
	put(&scene, WIRE_TEXT, "{\"error\":{\"message\":\"stopped\"}}");
	put(&scene, WIRE_DATA, "own");
	put(&scene, WIRE_TEXT, "{\"result\":{\"verified\":false,\"total\":0}}");
	scene.err = ERROR_INIT;
	if (get(&scene, (struct http_request){ .limit = 3 }) < 0)
		fail_msg("%s", scene.err.text);
	assert_string_equal(scene.memory.data, "own");
	assert_false(scene.answer.verified);
	scene_end(&scene);
}

static void a_small_document_is_text_also_where_it_is_empty(void **state)
{
	cleanup(remote_text_done) struct remote_text text = { .text = NULL };
	struct scene scene;

	(void)state;
	scene_begin(&scene);
	put(&scene, WIRE_TEXT, "{\"result\":{\"verified\":true,\"total\":0}}");
	assert_int_equal(remote_get_text(scene.remote, URL, 9, &text, &scene.err), 0);
	assert_string_equal(text.text, "");
	assert_int_equal(text.size, 0);
	assert_true(text.verified);
	scene_end(&scene);
}

static void the_urls_of_the_interfaces_are_an_array_or_an_error(void **state)
{
	cleanup_json struct json *urls = NULL;
	struct scene scene;

	(void)state;
	scene_begin(&scene);
	put(&scene, WIRE_TEXT, "{\"result\":{\"urls\":[\"http://[fe80::1%25a]\"]}}");
	put(&scene, WIRE_TEXT, "{\"result\":{}}");
	put(&scene, WIRE_DATA, "x");
	assert_int_equal(remote_link_local(scene.remote, &urls, &scene.err), 0);
	assert_int_equal(json_count(urls), 1);
	assert_int_equal(remote_link_local(scene.remote, &urls, &scene.err), -1);
	assert_int_equal(remote_link_local(scene.remote, &urls, &scene.err), -1);
	scene_end(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_bytes_after_the_last_restart_are_the_file),
		cmocka_unit_test(other_bytes_than_were_asked_for_are_none),
		cmocka_unit_test(what_is_no_frame_is_an_error),
		cmocka_unit_test(the_net_workers_error_is_ours),
		cmocka_unit_test(no_error_of_the_net_workers_is_a_success),
		cmocka_unit_test(
			after_an_error_of_the_sink_the_next_question_has_its_own_answer),
		cmocka_unit_test(a_small_document_is_text_also_where_it_is_empty),
		cmocka_unit_test(the_urls_of_the_interfaces_are_an_array_or_an_error),
	};

	return cmocka_run_group_tests_name("remote", tests, NULL, NULL);
}
