/* SPDX-License-Identifier: Apache-2.0 */
#include "model/settings/settings.h"

#include <string.h>

#include "base/text.h"
#include "support/cmocka.h"

#define FILE_NAME "/etc/vgpu-guest-agent/agent.conf"

static int setup(void **state)
{
	struct settings *settings = malloc(sizeof(*settings));

	assert_non_null(settings);
	settings_init(settings);
	*state = settings;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static int read_text(struct settings *settings, const char *text, struct error *err)
{
	return settings_read(settings, text, strlen(text), FILE_NAME, SETTINGS_FILE, err);
}

static void put_file(struct settings *settings, const char *text)
{
	struct error err = ERROR_INIT;

	if (read_text(settings, text, &err) < 0)
		fail_msg("%s", err.text);
}

static void put_set(struct settings *settings, const char *assignment)
{
	struct error err = ERROR_INIT;

	if (settings_set(settings, assignment, &err) < 0)
		fail_msg("%s", err.text);
}

/* Returns the warnings, which the caller frees. */
static struct json *put_metadata(struct settings *settings, const char *text)
{
	struct error err = ERROR_INIT;
	cleanup_json struct json *object = NULL;
	struct json *warnings = json_build("[]");

	assert_int_equal(json_parse(text, strlen(text), &object, &err), 0);
	if (settings_read_metadata(settings, object, warnings, &err) < 0)
		fail_msg("%s", err.text);
	return warnings;
}

static void the_defaults_are_the_contracts(void **state)
{
	const struct settings *settings = *state;

	assert_string_equal(settings->driver.catalog, "auto");
	assert_string_equal(settings->driver.integrity, "require");
	assert_false(settings->driver.upgrade);
	assert_int_equal(settings->http.stall_timeout, 180);
	assert_int_equal(settings->license.feature_type, 1);
	assert_int_equal(settings->license.token_mode, 0744);
	assert_int_equal(settings->license.wait, 300);
	assert_true(settings->metadata.enabled);
	assert_true(settings->metadata.config_drive);
	assert_true(settings->metadata.metadata_service);
	assert_string_equal(settings->metadata.url, "http://169.254.169.254");
}

static void a_file_sets_every_type(void **state)
{
	struct settings *settings = *state;

	put_file(
		settings,
		"# a comment with @include \"x\"\n"
		"driver: { repository = \"https://pulp.example/content/\";\n"
		"  sha256 = \"ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef012345"
		"6789\"; upgrade = TRUE; };\n"
		"/* 99999999999 */ http: { retries = 3; proxy = \"proxy.example:3128\"; };\n"
		"license: { token_mode = \"0600\";\n"
		"  gridd: { EnableUI = true; LingerInterval = 10; Name = \"a b\"; }; };\n"
		"metadata: { sources = [ \"config-drive\" ]; };\n");

	assert_string_equal(settings->driver.repository, "https://pulp.example/content/");
	assert_string_equal(
		settings->driver.sha256,
		"abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789");
	assert_true(settings->driver.upgrade);
	assert_int_equal(settings->http.retries, 3);
	assert_int_equal(settings->license.token_mode, 0600);
	assert_int_equal(settings->license.gridd_count, 3);
	assert_string_equal(settings->license.gridd[0].key, "EnableUI");
	assert_string_equal(settings->license.gridd[0].value, "TRUE");
	assert_string_equal(settings->license.gridd[1].value, "10");
	assert_string_equal(settings->license.gridd[2].value, "a b");
	assert_true(settings->metadata.config_drive);
	assert_false(settings->metadata.metadata_service);
}

static void an_empty_file_is_fine(void **state)
{
	put_file(*state, "");
	put_file(*state, "# nothing\n");
}

static const struct {
	const char *text, *message;
} bad_files[] = {
	{ "\ndriver: { repositry = \"x\"; };",
	  ":2: unknown key driver.repositry: did you mean driver.repository" },
	{ "repository = \"x\";",
	  ":1: unknown key repository: did you mean driver.repository" },
	{ "drivers: { url = \"x\"; };", ":1: unknown key drivers: did you mean" },
	{ "driver: { repo = \"x\"; };", "did you mean driver.repository" },
	{ "license: { token = \"/x\"; };", "did you mean license.token_file" },
	{ "token = \"/x\";", "did you mean license.token_file?" },
	{ "driver: { foo = \"x\"; };", ":1: unknown key driver.foo" },
	{ "license: { metrics_file = \"/x\"; };", "did you mean monitor.metrics_file" },
	{ "driver: { upgrade = \"yes\"; };", ":1: driver.upgrade must be true or false" },
	{ "driver: { version = 525; };", "driver.version must be a text in quotes" },
	{ "driver: { version = 525.105; };", "must be a text in quotes" },
	{ "driver: { version = { a = 1; }; };", "must be a text in quotes" },
	{ "driver: { version = \"latest\"; };", "is no version like" },
	{ "driver = \"x\";", ":1: driver must be a group" },
	{ "license: { gridd = 3; };", "license.gridd must be a group" },
	{ "http: { retries = \"3\"; };", "http.retries must be a whole number" },
	{ "http: { retries = 101; };", "http.retries = 101 is not within 0 to 100" },
	{ "http: { retries = -1; };", "is not within" },
	{ "http: {\n retries = 4294967356; };",
	  ":2: the number 4294967356 is out of range" },
	{ "http: { retries = -4294967236; };", "is out of range" },
	{ "http: { retries = 0x10000000A; };", "is out of range" },
	{ "http: { retries = 0xFFFFFFFFFFFFFFFFFFL; };", "is out of range" },
	{ "http: { retries = 4294967356L; };", "is not within 0 to 100" },
	{ "http: { retries = 18446744073709551620L; };", "is out of range" },
	{ "http: { retries = 1e1; };", ":1: " },
	{ "license: { feature_type = 5; };", "is not within 0 to 4" },
	{ "driver: { package = \"tar\"; };",
	  "driver.package = \"tar\" is none of: auto run deb rpm" },
	{ "driver: { package = \"auto run\"; };", "is none of" },
	{ "driver: { package = \"\"; };", "must not be empty" },
	{ "driver: { url = \"ftp://h/x.run\"; };", "driver.url is no URL" },
	{ "driver: { url = \"https:///x.run\"; };", "driver.url is no URL" },
	{ "driver: { url = \"file://host/x.run\"; };", "driver.url is no URL" },
	{ "driver: { repository = \"file:///srv/\"; };", "driver.repository is no URL" },
	{ "driver: { url = \"https://h/a b.run\"; };", "driver.url is no URL" },
	/* What no later reader would take: it would fail at the first boot instead. */
	{ "driver: { url = \"https://h/\u00fc.run\"; };", "driver.url is no URL" },
	{ "driver: { repository = \"https://h:0/\"; };", "is no URL" },
	{ "driver: { repository = \"https://h\\\\x/\"; };", "is no URL" },
	{ "driver: { url = \"file:///\xff.run\"; };", "no UTF-8" },
	{ "license: { token_file = \"/\xff\"; };", "no UTF-8" },
	{ "driver: { sha256 = \"abc\"; };", "64 hexadecimal digits" },
	{ "driver: { index_key = \"key.pem\"; };", "must be an absolute path" },
	{ "signing: { key = \"pkcs11:token=x\"; };", "build-modules --sign-command" },
	{ "driver: { catalog = \"catalog.yaml\"; };", "driver.catalog must be auto" },
	{ "license: { token_mode = \"0777\"; };", "nobody else write" },
	{ "license: { token_mode = \"0344\"; };", "owner read" },
	{ "license: { token_mode = \"4744\"; };", "nobody else write" },
	{ "license: { token_mode = \"rw\"; };", "must be octal" },
	{ "license: { token_mode = 0744; };", "must be a text in quotes" },
	{ "license: { gridd: { FeatureType = 2; }; };",
	  "it is license.feature_type that sets it" },
	{ "license: { gridd: { featuretype = 2; }; };", "license.feature_type" },
	{ "license: { gridd: { ClientConfigTokenPath = \"/x\"; }; };",
	  "the token's folder is fixed" },
	{ "license: { gridd: { Enable-UI = true; }; };", "is no name of" },
	{ "license: { gridd: { EnableUI = 1.5; }; };", "must be one line of text" },
	{ "license: { gridd: { Name = \"a\\nb\"; }; };", "must be one line of text" },
	{ "metadata: { sources = [ \"ec2\" ]; };", "metadata.sources has \"ec2\"" },
	{ "metadata: { sources = \"config-drive\"; };", "must be a list of texts" },
	{ "metadata: { sources = [ 1, 2 ]; };", "must be a list of texts" },
	{ "\n\n@include \"other.conf\"\n", ":3: @include is not allowed" },
	{ "driver: { @include \"other.conf\"\n };", ":1: @include is not allowed" },
	{ "driver: { version = \"525.105.17\" version = \"1.2\" };", ":1: " },
	{ "driver: {\n", ":" },
	{ "driver: { url = \"https://h/\\x01.run\"; };", "control character" },
};

/* What is wrong is named with file and line, and the settings stay as they were. */
static void a_bad_file_is_refused(void **state)
{
	struct settings *settings = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad_files); i++) {
		cleanup_free struct settings *before = malloc(sizeof(*before));
		struct error err = ERROR_INIT;

		assert_non_null(before);
		memcpy(before, settings, sizeof(*before));
		if (read_text(settings, bad_files[i].text, &err) == 0)
			fail_msg("was read: %s", bad_files[i].text);
		assert_int_equal(err.code, ERROR_USAGE);
		if (strncmp(err.text, FILE_NAME ":", strlen(FILE_NAME ":")) != 0 ||
		    !strstr(err.text, bad_files[i].message))
			fail_msg("%s\nsaid: %s", bad_files[i].text, err.text);
		assert_memory_equal(before, settings, sizeof(*before));
	}
}

