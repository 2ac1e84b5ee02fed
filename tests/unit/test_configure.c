/* wrap: write fsync fchmod renameat */
/* SPDX-License-Identifier: Apache-2.0 */
#include "model/paths.h"
#include "steps/license/configure.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "fault/fault.h"
#include "model/paths.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

#define TEMPLATE PATHS_GRIDD_CONF ".template"
#define STATE "/var/lib/vgpu-guest-agent"
#define BACKUP STATE "/backup/gridd.conf"

static const struct settings_license settings = { .feature_type = 1 };

static struct configure_result result;

static int setup(void **state)
{
	(void)sysroot_setup(state);
	sysroot_mkdir(*state, "/etc/nvidia");
	return 0;
}

static int configure(const struct sysroot *sysroot, const struct settings_license *want,
		     bool dry, struct error *err)
{
	return configure_gridd(want, &sysroot->root, dry, &result, err);
}

static void must_configure(const struct sysroot *sysroot)
{
	struct error err = ERROR_INIT;

	assert_int_equal(configure(sysroot, &settings, false, &err), 0);
}

static void make_link(const struct sysroot *sysroot, const char *target, const char *path)
{
	char full[PATH_MAX];

	(void)snprintf(full, sizeof(full), "%s%s", sysroot->dir, path);
	assert_int_equal(symlink(target, full), 0);
}

static mode_t mode_of(const struct sysroot *sysroot, const char *path)
{
	struct stat st;

	assert_true(root_stat(&sysroot->root, path, &st));
	return st.st_mode;
}

static void the_existing_file_is_edited_and_kept(void **state)
{
	sysroot_write(*state, PATHS_GRIDD_CONF, "# ours\nFeatureType=0\nX=y");
	sysroot_write(*state, TEMPLATE, "never read\n");

	must_configure(*state);

	assert_true(result.changed);
	assert_string_equal(result.detail, "FeatureType 0 -> 1");
	sysroot_assert_text(*state, PATHS_GRIDD_CONF, "# ours\nFeatureType=1\nX=y");
	sysroot_assert_text(*state, BACKUP, "# ours\nFeatureType=0\nX=y");
	assert_int_equal(mode_of(*state, STATE), S_IFDIR | 0755);
	assert_int_equal(mode_of(*state, STATE "/backup"), S_IFDIR | 0700);
	assert_int_equal(mode_of(*state, PATHS_GRIDD_CONF), S_IFREG | 0644);
}

static void the_second_time_nothing_changes(void **state)
{
	struct stat before, after;
	const struct sysroot *sysroot = *state;

	sysroot_write(*state, PATHS_GRIDD_CONF, "FeatureType=0\n");
	must_configure(*state);
	assert_true(root_stat(&sysroot->root, PATHS_GRIDD_CONF, &before));

	must_configure(*state);

	assert_false(result.changed);
	assert_string_equal(result.detail, "");
	assert_true(root_stat(&sysroot->root, PATHS_GRIDD_CONF, &after));
	assert_int_equal(after.st_ino, before.st_ino);
	sysroot_assert_text(*state, BACKUP, "FeatureType=0\n");
}

static void the_original_is_kept_through_later_changes(void **state)
{
	sysroot_write(*state, PATHS_GRIDD_CONF, "FeatureType=0\n");
	must_configure(*state);
	sysroot_write(*state, PATHS_GRIDD_CONF, "FeatureType=2\n");

	must_configure(*state);

	sysroot_assert_text(*state, BACKUP, "FeatureType=0\n");
}

static void without_a_file_the_template_is_the_beginning(void **state)
{
	sysroot_write(*state, TEMPLATE, "# template\nFeatureType=1\n");

	must_configure(*state);

	/* gridd never reads the template, so the same text is still a change. */
	assert_true(result.changed);
	sysroot_assert_text(*state, PATHS_GRIDD_CONF, "# template\nFeatureType=1\n");
	sysroot_assert_text(*state, TEMPLATE, "# template\nFeatureType=1\n");
	assert_int_equal(mode_of(*state, PATHS_GRIDD_CONF), S_IFREG | 0644);
}

