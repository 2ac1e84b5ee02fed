/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/signing.h"

#include <string.h>
#include <sys/stat.h>

#include "support/cmocka.h"
#include "support/worker.h"

#define ENFORCE "/sys/module/module/parameters/sig_enforce"
#define LISTED                                                                             \
	"0035c522 I------     1 perm 1f030000     0     0 asymmetri Acme: ab01: X509.rsa " \
	"ab01 []\n"
#define CERTIFICATE(id, kind)                                                   \
	"{\"result\":{\"key_id\":\"" id "\",\"name\":\"Acme\",\"kind\":\"" kind \
	"\",\"signs\":false}}"

/* A guest whose kernel enforces, or not, and what the worker says of certificates. */
struct scene {
	struct stage stage;
	struct work work;
	struct error err;
};

static void put(const struct sysroot *sysroot, const char *path, const char *text)
{
	struct error err = ERROR_INIT;
	char folder[256];

	(void)snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path),
		       path);
	assert_int_equal(root_mkdir(&sysroot->root, folder, 0755, &err), 0);
	sysroot_write(sysroot, path, text);
	assert_int_equal(fchmodat(sysroot->root.fd, path + 1, 0600, 0), 0);
}

static void begin(const struct sysroot *sysroot, struct scene *scene, const char *enforce,
		  const char *answer)
{
	const struct worker_answer answers[] = { { "certificate", NULL, answer },
						 { NULL } };

	*scene = (struct scene){ .err = ERROR_INIT };
	sysroot_empty(sysroot);
	stage_set(&scene->stage, sysroot);
	put(sysroot, "/proc/keys", LISTED);
	put(sysroot, ENFORCE, enforce);
	worker_set(&scene->stage, sysroot, answers);
}

static void set_key(const struct sysroot *sysroot, struct scene *scene)
{
	put(sysroot, "/etc/key.pem", "key");
	put(sysroot, "/etc/cert.pem", "certificate");
	(void)strcpy(scene->stage.ctx.settings.signing.key, "/etc/key.pem");
	(void)strcpy(scene->stage.ctx.settings.signing.cert, "/etc/cert.pem");
}

static int check(struct scene *scene)
{
	return signing_check(&scene->stage.ctx, &scene->work, &scene->err);
}

static void where_nothing_enforces_any_module_is_taken(void **state)
{
	struct scene scene;

	begin(*state, &scene, "N\n", CERTIFICATE("ab02", "RSA"));
	assert_int_equal(check(&scene), 0);
	set_key(*state, &scene);
	assert_int_equal(check(&scene), 0);
	assert_int_equal(signing_accepts(&scene.stage.ctx, "", &scene.err), 0);
	stage_clear(&scene.stage);
}

