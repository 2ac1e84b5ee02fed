/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/detect/module_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "support/cmocka.h"
#include "support/module.h"

#define FOLDER "/lib/modules/6.1.0"
#define MODULE FOLDER "/nvidia.ko"

static const struct module_version versions[] = { { "module_layout", 0x0badcafe },
						  { "printk", 0x00000007 },
						  { NULL, 0 } };
static const struct module nvidia = {
	.vermagic = "6.1.0 SMP preempt mod_unload modversions ",
	.version = "550.90.07",
	.signer = "Fleet 7",
	.versions = versions,
};

static struct module_file_library *library;

static int setup(void **state)
{
	struct error err = ERROR_INIT;

	(void)sysroot_setup(state);
	sysroot_mkdir(*state, FOLDER);
	return module_file_open(&library, &err);
}

static int teardown(void **state)
{
	module_file_close(library);
	return sysroot_teardown(state);
}

static int read_field(const struct sysroot *sysroot, const char *path, const char *field,
		      char *ret_value, size_t size, struct error *err)
{
	return module_file_field(library, &sysroot->root, path, field, ret_value, size,
				 err);
}

static void fields_are_what_modinfo_shows(void **state)
{
	static const struct {
		const char *field, *value;
	} cases[] = {
		{ "vermagic", "6.1.0 SMP preempt mod_unload modversions" },
		{ "version", "550.90.07" },
		{ "signer", "Fleet 7" },
		{ "license", "GPL" },
		{ "firmware", "" },
	};

	module_write(*state, MODULE, &nvidia);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char value[64] = "untouched";
		struct error err = ERROR_INIT;

		assert_int_equal(read_field(*state, MODULE, cases[i].field, value,
					    sizeof(value), &err),
				 0);
		assert_string_equal(value, cases[i].value);
	}
}

static void versions_are_lines_and_none_are_no_error(void **state)
{
	const struct module without = { .vermagic = "6.1.0 SMP " };
	const struct sysroot *sysroot = *state;
	cleanup_free char *text = NULL, *none = NULL;
	struct error err = ERROR_INIT;

	module_write(sysroot, MODULE, &nvidia);
	module_write(sysroot, FOLDER "/plain.ko", &without);

	assert_int_equal(
		module_file_versions(library, &sysroot->root, MODULE, &text, &err), 0);
	assert_int_equal(module_file_versions(library, &sysroot->root, FOLDER "/plain.ko",
					      &none, &err),
			 0);

	assert_string_equal(text, "0x0badcafe\tmodule_layout\n0x00000007\tprintk\n");
	assert_string_equal(none, "");
}

/* Outside of the root lies a good module: whoever follows a link there would read it. */
static void a_link_inside_the_root_does_not_lead_out(void **state)
{
	const struct sysroot *sysroot = *state;
	struct sysroot *outside;
	char secret[128], up[160], full[128];
	const char *const targets[] = { secret, up };
	void *other = NULL;

	assert_int_equal(sysroot_setup(&other), 0);
	outside = other;
	module_write(outside, "/secret.ko", &nvidia);
	(void)snprintf(secret, sizeof(secret), "%s/secret.ko", outside->dir);
	(void)snprintf(up, sizeof(up), "../../../../../../../..%s", secret);
	(void)snprintf(full, sizeof(full), "%s" MODULE, sysroot->dir);

	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		char value[64];
		struct error err = ERROR_INIT;
		struct stat st;

		assert_int_equal(symlink(targets[i], full), 0);
		assert_int_equal(stat(full, &st), 0); /* it does lead out by itself */
		assert_int_equal(read_field(sysroot, MODULE, "version", value,
					    sizeof(value), &err),
				 -1);
		assert_int_equal(err.errnum, ENOENT);
		assert_int_equal(unlink(full), 0);
	}
	assert_int_equal(sysroot_teardown(&other), 0);
}

static void what_is_no_module_is_an_error(void **state)
{
	const struct sysroot *sysroot = *state;
	char value[64], full[128];
	struct error err = ERROR_INIT;

	sysroot_write(sysroot, FOLDER "/text.ko", "no ELF");
	sysroot_write(sysroot, FOLDER "/empty.ko", "");
	/* zstd's magic: nothing may grow under the name of what is not compressed */
	sysroot_write(sysroot, FOLDER "/packed.ko", "\x28\xb5\x2f\xfd...........");
	sysroot_write(sysroot, FOLDER "/torn.ko.xz",
		      "\xfd"
		      "7zXZ");
	sysroot_write(sysroot, FOLDER "/head.ko", "\177ELF\2\1\1");
	(void)snprintf(full, sizeof(full), "%s" FOLDER "/pipe.ko", sysroot->dir);
	assert_int_equal(mkfifo(full, 0600), 0);
	static const char *const names[] = { "/text.ko",    "/empty.ko", "/packed.ko",
					     "/torn.ko.xz", "/head.ko",  "/pipe.ko" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char path[64];

		err = ERROR_INIT;
		(void)snprintf(path, sizeof(path), FOLDER "%s", names[i]);
		assert_int_equal(
			read_field(sysroot, path, "version", value, sizeof(value), &err),
			-1);
		assert_int_equal(err.code, ERROR_INTEGRITY);
	}
}

/* libkmod remembers modules by their name, and all of these have a descriptor's. */
static void modules_are_not_taken_for_one_another(void **state)
{
	const struct module other = { .vermagic = "6.1.0 SMP ", .version = "1.2" };
	char value[64];
	struct error err = ERROR_INIT;

	module_write(*state, MODULE, &nvidia);
	module_write(*state, FOLDER "/other.ko", &other);

	for (int i = 0; i < 2; i++) {
		assert_int_equal(
			read_field(*state, MODULE, "version", value, sizeof(value), &err),
			0);
		assert_string_equal(value, "550.90.07");
		assert_int_equal(read_field(*state, FOLDER "/other.ko", "version", value,
					    sizeof(value), &err),
				 0);
		assert_string_equal(value, "1.2");
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(fields_are_what_modinfo_shows),
		TEST(versions_are_lines_and_none_are_no_error),
		TEST(a_link_inside_the_root_does_not_lead_out),
		TEST(what_is_no_module_is_an_error),
		TEST(modules_are_not_taken_for_one_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
