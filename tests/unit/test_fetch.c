/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/fetch.h"

#include <string.h>

#include "base/text.h"
#include "support/cmocka.h"

static struct settings settings;
static struct package package;

static struct fetch_input input_of(const char *url, const char *integrity)
{
	settings_init(&settings);
	assert_true(text_copy(settings.driver.integrity,
			      sizeof(settings.driver.integrity), integrity));
	package = (struct package){ .kind = PACKAGE_RUN };
	memset(package.sha256, 'a', sizeof(package.sha256) - 1);
	return (struct fetch_input){ .url = url,
				     .package = &package,
				     .settings = &settings };
}

static void what_vouches_is_said_before_the_download(void **state)
{
	struct fetch_input input;

	(void)state;
	input = input_of("https://pulp.example/x.run", "require");
	assert_int_equal(fetch_foresee(&input), FETCH_TLS);
	input.manifest_verified = true;
	assert_int_equal(fetch_foresee(&input), FETCH_MANIFEST_TLS);
	input.pinned = true;
	assert_int_equal(fetch_foresee(&input), FETCH_SHA256_PIN);

	input = input_of("file:///tmp/x.run", "require");
	assert_int_equal(fetch_foresee(&input), FETCH_LOCAL_FILE);
	input = input_of("http://pulp.example/x.run", "require");
	assert_int_equal(fetch_foresee(&input), FETCH_NONE);
}

static void a_manifest_without_a_hash_is_only_tls(void **state)
{
	struct fetch_input input = input_of("https://pulp.example/x.run", "require");

	(void)state;
	package.sha256[0] = '\0';
	input.manifest_verified = true;

	assert_int_equal(fetch_foresee(&input), FETCH_TLS);
}

static void plain_http_is_refused_with_the_three_ways_out(void **state)
{
	struct fetch_input input =
		input_of("http://user:secret@pulp.example/x.run?token=1", "require");
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(fetch_check(&input, &err), -1);

	assert_int_equal(err.code, ERROR_INTEGRITY);
	assert_non_null(strstr(err.hint, "https://"));
	assert_non_null(strstr(err.hint, "driver.sha256"));
	assert_non_null(strstr(err.hint, "driver.integrity"));
	assert_null(strstr(err.text, "secret"));
	assert_null(strstr(err.text, "token=1"));
}

static void a_warning_is_enough_where_the_operator_says_so(void **state)
{
	struct fetch_input input = input_of("http://pulp.example/x.run", "warn");
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(fetch_check(&input, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_vouches_is_said_before_the_download),
		cmocka_unit_test(a_manifest_without_a_hash_is_only_tls),
		cmocka_unit_test(plain_http_is_refused_with_the_three_ways_out),
		cmocka_unit_test(a_warning_is_enough_where_the_operator_says_so),
	};

	return cmocka_run_group_tests_name("fetch", tests, NULL, NULL);
}
