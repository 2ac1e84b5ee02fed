/* wrap: json_get json_at json_as_string strcasecmp */
/* SPDX-License-Identifier: Apache-2.0 */
#include "model/driver/catalog.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "support/cmocka.h"

/*
 * How much is looked at, in steps that are counted and not timed: the worst catalogs that
 * the worker's limits let through (lists of 4096, 200000 nodes), against a repository
 * that names every version.
 */
#define LIST 4096
#define STEPS_PER_NODE 30 /* a walk of each list, and searches in tables */

static uint64_t steps;

const struct json *__real_json_get(const struct json *object, const char *key);
const struct json *__wrap_json_get(const struct json *object, const char *key);
const struct json *__real_json_at(const struct json *array, size_t index);
const struct json *__wrap_json_at(const struct json *array, size_t index);
const char *__real_json_as_string(const struct json *json);
const char *__wrap_json_as_string(const struct json *json);
int __real_strcasecmp(const char *a, const char *b);
int __wrap_strcasecmp(const char *a, const char *b);

const struct json *__wrap_json_get(const struct json *object, const char *key)
{
	steps++;
	return __real_json_get(object, key);
}

const struct json *__wrap_json_at(const struct json *array, size_t index)
{
	steps++;
	return __real_json_at(array, index);
}

const char *__wrap_json_as_string(const struct json *json)
{
	steps++;
	return __real_json_as_string(json);
}

int __wrap_strcasecmp(const char *a, const char *b)
{
	steps++;
	return __real_strcasecmp(a, b);
}

/* A list of `count` texts or objects: `format` has one number in it. */
static struct json *many(const char *format, size_t count)
{
	cleanup_json struct json *list = json_build("[]");

	for (size_t i = 0; i < count; i++) {
		char text[256];
		struct json *item = NULL;
		struct error err = ERROR_INIT;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		(void)snprintf(text, sizeof(text), format, (unsigned)i);
#pragma GCC diagnostic pop
		if (format[0] != '{')
			item = json_words(text);
		else
			assert_int_equal(json_parse(text, strlen(text), &item, &err), 0);
		assert_int_equal(json_append(list, item), 0);
	}
	return take_ptr(list);
}

/* What one shape puts where. NULL: nothing. */
struct shape {
	const char *name;
	const char *driver;    /* of the guest, LIST times */
	const char *branch;    /* of guests, LIST times */
	const char *gpus;      /* of the guest branch that they are all of, LIST times */
	const char *host;      /* allowed by the host's branch, LIST times */
	const char *of_driver; /* allowed by the host's driver, LIST times */
	bool versions;         /* every version is asked for, else one */
	size_t nodes;          /* about */
};

#define DRIVER(version, branch)                                                      \
	"{\"version\":\"" version "\",\"branch\":\"" branch "\",\"type\":\"guest\"," \
	"\"os\":[\"Linux\"]}"
#define ONE(version, branch)                                         \
	"{\"n\":%u,\"version\":\"" version "\",\"branch\":\"" branch \
	"\",\"type\":\"guest\",\"os\":[\"Linux\"]}"
#define BRANCH "{\"name\":\"g%u\",\"type\":\"guest\"}"
#define GPU "{\"devid\":\"%x\",\"ssid\":\"1\"}"

static const struct shape shapes[] = {
	{ "one version of one branch, in many entries", DRIVER("535.1", "g%u"), BRANCH,
	  NULL, NULL, NULL, false, 10 * LIST },
	{ "each version of a branch of its own", DRIVER("535.%u", "g4095"), BRANCH, NULL,
	  NULL, NULL, true, 10 * LIST },
	{ "a branch for many GPUs, of which many drivers are", DRIVER("535.%u", "big"),
	  NULL, GPU, NULL, NULL, true, 10 * LIST },
	{ "the same in one version", ONE("535.1", "big"), NULL, GPU, NULL, NULL, false,
	  10 * LIST },
	{ "a host that names many branches", DRIVER("535.%u", "g1"), BRANCH, NULL,
	  "\"b%u\"", NULL, true, 11 * LIST },
	{ "a host's driver that names many versions", DRIVER("535.%u", "g1"), BRANCH,
	  NULL, NULL, "{\"version\":\"535.%u\",\"os\":[\"Linux\"]}", true, 14 * LIST },
	{ "the same version again and again", ONE("535.1", "g1"), BRANCH, NULL, NULL,
	  "{\"version\":\"535.1\",\"os\":[\"no\"],\"n\":%u}", false, 14 * LIST },
};

static struct catalog *make(const struct shape *shape)
{
	cleanup_json struct json *drivers = many(shape->driver, LIST);
	cleanup_json struct json *branches =
		many(shape->branch ? shape->branch : "{}", shape->branch ? LIST - 2 : 0);
	cleanup_json struct json *document = NULL;
	struct catalog *catalog = NULL;
	struct error err = ERROR_INIT;

	if (shape->gpus)
		assert_int_equal(
			json_append(branches, json_build("{s:s, s:s, s:{s:o}}", "name",
							 "big", "type", "guest", "allow",
							 "gpu", many(shape->gpus, LIST))),
			0);
	assert_int_equal(
		json_append(branches, json_build("{s:s, s:s, s:{s:o}}", "name", "r538_27",
						 "type", "host", "allow", "branch",
						 many(shape->host ? shape->host : "",
						      shape->host ? LIST : 0))),
		0);
	assert_int_equal(
		json_append(drivers,
			    json_build("{s:s, s:s, s:s, s:{s:o}}", "version", "535.5",
				       "branch", "r538_27", "type", "host", "allow",
				       "driver",
				       many(shape->of_driver ? shape->of_driver : "",
					    shape->of_driver ? LIST : 0))),
		0);
	document = json_build("{s:O, s:O}", "branch", branches, "driver", drivers);
	assert_non_null(document);
	steps = 0;
	assert_int_equal(catalog_from_json(document, &catalog, &err), 0);
	return catalog;
}

static void the_worst_catalog_is_walked_once(void **state)
{
	static const struct host_driver driver = { "535.5", "r538_27" };
	const struct catalog_host host = { &driver, 0x1eb8, 0x130f, "" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		cleanup_catalog struct catalog *catalog = make(&shapes[i]);
		const char *why;

		for (unsigned v = 0; v < (shapes[i].versions ? LIST : 2); v++) {
			char version[32];

			(void)text_format(version, sizeof(version), "535.%u", v);
			(void)catalog_judge(catalog, &host, version, &why);
		}
		if (steps > STEPS_PER_NODE * shapes[i].nodes)
			fail_msg("%s: %ju steps for some %zu nodes", shapes[i].name,
				 (uintmax_t)steps, shapes[i].nodes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_worst_catalog_is_walked_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
