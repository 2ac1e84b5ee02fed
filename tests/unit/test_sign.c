/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/build/sign.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "support/cmocka.h"
#include "support/sysroot.h"

static int ended_with;
static char seen[512];

static int fake_start(struct runner *runner, const struct root *root,
		      const struct run *run, struct run_result *ret_result,
		      struct error *err)
{
	(void)runner;
	(void)root;
	(void)err;
	seen[0] = '\0';
	for (const char *const *arg = run->argv; *arg; arg++)
		(void)snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s ",
			       *arg);
	*ret_result = (struct run_result){ .status = ended_with,
					   .output = strdup("no key\n"),
					   .size = 7 };
	return 0;
}

static struct runner fake = { .start = fake_start, .cancel_fd = -1 };
static const struct sign_key key = { "/etc/keys/mok.key", "/etc/keys/mok.crt" };
static const struct kernel kernel = { .release = "6.1.0-1",
				      .build = "/lib/modules/6.1.0-1/build",
				      .source = "/lib/modules/6.1.0-1/source" };
static const struct build_result build = { .count = 1, .modules = { "/tmp/nvidia.ko" } };

static int setup(void **state)
{
	const struct sysroot *sysroot;

	if (sysroot_setup(state) != 0)
		return -1;
	sysroot = *state;
	sysroot_mkdir(sysroot, "/etc/keys");
	sysroot_write(sysroot, key.key, "key");
	sysroot_write(sysroot, key.cert, "certificate");
	return fchmodat(sysroot->root.fd, key.key + 1, 0600, 0);
}

static void a_key_that_others_reach_or_that_is_not_there_is_refused(void **state)
{
	static const struct {
		const char *key, *cert;
		mode_t key_mode, cert_mode;
		const char *words;
	} rows[] = {
		{ "/etc/keys/mok.key", "/etc/keys/mok.crt", 0644, 0644,
		  "signing.key: /etc/keys/mok.key holds a secret" },
		{ "/etc/keys/mok.key", "/etc/keys/mok.crt", 0660, 0644,
		  "signing.key: /etc/keys/mok.key holds a secret" },
		{ "/etc/keys/mok.key", "/etc/keys/mok.crt", 0600, 0666,
		  "signing.cert: /etc/keys/mok.crt: others may write" },
		{ "/etc/keys/none.key", "/etc/keys/mok.crt", 0600, 0644,
		  "signing.key: opening /etc/keys/none.key: No such file" },
		{ "/etc/keys/mok.key", "/etc/none/mok.crt", 0600, 0644,
		  "signing.cert: opening /etc/none/mok.crt: No such file" },
		{ "/etc/keys", "/etc/keys/mok.crt", 0600, 0644,
		  "signing.key: /etc/keys: no regular file" },
	};
	const struct channel nobody = { .worker = "/nobody", .cancel_fd = -1 };
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct sign_key pair = { rows[i].key, rows[i].cert };
		struct error err = ERROR_INIT;
		struct sign_cert cert;

		assert_int_equal(
			fchmodat(sysroot->root.fd, key.key + 1, rows[i].key_mode, 0), 0);
		assert_int_equal(
			fchmodat(sysroot->root.fd, key.cert + 1, rows[i].cert_mode, 0),
			0);
		assert_int_equal(sign_judge(&nobody, &sysroot->root, &pair, &cert, &err),
				 -1);
		if (err.code != ERROR_USAGE || !strstr(err.text, rows[i].words))
			fail_msg("%s: %s", rows[i].words, err.text);
	}
}

static void the_kernels_own_tool_signs_with_the_given_key(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	sysroot_mkdir(sysroot, "/lib/modules/6.1.0-1/source/scripts");
	sysroot_write(sysroot, "/lib/modules/6.1.0-1/source/scripts/sign-file", "");
	ended_with = 0;

	assert_int_equal(sign_modules(&fake, &sysroot->root, &key, &kernel, &build, &err),
			 0);

	assert_string_equal(seen, "/lib/modules/6.1.0-1/source/scripts/sign-file sha256 "
				  "/etc/keys/mok.key /etc/keys/mok.crt /tmp/nvidia.ko ");
}

