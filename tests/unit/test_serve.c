/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/net/serve.h"

#include <fcntl.h>
#include <string.h>

#include "base/channel.h"
#include "support/cmocka.h"
#include "worker/wire.h"

static void a_question_leads_only_where_the_agent_wanted_to_go(void **state)
{
	static const struct {
		const char *key, *named, *url;
		bool may;
	} cases[] = {
		{ "url", "https://a/b.run", "https://a/b.run", true },
		{ "url", "https://a/b.run", "https://a/b.run?token=secret", false },
		{ "url", "https://a/b.run", "https://a/", false },
		{ "url", "https://a/b.run", "", false },
		{ "url", "", "", false },
		{ "repository", "https://a/r", "https://a/r/PULP_MANIFEST", true },
		{ "repository", "https://a/r/", "https://a/r/", true },
		{ "repository", "https://a/r", "https://a/rest", false },
		{ "repository", "https://a", "https://a.example/", false },
		{ "repository", "https://a", "https://a@b/", false },
		{ "repository", "https://a/r/", "http://a/r/x", false },
		{ "service", "http://169.254.169.254",
		  "http://169.254.169.254/openstack/latest/vendor_data2.json", true },
		{ "service", "http://169.254.169.254", "http://169.254.169.254/", false },
		{ "service", "http://169.254.169.254", "http://198.51.100.1/x", false },
		{ "http", "https://a/b.run", "https://a/b.run", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_json struct json *request =
			json_build("{s:s}", cases[i].key, cases[i].named);

		if (serve_may_ask(request, cases[i].url) != cases[i].may)
			fail_msg("%s: %s", cases[i].key, cases[i].url);
	}
}

static void the_link_local_service_is_one_of_an_interface(void **state)
{
	static const struct {
		const char *url;
		bool may;
	} cases[] = {
		{ "http://[fe80::a9fe:a9fe%25eth0]/openstack/latest/vendor_data.json",
		  true },
		{ "http://[fe80::a9fe:a9fe%25@b]/openstack/latest/", false },
		{ "http://[fe80::a9fe:a9fe%25x]@b/openstack/latest/", false },
		{ "http://[fe80::a9fe:a9fe%25eth0]:8080/openstack/latest/", false },
		{ "http://[fe80::a9fe:a9fe%25/]/openstack/latest/", false },
		{ "http://[fe80::1%25eth0]/openstack/latest/", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases) * 2; i++) {
		bool asked = i % 2 == 0;
		cleanup_json struct json *request =
			json_build("{s:b}", "link_local", (int)asked);

		if (serve_may_ask(request, cases[i / 2].url) !=
		    (cases[i / 2].may && asked))
			fail_msg("%s", cases[i / 2].url);
	}
}

/* What the net worker gives as the end of its answer to one line. */
static struct json *answer_to(const char *line)
{
	cleanup_json struct json *result = NULL, *request = NULL;
	cleanup(wire_done) struct wire wire = { .fd = -1 };
	int questions[2], answers[2];
	struct json *said = NULL;
	struct wire_piece piece;
	struct error err = ERROR_INIT;

	assert_int_equal(pipe2(questions, O_CLOEXEC), 0);
	assert_int_equal(pipe2(answers, O_CLOEXEC), 0);
	request = json_build("{s:s, s:i, s:i}", "url", "https://192.0.2.1/f", "questions",
			     questions[0], "answers", answers[1]);
	assert_int_equal(write(questions[1], line, strlen(line)), strlen(line));
	(void)close(questions[1]);

	assert_int_equal(serve_job(request, &result, &err), 0);

	(void)close(answers[1]);
	assert_int_equal(wire_begin(&wire, answers[0], &err), 0);
	assert_int_equal(wire_next(&wire, &piece, &err), 0);
	assert_int_equal(piece.kind, WIRE_TEXT);
	assert_int_equal(json_parse(piece.data, piece.size, &said, &err), 0);
	(void)close(questions[0]);
	(void)close(answers[0]);
	return said;
}

static void a_question_that_is_none_is_an_error(void **state)
{
	static const struct {
		const char *line, *words;
	} cases[] = {
		{ "{\"get\":{\"url\":\"https://192.0.2.2/\"}}\n", "does not lead to" },
		{ "{\"get\":{}}\n", "does not lead to" },
		{ "{\"get\":7}\n", "does not lead to" },
		{ "{\"put\":{}}\n", "no such question" },
		{ "[]\n", "no such question" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_json struct json *said = answer_to(cases[i].line);
		const char *message = json_get_string(json_get(said, "error"), "message");

		assert_non_null(message);
		if (!strstr(message, cases[i].words))
			fail_msg("%s: %s", cases[i].line, message);
	}
}

static void the_interfaces_are_an_answer(void **state)
{
	cleanup_json struct json *said = answer_to("{\"link_local\":{}}\n");

	(void)state;
	assert_int_equal(json_kind(json_get(json_get(said, "result"), "urls")),
			 JSON_KIND_ARRAY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_question_leads_only_where_the_agent_wanted_to_go),
		cmocka_unit_test(the_link_local_service_is_one_of_an_interface),
		cmocka_unit_test(a_question_that_is_none_is_an_error),
		cmocka_unit_test(the_interfaces_are_an_answer),
	};

	return cmocka_run_group_tests_name("serve", tests, NULL, NULL);
}
