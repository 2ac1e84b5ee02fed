/* SPDX-License-Identifier: Apache-2.0 */
#include "base/channel_shape.h"

#include <string.h>

#include "support/cmocka.h"

#define HASH "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define FETCHED(size, hash)                           \
	"{\"size\":" size ",\"sha256\":\"" hash "\"," \
	"\"bytes_transferred\":1,\"verified\":true}"

/* What real jobs answered, of each one. */
static const struct {
	const char *job, *answer;
} good[] = {
	{ "list", "{\"source\":\"manifest\",\"verified\":true,\"files\":[],"
		  "\"warnings\":[],\"catalog\":null,\"index\":{},"
		  "\"index_verified\":false,\"index_signed\":false,\"index_key\":null}" },
	{ "fetch", FETCHED("1", HASH) },
	{ "copy", FETCHED("0", HASH) },
	{ "member", "{\"transfer\":\"spool\",\"member\":{},\"size\":0,\"sha256\":\"\","
		    "\"bytes_transferred\":1,\"verified\":true,\"why\":\"x\"}" },
	{ "inspect",
	  "{\"kind\":\"run\",\"version\":\"1\",\"arch\":null,\"members\":[]}" },
	{ "index", "{\"kind\":\"run\",\"version\":null,\"arch\":null,\"members\":[],"
		   "\"size\":1,\"sha256\":\"" HASH "\"}" },
	{ "unpack", "{\"member\":\"x\",\"size\":1,\"sha256\":\"" HASH "\"}" },
	{ "modules", "{\"size\":1,\"sha256\":\"" HASH "\",\"manifest\":{},"
		     "\"modules\":[]}" },
	{ "metadata",
	  "{\"found\":true,\"object\":{},\"token\":\"x\","
	  "\"token_source\":\"x\",\"token_check\":{},\"sources\":[],"
	  "\"service\":\"off\",\"warnings\":[],\"silent\":false,\"service_object\":{},\"service_token_sha256\":null}" },
	{ "search", "{\"contents\":[]}" },
	{ "probe", "{\"servers\":[]}" },
	{ "layers", "{\"user\":65534,\"landlock\":0,\"filter\":true,"
		    "\"own_network\":false,\"own_mounts\":false}" },
};

static int check(const char *job, const char *answer, struct error *err)
{
	cleanup_json struct json *json = NULL;

	*err = ERROR_INIT;
	assert_int_equal(json_parse(answer, strlen(answer), &json, err), 0);
	return channel_shape_check(job, json, err);
}

static void each_job_may_give_its_own_answer_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(good); j++) {
			bool same = i == j || (i == 1 && j == 2) || (i == 2 && j == 1);
			struct error err;
			int result = check(good[i].job, good[j].answer, &err);

			if (result != (same ? 0 : -1))
				fail_msg("%s with the answer of %s: %s", good[i].job,
					 good[j].job, err.text);
		}
	}
}

static void an_answer_of_another_shape_is_named(void **state)
{
	static const struct {
		const char *answer, *words;
	} bad[] = {
		{ "{}", "lacks a key" },
		{ "[]", "is no object" },
		{ FETCHED("-1", HASH), "size" },
		{ FETCHED("1.5", HASH), "size" },
		{ FETCHED("\"1\"", HASH), "size" },
		{ FETCHED("null", HASH), "size" },
		{ FETCHED("1", "no"), "sha256" },
		{ FETCHED("1", HASH "0"), "sha256" },
		{ FETCHED("1", "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61"
			       "F20015AD"),
		  "sha256" },
		{ "{\"size\":1,\"sha256\":\"" HASH "\",\"bytes_transferred\":1,"
		  "\"verified\":1}",
		  "verified" },
		{ "{\"size\":1,\"sha256\":\"" HASH "\",\"verified\":true}",
		  "lacks a key" },
		{ "{\"signed\":true}", "signed" },
		{ "{\"siz\":1}", "siz" }, /* a part of a name is no name */
		{ "{\"i\":1}", ": i" },
		/* Between two names, with a kind behind it. */
		{ "{\"size:i sha256\":\"" HASH "\",\"sha256:h bytes_transferred\":1,"
		  "\"size\":1,\"verified\":true}",
		  "size:i sha256" },
		{ "{\"\":1}", "another key" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct error err;

		assert_int_equal(check("fetch", bad[i].answer, &err), -1);
		if (!strstr(err.text, bad[i].words) || err.code != ERROR_INTERNAL)
			fail_msg("%s: %s", bad[i].answer, err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_job_may_give_its_own_answer_alone),
		cmocka_unit_test(an_answer_of_another_shape_is_named),
	};

	return cmocka_run_group_tests_name("channel_shape", tests, NULL, NULL);
}