static void a_nul_byte_is_refused(void **state)
{
	struct error err = ERROR_INIT;

	assert_int_equal(settings_read(*state, "a\0b", 3, "x", SETTINGS_FILE, &err), -1);
	assert_int_equal(err.code, ERROR_USAGE);
}

static void numbers_that_fit_are_read(void **state)
{
	struct settings *settings = *state;

	put_file(settings, "http: { retries = 0x0A; rate_limit_kib = 5000L; };");
	assert_int_equal(settings->http.retries, 10);
	assert_int_equal(settings->http.rate_limit_kib, 5000);
}

static void strings_may_look_like_anything(void **state)
{
	struct settings *settings = *state;

	put_file(settings,
		 "license: { gridd: { A = \"@include \\\" 99999999999 /*\"; }; };"
		 "http: { retries = 7; };");
	assert_string_equal(settings->license.gridd[0].value,
			    "@include \" 99999999999 /*");
	assert_int_equal(settings->http.retries, 7);
}

static void set_reads_the_keys_type(void **state)
{
	struct settings *settings = *state;

	put_set(settings, "driver.url=file:///tmp/x.run?a=b");
	put_set(settings, "http.retries=0");
	put_set(settings, "driver.upgrade=true");
	put_set(settings, "metadata.sources=metadata-service");
	put_set(settings, "signing.key=/root/key.pem");
	put_set(settings, "license.gridd.EnableUI=TRUE");

	assert_string_equal(settings->driver.url, "file:///tmp/x.run?a=b");
	assert_int_equal(settings->http.retries, 0);
	assert_true(settings->driver.upgrade);
	assert_false(settings->metadata.config_drive);
	assert_true(settings_is_callers(settings, "signing.key"));
	assert_false(settings_is_callers(settings, "signing.cert"));
	assert_string_equal(settings->signing.key, "/root/key.pem");
	assert_string_equal(settings->license.gridd[0].value, "TRUE");
}

