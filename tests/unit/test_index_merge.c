/* SPDX-License-Identifier: Apache-2.0 */
#include "model/repository/index_merge.h"

#include <string.h>

#include "base/text.h"
#include "support/cmocka.h"

#define MARCH "2026-03-01T00:00:00Z"
#define MAY "2026-05-01T00:00:00Z"
#define JUNE "2026-06-01T00:00:00Z"
#define DOCUMENT(rest)                                                               \
	"{'schema':1,'serial':7,'created':'" MAY "','files':[{'name':'a','size':1}," \
	"{'name':'c','size':1,'later':true}],'modules':[{'name':'m.tar.gz'}]" rest "}"

#define NOTE(version, kernel, why)                   \
	"{'version':'" version "','kernel':'" kernel \
	"','flavour':'open','ok':false,'why':'" why "'}"

/* Single quotes stand for double ones; NULL stays NULL. */
static struct json *json_of(const char *text)
{
	cleanup_free char *quoted = text ? text_print("%s", text) : NULL;
	struct error err = ERROR_INIT;
	struct json *json = NULL;

	if (!text)
		return NULL;
	assert_non_null(quoted);
	for (char *c = quoted; (c = strchr(c, '\''));)
		*c = '"';
	if (json_parse(quoted, strlen(quoted), &json, &err) < 0)
		fail_msg("%s: %s", quoted, err.text);
	return json;
}

struct example {
	const char *previous, *files, *modules;
	struct index_merge merge; /* drops and times */
	const char *expected;     /* the document, or the words of the error */
	const char *builds;       /* NULL: no notes */
};

static const char *const drop_a[] = { "a" };
static const char *const drop_archive[] = { "m.tar.gz" };
static const char *const drop_typo[] = { "b" };