static void a_refused_key_is_a_matter_of_secure_boot(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	sysroot_mkdir(sysroot, "/lib/modules/6.1.0-1/build/scripts");
	sysroot_write(sysroot, "/lib/modules/6.1.0-1/build/scripts/sign-file", "");
	ended_with = 1;

	assert_int_equal(sign_modules(&fake, &sysroot->root, &key, &kernel, &build, &err),
			 -1);

	assert_int_equal(err.code, ERROR_SECURE_BOOT);
	assert_non_null(strstr(err.hint, "signing.key"));
}

#define DIGEST "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define TOOL "/lib/modules/6.1.0-1/build/scripts/sign-file"

/* The host that has the key: it answers, or it ends well and has written nothing. */
static const char *answer;
static const struct sysroot *build_host;

static int far_start(struct runner *runner, const struct root *root,
		     const struct run *run, struct run_result *ret_result,
		     struct error *err)
{
	bool digest = strcmp(run->argv[0], "/usr/bin/sha256sum") == 0;
	size_t used = strlen(seen);

	(void)runner;
	(void)root;
	(void)err;
	for (const char *const *arg = run->argv; *arg; arg++)
		used += (size_t)snprintf(seen + used, sizeof(seen) - used, "%s ", *arg);
	if (strcmp(run->argv[0], "/root/sign") == 0) {
		sysroot_assert_text(build_host, run->argv[1], DIGEST);
		sysroot_write(build_host, run->argv[2], answer);
	}
	*ret_result = (struct run_result){ .output = strdup(digest ? DIGEST " *x" : "") };
	ret_result->size = strlen(ret_result->output);
	return 0;
}

static void a_host_that_has_the_key_gets_digests_alone(void **state)
{
	static const struct {
		const char *answer;
		int result;
		bool added;
	} rows[] = { { "signature", 0, true }, { "", -1, false } };
	static const struct sign_key far = { "", "/etc/keys/mok.crt", "/root/sign" };
	static struct runner there = { .start = far_start, .cancel_fd = -1 };
	const struct sysroot *sysroot = *state;

	build_host = sysroot;
	sysroot_mkdir(sysroot, "/tmp");
	sysroot_mkdir(sysroot, "/usr/bin");
	sysroot_program(sysroot, "/usr/bin/sha256sum");
	sysroot_mkdir(sysroot, "/lib/modules/6.1.0-1/build/scripts");
	sysroot_write(sysroot, TOOL, "");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error err = ERROR_INIT;

		seen[0] = '\0';
		answer = rows[i].answer;
		assert_int_equal(
			sign_modules(&there, &sysroot->root, &far, &kernel, &build, &err),
			rows[i].result);

		assert_non_null(strstr(seen, "/root/sign /tmp/nvidia.ko.sha256 "
					     "/tmp/nvidia.ko.p7s "));
		assert_int_equal(strstr(seen,
					TOOL " -s /tmp/nvidia.ko.p7s sha256 "
					     "/etc/keys/mok.crt /tmp/nvidia.ko ") != NULL,
				 rows[i].added);
		if (rows[i].result < 0)
			assert_int_equal(err.code, ERROR_SECURE_BOOT);
		else
			sysroot_assert_entries(sysroot, "/tmp", 0);
	}
}

static void headers_without_the_tool_are_a_prerequisite(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(sign_modules(&fake, &sysroot->root, &key, &kernel, &build, &err),
			 -1);

	assert_int_equal(err.code, ERROR_PREREQUISITES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_key_that_others_reach_or_that_is_not_there_is_refused, setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			the_kernels_own_tool_signs_with_the_given_key, setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_refused_key_is_a_matter_of_secure_boot,
						setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			a_host_that_has_the_key_gets_digests_alone, setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			headers_without_the_tool_are_a_prerequisite, setup,
			sysroot_teardown),
	};

	return cmocka_run_group_tests_name("sign", tests, NULL, NULL);
}