static void set_refuses_what_is_none(void **state)
{
	static const char *const cases[] = {
		"driver.url",
		"=x",
		"http.retries=many",
		"http.retries=",
		"http.retries=3 ",
		"http.retries=4294967297",
		"driver.upgrade=yes",
		"driver.repositry=x",
		"driver=x",
		"metadata.sources=ec2",
		"license.gridd.A-B=x",
		"license.gridd=x",
		"driver.sha256=0123",
		"driver.package=tar",
		"signing.key=key.pem",
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = ERROR_INIT;

		if (settings_set(*state, cases[i], &err) == 0)
			fail_msg("%s", cases[i]);
		assert_int_equal(err.code, ERROR_USAGE);
	}
}

static void a_higher_layer_wins_in_any_order(void **state)
{
	struct settings *settings = *state;
	cleanup_json struct json *warnings = NULL;

	put_set(settings, "license.feature_type=4");
	put_file(settings, "license: { feature_type = 2; wait = 9; };");
	warnings = put_metadata(settings, "{\"license\":{\"feature_type\":0}}");

	assert_int_equal(settings->license.feature_type, 4);
	assert_int_equal(settings->license.wait, 9);
	assert_int_equal(json_count(warnings), 0);
}

/* A pin of one layer must never meet the file of another. */
static void what_picks_the_file_comes_from_one_layer(void **state)
{
	struct settings *settings = *state;
	cleanup_json struct json *warnings = NULL;

	put_file(settings, "driver: { url = \"https://a.example/x.run\"; sha256 = "
			   "\"0000000000000000000000000000000000000000000000000000000000"
			   "000000\"; upgrade = true; };");
	warnings = put_metadata(settings,
				"{\"driver\":{\"repository\":\"https://b.example/\"}}");

	assert_int_equal(json_count(warnings), 0);
	assert_string_equal(settings->driver.repository, "https://b.example/");
	assert_string_equal(settings->driver.url, "");
	assert_string_equal(settings->driver.sha256, "");
	assert_true(settings->driver.upgrade);
	assert_int_equal(settings->driver_layer, SETTINGS_METADATA);
}