static const struct example examples[] = {
	/* the first of all, sorted by name; times of nothing are those of nothing */
	{ NULL,
	  "[{'name':'b'},{'name':'a'}]",
	  "[]",
	  { .newest = MARCH },
	  "{'schema':1,'serial':1,'created':'" MARCH
	  "','files':[{'name':'a'},{'name':'b'}],'modules':[]}" },
	{ NULL,
	  "[]",
	  "[]",
	  { .newest = NULL },
	  "{'schema':1,'serial':1,'created':'1970-01-01T00:00:00Z','files':[],"
	  "'modules':[]}" },
	/* what is not here stays, with the keys that nobody knows, and the builds */
	{ DOCUMENT(",'builds':[{'version':'1'}]"),
	  "[{'name':'b'}]",
	  "[]",
	  { .newest = JUNE },
	  "{'schema':1,'serial':8,'created':'" JUNE
	  "','files':[{'name':'a','size':1},{'name':'b'},{'name':'c','size':1,'later':"
	  "true}],'modules':[{'name':'m.tar.gz'}],'builds':[{'version':'1'}]}" },
	/* a note again is no news, a newer one replaces it, and what has come ends it */
	{ DOCUMENT(",'builds':[" NOTE("1", "k", "x") "," NOTE("2", "k", "y") "]"),
	  "[]",
	  "[]",
	  { .newest = JUNE },
	  DOCUMENT(",'builds':[" NOTE("1", "k", "x") "," NOTE("2", "k", "y") "]"),
	  "[" NOTE("2", "k", "y") "," NOTE("1", "k", "x") "]" },
	{ DOCUMENT(",'builds':[" NOTE("1", "k", "x") "," NOTE("1", "l", "x") "]"),
	  "[]",
	  "[{'name':'n.tar.gz','version':'1','kernel':'l','flavour':'open'}]",
	  { .newest = JUNE },
	  "{'schema':1,'serial':8,'created':'" JUNE
	  "','files':[{'name':'a','size':1},{'name':'c','size':1,'later':true}],"
	  "'modules':[{'name':'m.tar.gz'},{'name':'n.tar.gz','version':'1','kernel':'l',"
	  "'flavour':'open'}],'builds':[" NOTE("1", "k", "z") "," NOTE("3", "k",
								       "w") "]}",
	  "[" NOTE("3", "k", "w") "," NOTE("1", "k", "z") "]" },
	/* a newer one of the same name replaces it; an older file turns no clock back */
	{ DOCUMENT(""),
	  "[{'name':'c','size':2}]",
	  "[]",
	  { .newest = MARCH },
	  "{'schema':1,'serial':8,'created':'" MAY
	  "','files':[{'name':'a','size':1},{'name':'c','size':2}],'modules':[{'name':"
	  "'m.tar.gz'}]}" },
	/* nothing new: the same document, whatever the files' times and order of keys */
	{ DOCUMENT(",'expires':'" JUNE "'"),
	  "[{'size':1,'name':'a'}]",
	  "[]",
	  { .newest = JUNE },
	  "{'schema':1,'serial':7,'created':'" MAY "','expires':'" JUNE
	  "','files':[{'size':1,'name':'a'},{'name':'c','size':1,'later':true}],"
	  "'modules':[{'name':'m.tar.gz'}]}" },
	{ "{'schema':1,'serial':7,'created':'" MAY "'}",
	  "[]",
	  "[]",
	  { .newest = JUNE },
	  "{'schema':1,'serial':7,'created':'" MAY "','files':[],'modules':[]}" },
	/* the time of the environment goes before all */
	{ DOCUMENT(""),
	  "[]",
	  "[]",
	  { .epoch = MARCH, .newest = JUNE },
	  "{'schema':1,'serial':7,'created':'" MARCH
	  "','files':[{'name':'a','size':1},{'name':'c','size':1,'later':true}],"
	  "'modules':[{'name':'m.tar.gz'}]}" },
	/* another expiry is news, also that there is none any more */
	{ DOCUMENT(",'expires':'" MAY "'"),
	  "[]",
	  "[]",
	  { .expires = JUNE },
	  "{'schema':1,'serial':8,'created':'" MAY "','expires':'" JUNE
	  "','files':[{'name':'a','size':1},{'name':'c','size':1,'later':true}],"
	  "'modules':[{'name':'m.tar.gz'}]}" },
	{ DOCUMENT(",'expires':'" MAY "'"),
	  "[]",
	  "[]",
	  { .expires = "" },
	  "{'schema':1,'serial':8,'created':'" MAY
	  "','files':[{'name':'a','size':1},{'name':'c','size':1,'later':true}],"
	  "'modules':[{'name':'m.tar.gz'}]}" },
	/* drops */
	{ DOCUMENT(""),
	  "[]",
	  "[]",
	  { .drops = drop_a, .drop_count = 1 },
	  "{'schema':1,'serial':8,'created':'" MAY
	  "','files':[{'name':'c','size':1,'later':true}],'modules':[{'name':"
	  "'m.tar.gz'}]}" },
	{ DOCUMENT(""),
	  "[]",
	  "[]",
	  { .drops = drop_archive, .drop_count = 1 },
	  "{'schema':1,'serial':8,'created':'" MAY
	  "','files':[{'name':'a','size':1},{'name':'c','size':1,'later':true}],"
	  "'modules':[]}" },
	{ DOCUMENT(""),
	  "[]",
	  "[]",
	  { .drops = drop_typo, .drop_count = 1 },
	  "--drop b: --previous does not name it" },
	{ NULL,
	  "[]",
	  "[]",
	  { .drops = drop_a, .drop_count = 1 },
	  "--drop a: --previous does not name it" },
	{ DOCUMENT(""),
	  "[{'name':'a'}]",
	  "[]",
	  { .drops = drop_a, .drop_count = 1 },
	  "--drop a: it is given as a file, too" },
};

static void the_next_index_follows_from_the_one_before(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
		const struct example *each = &examples[i];
		cleanup_json struct json *previous = json_of(each->previous);
		cleanup_json struct json *files = json_of(each->files);
		cleanup_json struct json *modules = json_of(each->modules);
		cleanup_json struct json *builds = json_of(each->builds);
		cleanup_json struct json *index = NULL;
		cleanup_free char *text = NULL;
		struct index_merge merge = each->merge;
		struct error err = ERROR_INIT;

		merge.previous = previous;
		merge.files = files;
		merge.modules = modules;
		merge.builds = builds;
		if (index_merge(&merge, &index, &err) < 0) {
			assert_int_equal(err.code, ERROR_USAGE);
			assert_string_equal(err.text, each->expected);
			continue;
		}
		text = json_print(index);
		for (char *c = text; (c = strchr(c, '"'));)
			*c = '\'';
		assert_string_equal(text, each->expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_next_index_follows_from_the_one_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