static void without_anything_the_folder_and_the_file_are_made(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(root_remove_tree(&sysroot->root, "/etc/nvidia", &err), 0);

	must_configure(*state);

	assert_string_equal(result.detail, "FeatureType (not set) -> 1");
	sysroot_assert_text(*state, PATHS_GRIDD_CONF, "FeatureType=1\n");
}

static void a_symbolic_link_is_replaced_by_a_file(void **state)
{
	sysroot_mkdir(*state, "/usr/share/nvidia");
	sysroot_write(*state, "/usr/share/nvidia/gridd.conf", "FeatureType=0\n");
	make_link(*state, "/usr/share/nvidia/gridd.conf", PATHS_GRIDD_CONF);

	must_configure(*state);

	assert_int_equal(mode_of(*state, PATHS_GRIDD_CONF), S_IFREG | 0644);
	sysroot_assert_text(*state, PATHS_GRIDD_CONF, "FeatureType=1\n");
	sysroot_assert_text(*state, "/usr/share/nvidia/gridd.conf", "FeatureType=0\n");
}

static void a_dangling_link_is_replaced_too(void **state)
{
	make_link(*state, "/usr/share/nvidia/none", PATHS_GRIDD_CONF);
	sysroot_write(*state, TEMPLATE, "A=b\n");

	must_configure(*state);

	sysroot_assert_text(*state, PATHS_GRIDD_CONF, "A=b\nFeatureType=1\n");
}

static void dry_tells_and_writes_nothing(void **state)
{
	struct error err = ERROR_INIT;

	sysroot_write(*state, PATHS_GRIDD_CONF, "FeatureType=0\n");

	assert_int_equal(configure(*state, &settings, true, &err), 0);

	assert_true(result.changed);
	assert_string_equal(result.detail, "FeatureType 0 -> 1");
	sysroot_assert_text(*state, PATHS_GRIDD_CONF, "FeatureType=0\n");
	sysroot_assert_entries(*state, "/", 1);
}

static void a_strict_mode_is_kept_and_others_may_not_write(void **state)
{
	static const mode_t modes[][2] = { { 0600, 0600 }, { 0666, 0644 } };
	const struct sysroot *sysroot = *state;
	char full[PATH_MAX];

	(void)snprintf(full, sizeof(full), "%s%s", sysroot->dir, PATHS_GRIDD_CONF);
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		sysroot_write(*state, PATHS_GRIDD_CONF, "FeatureType=0\n");
		assert_int_equal(chmod(full, modes[i][0]), 0);
		must_configure(*state);
		assert_int_equal(mode_of(*state, PATHS_GRIDD_CONF),
				 S_IFREG | modes[i][1]);
	}
}

/* gridd takes a folder from "/" on: another word would leave it without a token. */
static void a_token_folder_that_is_none_is_put_right(void **state)
{
	sysroot_write(*state, PATHS_GRIDD_CONF,
		      "FeatureType=1\nClientConfigTokenPath=tokens\n");

	must_configure(*state);

	assert_string_equal(result.detail, "ClientConfigTokenPath tokens -> "
					   "/etc/nvidia/ClientConfigToken/");
	sysroot_assert_text(
		*state, PATHS_GRIDD_CONF,
		"FeatureType=1\nClientConfigTokenPath=/etc/nvidia/ClientConfigToken/\n");
}

static void a_token_folder_stays_as_it_is_written(void **state)
{
	static const char *const texts[] = {
		"FeatureType=1\nClientConfigTokenPath=/opt/tokens\n",
		"FeatureType=1\nClientConfigTokenPath=/etc/nvidia/vgpu-tokens/\n",
		"FeatureType=1\nClientConfigTokenPath=/etc/nvidia/ClientConfigToken\n",
		"FeatureType=1\nClientConfigTokenPath = \"/etc/nvidia/ClientConfigToken/\"",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		sysroot_write(*state, PATHS_GRIDD_CONF, texts[i]);
		must_configure(*state);
		assert_false(result.changed);
	}
}