static void a_lower_layer_adds_nothing_to_the_pick(void **state)
{
	struct settings *settings = *state;

	put_set(settings, "driver.url=file:///tmp/x.run");
	put_file(settings, "driver: { version = \"525.105.17\"; };");

	assert_string_equal(settings->driver.version, "");
	assert_string_equal(settings->driver.url, "file:///tmp/x.run");
}

static void metadata_sets_only_its_keys(void **state)
{
	struct settings *settings = *state;
	cleanup_json struct json *warnings = put_metadata(
		settings,
		"{\"driver\":{\"kernel_module\":\"open\",\"integrity\":\"warn\","
		"\"later\":{\"a\":1}},\"license\":{\"gridd\":{\"EnableUI\":false,"
		"\"A\":7}},\"new\":1,\"http\":{\"proxy\":\"x:1\"}}");

	assert_string_equal(settings->driver.kernel_module, "open");
	assert_string_equal(settings->driver.integrity, "require");
	assert_string_equal(settings->http.proxy, "");
	assert_string_equal(settings->license.gridd[0].value, "FALSE");
	assert_string_equal(settings->license.gridd[1].value, "7");
	assert_int_equal(json_count(warnings), 4);
	assert_string_equal(json_as_string(json_at(warnings, 0)),
			    "driver.integrity cannot be set by the metadata");
	assert_string_equal(json_as_string(json_at(warnings, 1)),
			    "driver.later is no key that this version knows");
}

