/* SPDX-License-Identifier: Apache-2.0 */
#include "model/driver/catalog.h"

#include <string.h>

#include "base/text.h"
#include "support/cmocka.h"

/* The catalog is written with single quotes here. */
static struct catalog *catalog_of(const char *branches, const char *drivers)
{
	cleanup_free char *text =
		text_print("{'branch':[%s],'driver':[%s]}", branches, drivers);
	cleanup_json struct json *json = NULL;
	struct catalog *catalog = NULL;
	struct error err = ERROR_INIT;

	assert_non_null(text);
	for (char *c = text; (c = strchr(c, '\''));)
		*c = '"';
	if (json_parse(text, strlen(text), &json, &err) < 0 ||
	    catalog_from_json(json, &catalog, &err) < 0)
		fail_msg("%s: %s", text, err.text);
	return catalog;
}

#define HOST "{'name':'R538_27','type':'host'}"
#define GUEST "{'name':'R538_27','type':'guest'}"
#define DRIVER(more)                                                                    \
	"{'version':'535.161.08','branch':'R538_27','type':'guest','os':['Linux']" more \
	"}"
#define GPU "[{'devid':'0x1EB8','ssid':'0x130F'}]"

static const struct {
	const char *branches, *drivers;
	enum catalog_verdict verdict;
} verdicts[] = {
	{ HOST "," GUEST, DRIVER(""), CATALOG_SAME_BRANCH },
	/* what is not listed */
	{ HOST "," GUEST, "", CATALOG_UNKNOWN },
	{ GUEST, DRIVER(""), CATALOG_UNKNOWN },
	{ HOST, DRIVER(""), CATALOG_UNKNOWN },
	{ "", DRIVER(""), CATALOG_UNKNOWN },
	{ HOST "," GUEST, "{'version':'535.161.08','branch':'R538_27','type':'guest'}",
	  CATALOG_UNKNOWN },
	{ HOST "," GUEST,
	  "{'version':'535.161.08','branch':'R538_27','type':'guest','os':"
	  "['Windows']}",
	  CATALOG_UNKNOWN },
	{ HOST "," GUEST,
	  "{'version':'535.161.08','branch':'R538_27','type':'host','os':['Linux']}",
	  CATALOG_UNKNOWN },
	/* branches */
	{ "{'name':'R538_27','type':'host','allow':{'branch':['R528_79']}}," GUEST,
	  DRIVER(""), CATALOG_UNKNOWN },
	{ "{'name':'R538_27','type':'host','deny':{'branch':['R538_27']}}," GUEST,
	  DRIVER(""), CATALOG_DENIED },
	{ HOST ",{'name':'R538_27','type':'guest','allow':{'branch':['R1']}}", DRIVER(""),
	  CATALOG_UNKNOWN },
	{ HOST ",{'name':'R538_27','type':'guest','deny':{'branch':['r538_27']}}",
	  DRIVER(""), CATALOG_DENIED },
	/* a denial counts also where the host's branch is not listed */
	{ "{'name':'R538_27','type':'guest','deny':{'branch':['R538_27']}}", DRIVER(""),
	  CATALOG_DENIED },
	{ "{'name':'R538_27','type':'host','allow':{'branch':['R528_79','R538_27']}"
	  "}," GUEST,
	  DRIVER(""), CATALOG_SAME_BRANCH },
	/* GPUs: either id is enough */
	{ HOST "," GUEST, DRIVER(",'deny':{'gpu':" GPU "}"), CATALOG_DENIED },
	{ HOST "," GUEST, DRIVER(",'deny':{'gpu':[{'devid':'0x1eb8'}]}"),
	  CATALOG_DENIED },
	{ HOST "," GUEST, DRIVER(",'deny':{'gpu':[{'ssid':'0x130f'}]}"), CATALOG_DENIED },
	{ HOST "," GUEST, DRIVER(",'deny':{'gpu':[{'devid':'0x2230'},{}]}"),
	  CATALOG_SAME_BRANCH },
	{ HOST "," GUEST, DRIVER(",'allow':{'gpu':[{'devid':'0x2230'}]}"),
	  CATALOG_UNKNOWN },
	{ HOST "," GUEST, DRIVER(",'allow':{'gpu':" GPU "}"), CATALOG_SAME_BRANCH },
	{ HOST ",{'name':'R538_27','type':'guest','deny':{'gpu':" GPU "}}", DRIVER(""),
	  CATALOG_DENIED },
	/* CPUs */
	{ HOST "," GUEST, DRIVER(",'deny':{'cpu':['x86']}"), CATALOG_DENIED },
	{ HOST "," GUEST, DRIVER(",'allow':{'cpu':['arm']}"), CATALOG_UNKNOWN },
	{ HOST "," GUEST, DRIVER(",'allow':{'cpu':'x86'}"), CATALOG_SAME_BRANCH },
	/* lists of drivers */
	{ HOST "," GUEST, DRIVER(",'deny':{'driver':[{'version':'535.161.05'}]}"),
	  CATALOG_DENIED },
	{ HOST "," GUEST, DRIVER(",'deny':{'driver':[{'version':'535.161.5'}]}"),
	  CATALOG_SAME_BRANCH },
	{ HOST "," GUEST,
	  DRIVER(",'deny':{'driver':[{'version':'535.161.05','hypervisor':['Citrix']"
		 "}]}"),
	  CATALOG_SAME_BRANCH },
	{ HOST "," GUEST, DRIVER(",'allow':{'driver':[{'version':'535.54.06'}]}"),
	  CATALOG_UNKNOWN },
	{ HOST "," GUEST,
	  "{'version':'535.161.05','branch':'R538_27','type':'host','deny':{'driver':"
	  "[{'version':'535.161.08'}]}}," DRIVER(""),
	  CATALOG_DENIED },
	{ HOST "," GUEST,
	  "{'version':'535.161.05','branch':'R538_27','type':'host','deny':{'driver':"
	  "[{'version':'535.161.08','os':['Windows']}]}}," DRIVER(""),
	  CATALOG_SAME_BRANCH },
	/* of two entries the one that allows counts, in either order */
	{ HOST "," GUEST, DRIVER(",'deny':{'cpu':['x86']}") "," DRIVER(""),
	  CATALOG_SAME_BRANCH },
	{ HOST "," GUEST, DRIVER("") "," DRIVER(",'deny':{'cpu':['x86']}"),
	  CATALOG_SAME_BRANCH },
	/* of two host descriptors the first for this GPU counts */
	{ "{'name':'R538_27','type':'host','allow':{'gpu':[{'devid':'0x1'}],'branch':"
	  "['R1']}}," HOST
	  ",{'name':'R538_27','type':'host','allow':{'branch':['R1']}}," GUEST,
	  DRIVER(""), CATALOG_SAME_BRANCH },
	/* nonsense where a list should be */
	{ "7," HOST "," GUEST, "'x'," DRIVER(",'allow':3,'deny':[1]"),
	  CATALOG_SAME_BRANCH },
};

