/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernel/dkms.h"

#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "support/cmocka.h"

#define REL "6.1.0-37-cloud-amd64"

static void a_conf_names_the_modules_where_make_leaves_them(void **state)
{
	char kbuild[] = "Kbuild", common[] = "common", nvidia[] = "nvidia";
	char uvm[] = "nvidia-uvm", evil[] = "nvidia-$(halt)";
	char *names[] = { kbuild, common, nvidia, uvm, evil, NULL };
	char *conf = dkms_conf("550.90.07", "kernel-open", names);

	(void)state;
	assert_non_null(conf);
	assert_true(dkms_conf_is_ours(span_of(conf)));
	assert_non_null(strstr(conf, "\nPACKAGE_NAME=\"nvidia\"\n"
				     "PACKAGE_VERSION=\"550.90.07\"\n"));
	assert_non_null(strstr(conf, "\nMAKE[0]=\"'make' -C kernel-open -j"));
	assert_non_null(strstr(conf, " KERNEL_UNAME=$kernelver "));
	assert_non_null(strstr(conf, "\nBUILT_MODULE_NAME[0]=\"nvidia\"\n"
				     "BUILT_MODULE_LOCATION[0]=\"kernel-open\"\n"
				     "DEST_MODULE_LOCATION[0]=\"/updates/dkms\"\n"
				     "BUILT_MODULE_NAME[1]=\"nvidia-uvm\"\n"));
	assert_null(strstr(conf, "NAME[2]"));
	assert_null(strstr(conf, "halt"));
	/* It waits for its installation. */
	assert_null(strstr(conf, "AUTOINSTALL"));
	free(conf);
}

static void a_conf_of_others_is_not_ours(void **state)
{
	(void)state;
	assert_false(dkms_conf_is_ours(span_of("PACKAGE_NAME=\"nvidia\"\n")));
	assert_false(dkms_conf_is_ours(span_of("")));
}

static void the_status_of_every_release_of_dkms_is_understood(void **state)
{
	static const struct {
		const char *status;
		bool installed;
	} cases[] = {
		{ "nvidia/570.86.15, " REL ", x86_64: installed\n", true },
		{ "nvidia, 570.86.15, " REL ", x86_64: installed\n", true },
		{ "nvidia/570.86.15, " REL ", x86_64: installed (WARNING! Diff between "
		  "built and installed module!)\n",
		  true },
		{ "Deprecated feature: REMAKE_INITRD\n"
		  "nvidia/570.86.15, " REL ", x86_64: installed",
		  true },
		{ "nvidia/570.86.15: added\n", false },
		{ "nvidia/570.86.15, " REL ", x86_64: built\n", false },
		{ "nvidia/570.86.15, " REL "-2, x86_64: installed\n", false },
		{ "nvidia/570.86.1, " REL ", x86_64: installed\n", false },
		{ "my-nvidia/570.86.15, " REL ", x86_64: installed\n", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(
			dkms_is_installed(span_of(cases[i].status), "570.86.15", REL),
			cases[i].installed);
}

static void a_key_is_quoted_or_refused(void **state)
{
	char conf[200];

	(void)state;
	assert_true(dkms_signing("/etc/keys/a b.pem", "/etc/keys/$x.der", conf,
				 sizeof(conf)));
	assert_non_null(strstr(conf, "\nmok_signing_key='/etc/keys/a b.pem'\n"
				     "mok_certificate='/etc/keys/$x.der'\n"));
	assert_false(dkms_signing("/it's", "/x", conf, sizeof(conf)));
	assert_false(dkms_signing("/x", "/a\nb", conf, sizeof(conf)));
	assert_false(dkms_signing("/x", "/y", conf, 20));
}

static void the_certificate_is_the_last_that_a_conf_names(void **state)
{
	static const struct {
		const char *conf, *path; /* NULL: none */
	} rows[] = {
		{ "mok_certificate=/etc/keys/a.der\n", "/etc/keys/a.der" },
		{ "  mok_certificate='/etc/a b.der'\n", "/etc/a b.der" },
		{ "mok_certificate=\"/etc/a.der\"", "/etc/a.der" },
		{ "mok_certificate=/a\nmok_certificate=/b\n", "/b" },
		{ "mok_signing_key=/a\n", NULL },
		{ "# mok_certificate=/a\n", NULL },
		{ "mok_certificate=$keys/a\n", NULL },
		{ "mok_certificate=/a/very/long/path\n", NULL },
		{ "mok_certificate='\n", NULL },
		{ "mok_certificate=\n", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char path[16] = "";
		bool found = dkms_certificate(span_of(rows[i].conf), path, sizeof(path));

		if (found != (rows[i].path != NULL) ||
		    (found && strcmp(path, rows[i].path) != 0))
			fail_msg("%s: %s", rows[i].conf, path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_conf_names_the_modules_where_make_leaves_them),
		cmocka_unit_test(a_conf_of_others_is_not_ours),
		cmocka_unit_test(the_status_of_every_release_of_dkms_is_understood),
		cmocka_unit_test(a_key_is_quoted_or_refused),
		cmocka_unit_test(the_certificate_is_the_last_that_a_conf_names),
	};

	return cmocka_run_group_tests_name("dkms", tests, NULL, NULL);
}