static void a_mistyped_pin_in_the_metadata_is_an_error(void **state)
{
	static const char *const cases[] = {
		"{\"driver\":{\"sha256\":\"123\"}}",
		"{\"driver\":{\"url\":7}}",
		"{\"driver\":[]}",
		"{\"driver\":{\"url\":\"gopher://x/\"}}",
		"{\"license\":{\"feature_type\":4294967297}}",
		"{\"license\":{\"gridd\":{\"FeatureType\":2}}}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_json struct json *object = NULL, *warnings = json_build("[]");
		struct error err = ERROR_INIT;

		assert_int_equal(json_parse(cases[i], strlen(cases[i]), &object, &err),
				 0);
		assert_int_equal(settings_read_metadata(*state, object, warnings, &err),
				 -1);
		assert_int_equal(err.code, ERROR_USAGE);
		if (!text_starts(err.text, "driver") && !text_starts(err.text, "license"))
			fail_msg("%s: %s", cases[i], err.text);
	}
}

static void what_needs_a_partner_is_checked_at_the_end(void **state)
{
	static const struct {
		const char *set, *message;
	} cases[] = {
		{ "signing.key=/k", "signing.key and signing.cert" },
		{ "signing.cert=/c", "signing.key and signing.cert" },
		{ "http.client_key=/k", "without http.client_cert" },
		{ "driver.sha256=000000000000000000000000000000000000000000000000000000000000"
		  "0000",
		  "pins nothing" },
	};
	struct settings *settings = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(settings_check(settings, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		settings_init(settings);
		put_set(settings, cases[i].set);
		assert_int_equal(settings_check(settings, &err), -1);
		assert_int_equal(err.code, ERROR_USAGE);
		assert_non_null(strstr(err.text, cases[i].message));
	}
}

static void origins_are_told_and_secrets_are_not(void **state)
{
	struct settings *settings = *state;
	cleanup_json struct json *json = NULL;
	const struct json *item;

	put_file(settings, "\nhttp: { proxy = \"http://me:secret@proxy:3128\"; };");
	put_set(settings, "driver.url=https://me:secret@h.example/x.run?token=secret#y");
	put_set(settings, "license.gridd.EnableUI=TRUE");
	json = settings_json(settings);
	assert_non_null(json);

	item = json_get(json, "driver.url");
	assert_string_equal(json_get_string(item, "value"), "https://h.example/x.run");
	assert_string_equal(json_get_string(item, "origin"), "--set");
	item = json_get(json, "http.proxy");
	assert_string_equal(json_get_string(item, "value"), "http://proxy:3128");
	assert_string_equal(json_get_string(item, "origin"), FILE_NAME ":2");
	item = json_get(json, "license.token_mode");
	assert_string_equal(json_get_string(item, "value"), "0744");
	assert_string_equal(json_get_string(item, "origin"), "built-in");
	assert_int_equal(
		json_count(json_get(json_get(json, "metadata.sources"), "value")), 2);
	item = json_get(json, "license.gridd.EnableUI");
	assert_string_equal(json_get_string(item, "value"), "TRUE");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_defaults_are_the_contracts),
		TEST(a_file_sets_every_type),
		TEST(an_empty_file_is_fine),
		TEST(a_bad_file_is_refused),
		TEST(a_nul_byte_is_refused),
		TEST(numbers_that_fit_are_read),
		TEST(strings_may_look_like_anything),
		TEST(set_reads_the_keys_type),
		TEST(set_refuses_what_is_none),
		TEST(a_higher_layer_wins_in_any_order),
		TEST(what_picks_the_file_comes_from_one_layer),
		TEST(a_lower_layer_adds_nothing_to_the_pick),
		TEST(metadata_sets_only_its_keys),
		TEST(a_mistyped_pin_in_the_metadata_is_an_error),
		TEST(what_needs_a_partner_is_checked_at_the_end),
		TEST(origins_are_told_and_secrets_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