static void the_verdict_follows_the_catalogs_lists(void **state)
{
	static const struct host_driver driver = { "535.161.05", "r538_27" };
	const struct catalog_host host = { &driver, 0x1eb8, 0x130f, "Linux KVM" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
		cleanup_catalog struct catalog *catalog =
			catalog_of(verdicts[i].branches, verdicts[i].drivers);
		const char *why = NULL;
		enum catalog_verdict verdict =
			catalog_judge(catalog, &host, "535.161.08", &why);

		if (verdict != verdicts[i].verdict)
			fail_msg("case %zu: %d, %s", i, (int)verdict, why);
		assert_non_null(why);
	}
}

static void another_branch_is_allowed_but_not_preferred(void **state)
{
	static const struct host_driver driver = { "535.161.05", "r538_27" };
	const struct catalog_host host = { &driver, 0x1eb8, 0x130f, "" };
	cleanup_catalog struct catalog *catalog = catalog_of(
		HOST ",{'name':'R528_79','type':'guest'}",
		"{'version':'525.147.05','branch':'R528_79','type':'guest','os':['Linux']}");
	const char *why;

	(void)state;
	assert_int_equal(catalog_judge(catalog, &host, "525.147.05", &why),
			 CATALOG_ALLOWED);
}

/* Who names a host by its version alone gets what a guest there would get. */
static void a_host_without_a_branch_has_that_of_its_version(void **state)
{
	static const char of_host[] =
		"{'version':'535.161.05','branch':'R538_27','type':'host'}";
	static const struct {
		const char *version, *drivers;
		enum catalog_verdict verdict;
	} rows[] = {
		{ "535.161.05", of_host, CATALOG_SAME_BRANCH },
		{ "535.161.06", of_host, CATALOG_UNKNOWN },
		{ "535.161.05",
		  "{'version':'535.161.05','branch':'R538_27','type':'host',"
		  "'deny':{'driver':[{'version':'535.161.08','os':['Linux']}]}}",
		  CATALOG_DENIED },
		{ "535.161.05",
		  "{'version':'535.161.05','branch':'R538_27','type':'guest'}",
		  CATALOG_UNKNOWN },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char drivers[512];
		struct host_driver driver = { .branch = "" };
		const struct catalog_host host = { &driver, 0, 0, "" };
		cleanup_catalog struct catalog *catalog = NULL;
		const char *why;

		(void)strcpy(driver.version, rows[i].version);
		(void)snprintf(drivers, sizeof(drivers), "%s,%s", rows[i].drivers,
			       DRIVER(""));
		catalog = catalog_of(HOST "," GUEST, drivers);
		assert_int_equal(catalog_judge(catalog, &host, "535.161.08", &why),
				 rows[i].verdict);
	}
}

static void a_catalog_that_is_no_mapping_is_refused(void **state)
{
	cleanup_json struct json *json = json_build("[]");
	struct catalog *catalog = NULL;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(catalog_from_json(json, &catalog, &err), -1);
	assert_null(catalog);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_verdict_follows_the_catalogs_lists),
		cmocka_unit_test(another_branch_is_allowed_but_not_preferred),
		cmocka_unit_test(a_host_without_a_branch_has_that_of_its_version),
		cmocka_unit_test(a_catalog_that_is_no_mapping_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
