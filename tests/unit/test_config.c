/* SPDX-License-Identifier: Apache-2.0 */
#include "core/config.h"
#include "model/paths.h"

#include <string.h>
#include <sys/stat.h>

#include "support/cmocka.h"
#include "support/sysroot.h"

#define URL_A "driver: { version = \"525.105.17\"; };\n"
#define URL_B "driver: { version = \"535.129.03\"; };\n"

static struct options options;
static struct settings base, settings;

static int read_files(const struct sysroot *sysroot, struct error *err)
{
	return config_read(&options, &sysroot->root, &sysroot->root, &base, err);
}

static int assemble(struct error *err)
{
	return config_assemble(&options, &base, NULL, NULL, &settings, err);
}

static void allow(const struct sysroot *sysroot, const char *path, mode_t mode)
{
	char full[256];

	(void)snprintf(full, sizeof(full), "%s%s", sysroot->dir, path);
	assert_int_equal(chmod(full, mode), 0);
}

static int setup(void **state)
{
	options = (struct options){ .config = NULL };
	(void)sysroot_setup(state);
	sysroot_mkdir(*state, PATHS_CONFIG_DIR);
	return 0;
}

static void a_guest_without_files_has_the_defaults(void **state)
{
	struct error err = ERROR_INIT;

	assert_int_equal(read_files(*state, &err), 0);
	assert_int_equal(assemble(&err), 0);

	assert_int_equal(settings.license.feature_type, 1);
	assert_string_equal(settings.driver.integrity, "require");
}

static void the_last_file_by_name_wins_and_the_command_line_over_it(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	sysroot_write(sysroot, PATHS_CONFIG, URL_A);
	sysroot_write(sysroot, PATHS_CONFIG_DIR "/10-a.conf", URL_B);
	sysroot_write(sysroot, PATHS_CONFIG_DIR "/20-b.conf",
		      "license: { feature_type = 2; };\n");
	sysroot_write(sysroot, PATHS_CONFIG_DIR "/30-c.conf.dpkg-old",
		      "no configuration");
	assert_int_equal(read_files(*state, &err), 0);
	assert_int_equal(assemble(&err), 0);
	assert_string_equal(settings.driver.version, "535.129.03");
	assert_int_equal(settings.license.feature_type, 2);

	options.sets[options.set_count++] = "license.feature_type=4";
	assert_int_equal(assemble(&err), 0);
	assert_int_equal(settings.license.feature_type, 4);
}

static void a_file_that_others_may_write_is_refused(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	sysroot_write(sysroot, PATHS_CONFIG, URL_A);
	allow(sysroot, PATHS_CONFIG, 0664);

	assert_int_equal(read_files(*state, &err), -1);
	assert_int_equal(err.code, ERROR_USAGE);
	assert_non_null(strstr(err.text, PATHS_CONFIG));
	assert_non_null(strstr(err.hint, "chmod"));
}

static void a_typo_names_file_line_and_the_nearest_key(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	sysroot_write(sysroot, PATHS_CONFIG_DIR "/50-x.conf",
		      "# first line\ndriver: { repositry = \"https://x/\"; };\n");

	assert_int_equal(read_files(*state, &err), -1);
	assert_int_equal(err.code, ERROR_USAGE);
	assert_non_null(strstr(err.text, PATHS_CONFIG_DIR "/50-x.conf:2"));
	assert_true(strstr(err.text, "driver.repository") ||
		    strstr(err.hint, "driver.repository"));
}

static void a_named_file_is_the_only_one_and_must_be_there(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	sysroot_write(sysroot, PATHS_CONFIG, URL_A);
	sysroot_write(sysroot, "/mine.conf", URL_B);
	options.config = "/mine.conf";
	assert_int_equal(read_files(sysroot, &err), 0);
	assert_string_equal(base.driver.version, "535.129.03");

	options.config = "/none.conf";
	assert_int_equal(read_files(sysroot, &err), -1);
	assert_int_equal(err.code, ERROR_USAGE);
}

static void a_driver_on_the_command_line_is_a_url_of_the_callers(void **state)
{
	struct error err = ERROR_INIT;

	assert_int_equal(read_files(*state, &err), 0);
	options.driver = "/a/x.run";
	assert_int_equal(assemble(&err), 0);
	assert_string_equal(settings.driver.url, "file:///a/x.run");
	assert_int_equal(settings.driver_layer, SETTINGS_COMMAND);
}

static void what_contradicts_itself_or_is_no_setting_is_refused(void **state)
{
	static const struct {
		const char *sets[2], *words;
	} rows[] = {
		{ { "driver.dkms=yes", "driver.prebuilt=only" },
		  "DKMS uses no prebuilt modules" },
		{ { "driver.dkms=maybe", "driver.prebuilt=auto" }, "driver.dkms" },
		{ { "driver.nothing=1", "driver.prebuilt=auto" }, "driver.nothing" },
	};
	struct error err = ERROR_INIT;

	assert_int_equal(read_files(*state, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		err = ERROR_INIT;
		options.sets[0] = rows[i].sets[0];
		options.sets[1] = rows[i].sets[1];
		options.set_count = 2;
		assert_int_equal(assemble(&err), -1);
		if (err.code != ERROR_USAGE || !strstr(err.text, rows[i].words))
			fail_msg("row %zu: %s", i, err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_guest_without_files_has_the_defaults,
						setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			the_last_file_by_name_wins_and_the_command_line_over_it, setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_file_that_others_may_write_is_refused,
						setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			a_typo_names_file_line_and_the_nearest_key, setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			a_named_file_is_the_only_one_and_must_be_there, setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			a_driver_on_the_command_line_is_a_url_of_the_callers, setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			what_contradicts_itself_or_is_no_setting_is_refused, setup,
			sysroot_teardown),
	};

	(void)umask(022);
	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