static void one_of_several_folders_elsewhere_is_enough(void **state)
{
	sysroot_write(*state, PATHS_GRIDD_CONF,
		      "FeatureType=1\nClientConfigTokenPath=/opt/tokens\n"
		      "ClientConfigTokenPath=/etc/nvidia/ClientConfigToken\n");

	must_configure(*state);

	sysroot_assert_text(*state, PATHS_GRIDD_CONF,
			    "FeatureType=1\n"
			    "ClientConfigTokenPath=/etc/nvidia/ClientConfigToken\n"
			    "ClientConfigTokenPath=/etc/nvidia/ClientConfigToken\n");
}

static void further_options_are_set_by_their_names(void **state)
{
	static const struct settings_license more = {
		.feature_type = 4,
		.gridd_count = 2,
		.gridd = { { "EnableUI", "FALSE" }, { "IgnoreSP", "TRUE" } },
	};
	struct error err = ERROR_INIT;

	sysroot_write(*state, PATHS_GRIDD_CONF, "FeatureType=0\n#EnableUI=TRUE\n");

	assert_int_equal(configure(*state, &more, false, &err), 0);

	sysroot_assert_text(
		*state, PATHS_GRIDD_CONF,
		"FeatureType=4\n#EnableUI=TRUE\nEnableUI=FALSE\nIgnoreSP=TRUE\n");
}

static void a_damaged_file_is_named_and_kept(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(file_write_atomic(&sysroot->root, PATHS_GRIDD_CONF, "A\0B", 3,
					   0644, &err),
			 0);

	assert_int_equal(configure(*state, &settings, false, &err), -1);
	assert_int_equal(err.code, ERROR_USAGE);
	assert_non_null(strstr(err.text, PATHS_GRIDD_CONF ": "));
}

static bool holds(const struct sysroot *sysroot, const char *expected)
{
	struct error err = ERROR_INIT;
	cleanup_free char *text = NULL;
	size_t size;

	assert_int_equal(
		file_read(&sysroot->root, PATHS_GRIDD_CONF, 4096, &text, &size, &err), 0);
	return strcmp(text, expected) == 0;
}

/* Break it at every system call: old or new, and the original is never lost. */
static void no_fault_leaves_a_torn_file(void **state)
{
	int nth = 0, failed;

	do {
		struct error err = ERROR_INIT;

		sysroot_write(*state, PATHS_GRIDD_CONF, "FeatureType=0\n");
		fault_arm(++nth);
		failed = configure(*state, &settings, false, &err);
		assert_int_equal(failed, fault_fired() ? -1 : 0);
		fault_arm(0);

		if (!failed || !holds(*state, "FeatureType=0\n"))
			sysroot_assert_text(*state, PATHS_GRIDD_CONF, "FeatureType=1\n");
		sysroot_assert_entries(*state, "/etc/nvidia", 1);
	} while (failed < 0);

	assert_in_range(nth, 6, 26);
	sysroot_assert_text(*state, BACKUP, "FeatureType=0\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_existing_file_is_edited_and_kept),
		TEST(the_second_time_nothing_changes),
		TEST(the_original_is_kept_through_later_changes),
		TEST(without_a_file_the_template_is_the_beginning),
		TEST(without_anything_the_folder_and_the_file_are_made),
		TEST(a_symbolic_link_is_replaced_by_a_file),
		TEST(a_dangling_link_is_replaced_too),
		TEST(dry_tells_and_writes_nothing),
		TEST(a_strict_mode_is_kept_and_others_may_not_write),
		TEST(a_token_folder_that_is_none_is_put_right),
		TEST(a_token_folder_stays_as_it_is_written),
		TEST(one_of_several_folders_elsewhere_is_enough),
		TEST(further_options_are_set_by_their_names),
		TEST(a_damaged_file_is_named_and_kept),
		TEST(no_fault_leaves_a_torn_file),
	};

	return cmocka_run_group_tests_name("configure", tests, NULL, NULL);
}
