/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/in_place.h"

#include <string.h>
#include <sys/stat.h>

#include "support/cmocka.h"
#include "support/worker.h"

#define KERNEL "6.1.0-37-cloud-amd64"
#define PLACE "/lib/modules/" KERNEL "/" PATHS_MODULES
#define SIGNER(id, signs)                                                        \
	"{\"result\":{\"key_id\":\"" id "\",\"name\":\"Acme\",\"kind\":\"RSA\"," \
	"\"signs\":" signs "}}"

static void put(const struct sysroot *sysroot, const char *path, const char *text,
		mode_t mode)
{
	struct error err = ERROR_INIT;
	char folder[256];

	(void)snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path),
		       path);
	assert_int_equal(root_mkdir(&sysroot->root, folder, 0755, &err), 0);
	sysroot_write(sysroot, path, text);
	assert_int_equal(fchmodat(sysroot->root.fd, path + 1, mode, 0), 0);
}

static void our_modules_are_refused_where_the_kernel_would(void **state)
{
	static const struct {
		const char *what, *enforce, *path, *kind, *answer;
		bool key, offline, refused;
	} rows[] = {
		{ "unsigned", "Y\n", PLACE "/nvidia.ko\n", "\n", NULL, false, false,
		  true },
		{ "unsigned, nothing enforces", "N\n", PLACE "/nvidia.ko\n", "\n", NULL,
		  false, false, false },
		{ "unsigned, an image", "Y\n", PLACE "/nvidia.ko\n", "\n", NULL, false,
		  true, false },
		{ "unsigned, of others", "Y\n", "/lib/modules/x/extra/nvidia.ko\n", "\n",
		  NULL, false, false, false },
		{ "signed, no key to compare", "Y\n", PLACE "/nvidia.ko\n", "PKCS#7\n",
		  NULL, false, false, false },
		{ "signed by our key", "Y\n", PLACE "/nvidia.ko\n", "PKCS#7\n",
		  SIGNER("ab01", "true"), true, false, false },
		{ "signed by another", "Y\n", PLACE "/nvidia.ko\n", "PKCS#7\n",
		  SIGNER("ab01", "false"), true, false, true },
		{ "by another, and ours is not trusted", "Y\n", PLACE "/nvidia.ko\n",
		  "PKCS#7\n", SIGNER("ab02", "false"), true, false, false },
		{ "a worker that fails", "Y\n", PLACE "/nvidia.ko\n", "PKCS#7\n", "{}",
		  true, false, false },
	};
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct worker_answer worker[] = {
			{ "certificate", NULL, rows[i].answer }, { NULL }
		};
		const struct script_answer answers[] = {
			{ .match = "-F filename", .output = rows[i].path },
			{ .match = "-F sig_id", .output = rows[i].kind },
			{ 0 },
		};
		struct error err = ERROR_INIT;
		bool refused = !rows[i].refused;
		struct script script;
		struct stage stage;

		sysroot_empty(sysroot);
		stage_set(&stage, sysroot);
		stage_add_program(sysroot, "/usr/sbin/modinfo", "#!/bin/sh\n");
		put(sysroot, "/sys/module/module/parameters/sig_enforce", rows[i].enforce,
		    0644);
		put(sysroot, "/proc/keys",
		    "0035c522 I------     1 perm 1f030000     0     0 asymmetri "
		    "x: ab01: X509.rsa ab01 []\n",
		    0644);
		put(sysroot, PLACE "/nvidia.ko", "module", 0644);
		put(sysroot, "/etc/key.pem", "key", 0600);
		put(sysroot, "/etc/cert.pem", "certificate", 0644);
		if (rows[i].answer)
			worker_set(&stage, sysroot, worker);
		script_init(&script, answers, *state);
		stage.ctx.runner = &script.runner;
		stage.ctx.offline = rows[i].offline;
		if (rows[i].key) {
			(void)strcpy(stage.ctx.settings.signing.key, "/etc/key.pem");
			(void)strcpy(stage.ctx.settings.signing.cert, "/etc/cert.pem");
		}
		assert_int_equal(in_place_refused(&stage.ctx, KERNEL, &refused, &err), 0);
		if (refused != rows[i].refused)
			fail_msg("%s", rows[i].what);
		stage_clear(&stage);
	}
}

static void copies_are_signed_and_those_in_place_stay(void **state)
{
	static const struct kernel kernel = { .release = KERNEL,
					      .build = "/usr/src/headers" };
	const struct script_answer answers[] = { { .match = "sign-file" }, { 0 } };
	const struct sysroot *sysroot = *state;
	struct build_result built = { .count = 0 };
	struct error err = ERROR_INIT;
	struct script script;
	struct stage stage;

	stage_set(&stage, sysroot);
	script_init(&script, answers, *state);
	stage.ctx.runner = &script.runner;
	put(sysroot, PLACE "/nvidia.ko", "one", 0644);
	put(sysroot, PLACE "/nvidia-uvm.ko", "other", 0644);
	put(sysroot, PLACE "/notes", "no module", 0644);
	assert_int_equal(in_place_sign(&stage.ctx, &kernel, &built, &err), -1);
	assert_int_equal(err.code, ERROR_PREREQUISITES); /* no sign-file */
	assert_int_equal(built.count, 0);

	put(sysroot, "/usr/src/headers/scripts/sign-file", "", 0755);
	assert_int_equal(in_place_sign(&stage.ctx, &kernel, &built, &err), 0);
	assert_int_equal(built.count, 2);
	assert_int_equal(script_count(&script, PATHS_BUILD "/" KERNEL "/nvidia"), 2);
	assert_int_equal(script_count(&script, PLACE), 0);
	sysroot_assert_text(sysroot, PATHS_BUILD "/" KERNEL "/nvidia.ko", "one");
	stage_clear(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			our_modules_are_refused_where_the_kernel_would, sysroot_setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(copies_are_signed_and_those_in_place_stay,
						sysroot_setup, sysroot_teardown),
	};

	return cmocka_run_group_tests_name("in_place", tests, NULL, NULL);
}