static void who_signs_must_be_trusted_by_the_kernel(void **state)
{
	enum signer { NOBODY, SETTINGS, DKMS };
	static const struct {
		const char *what;
		enum signer signer;
		bool package, dkms, offline;
		const char *answer, *words;
	} rows[] = {
		{ "no key", NOBODY, false, false, false, "", "there is no key" },
		{ "no key, an image", NOBODY, false, false, true, "", NULL },
		{ "a trusted key", SETTINGS, false, false, false,
		  CERTIFICATE("ab01", "RSA"), NULL },
		{ "another key", SETTINGS, false, false, false,
		  CERTIFICATE("ab02", "RSA"),
		  "signing.cert in /proc/keys: Acme, key id "
		  "ab02" },
		{ "another key, an image", SETTINGS, false, false, true,
		  CERTIFICATE("ab02", "RSA"), NULL },
		{ "an elliptic curve", SETTINGS, false, false, false,
		  CERTIFICATE("ab02", "EC"), "elliptic curve" },
		{ "a package, which our key does not sign", SETTINGS, true, false, false,
		  CERTIFICATE("ab01", "RSA"), "there is no key" },
		{ "a package, DKMS's key is trusted", DKMS, true, false, false,
		  CERTIFICATE("ab01", "RSA"), NULL },
		{ "a package, DKMS's key is another", DKMS, true, false, false,
		  CERTIFICATE("ab02", "RSA"), "the key of DKMS" },
		{ "DKMS, its key is trusted", DKMS, false, true, false,
		  CERTIFICATE("ab01", "RSA"), NULL },
		{ "DKMS, its key is another", DKMS, false, true, false,
		  CERTIFICATE("ab02", "RSA"), "the key of DKMS" },
		{ "DKMS has a key, and we compile", DKMS, false, false, false,
		  CERTIFICATE("ab01", "RSA"), "there is no key" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct scene scene;

		begin(*state, &scene, "Y\n", rows[i].answer);
		if (rows[i].signer == SETTINGS)
			set_key(*state, &scene);
		if (rows[i].signer == DKMS)
			put(*state, "/var/lib/dkms/mok.pub", "certificate");
		scene.work.driver.kind = rows[i].package ? PACKAGE_DEB : PACKAGE_RUN;
		scene.work.dkms_wanted = rows[i].dkms;
		scene.stage.ctx.offline = rows[i].offline;
		if (check(&scene) != (rows[i].words ? -1 : 0))
			fail_msg("%s: %s", rows[i].what, scene.err.text);
		if (rows[i].words) {
			if (!strstr(scene.err.text, rows[i].words))
				fail_msg("%s: %s", rows[i].what, scene.err.text);
			assert_int_equal(scene.err.code, ERROR_SECURE_BOOT);
			assert_true(scene.err.hint[0]);
		}
		stage_clear(&scene.stage);
	}
}

static void a_key_that_is_bad_is_not_a_matter_of_the_kernels(void **state)
{
	struct scene scene;

	begin(*state, &scene, "N\n",
	      "{\"error\":{\"name\":\"usage\",\"message\":\"signing.key: x\","
	      "\"hint\":\"y\",\"errnum\":0}}");
	set_key(*state, &scene);
	assert_int_equal(check(&scene), -1);
	assert_int_equal(scene.err.code, ERROR_USAGE);
	stage_clear(&scene.stage);
}

static void what_others_signed_is_judged_by_the_key_id(void **state)
{
	static const struct {
		const char *signed_by;
		bool accepted;
	} rows[] = { { "Acme: ab01", true },
		     { "Another: name: ab01", true },
		     { "Acme: ab02", false },
		     { "Acme", false },
		     { "", false } };
	struct scene scene;

	begin(*state, &scene, "Y\n", "");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		scene.err = ERROR_INIT;
		if ((signing_accepts(&scene.stage.ctx, rows[i].signed_by, &scene.err) ==
		     0) != rows[i].accepted)
			fail_msg("%s", rows[i].signed_by);
		if (!rows[i].accepted)
			assert_int_equal(scene.err.code, ERROR_SECURE_BOOT);
	}
	stage_clear(&scene.stage);
}

static void without_a_key_nothing_is_signed(void **state)
{
	static const struct script_answer none[] = { { 0 } };
	const struct kernel kernel = { .release = "6.1.0-37-cloud-amd64" };
	const struct build_result built = { .count = 1, .modules = { "/nvidia.ko" } };
	struct error err = ERROR_INIT;
	struct script script;
	struct stage stage;

	stage_set(&stage, *state);
	script_init(&script, none, NULL);
	stage.ctx.runner = &script.runner;
	assert_int_equal(signing_sign(&stage.ctx, &kernel, &built, &err), 0);

	(void)strcpy(stage.ctx.settings.signing.key, "/key.pem");
	assert_int_equal(signing_sign(&stage.ctx, &kernel, &built, &err), -1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(where_nothing_enforces_any_module_is_taken),
		TEST(who_signs_must_be_trusted_by_the_kernel),
		TEST(a_key_that_is_bad_is_not_a_matter_of_the_kernels),
		TEST(what_others_signed_is_judged_by_the_key_id),
		TEST(without_a_key_nothing_is_signed),
	};

	return cmocka_run_group_tests_name("signing", tests, NULL, NULL);
}
