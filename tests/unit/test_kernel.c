/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernel/kernel.h"

#include <string.h>

#include "support/cmocka.h"

static void a_release_is_a_safe_name_of_a_folder(void **state)
{
	static const struct {
		const char *text;
		bool valid;
	} cases[] = {
		{ "6.1.0-37-cloud-amd64", true },
		{ "5.14.0-427.el9.x86_64", true },
		{ "6.8.0-1015-azure~22.04+1_x", true },
		{ "", false },
		{ "..", false },
		{ "6.1..0", false },
		{ ".6.1", false },
		{ "-k", false },
		{ "6.1/x", false },
		{ "6.1 0", false },
		{ "6.1;reboot", false },
		{ "6.1\n", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (kernel_release_valid(span_of(cases[i].text)) != cases[i].valid)
			fail_msg("\"%s\"", cases[i].text);
	}
}

static void the_compiler_is_read_from_the_configuration(void **state)
{
	static const struct {
		const char *config, *compiler;
		bool clang;
		int major;
	} cases[] = {
		{ "CONFIG_CC_VERSION_TEXT=\"gcc-12 (Debian 12.2.0-14) 12.2.0\"\n"
		  "CONFIG_CC_IS_GCC=y\nCONFIG_GCC_VERSION=120200\nCONFIG_CLANG_VERSION=0\n",
		  "gcc-12 (Debian 12.2.0-14) 12.2.0", false, 12 },
		{ "CONFIG_CC_VERSION_TEXT=\"gcc-12 (Debian 12.2.0-14) 12.2.0\"\n",
		  "gcc-12 (Debian 12.2.0-14) 12.2.0", false, 12 },
		{ "CONFIG_CC_VERSION_TEXT=\"gcc (GCC) 11.4.1 20230605 (Red Hat 11.4.1-2)\"\n",
		  "gcc (GCC) 11.4.1 20230605 (Red Hat 11.4.1-2)", false, 11 },
		{ "CONFIG_CC_VERSION_TEXT=\"x86_64-linux-gnu-gcc-13 (Ubuntu "
		  "13.2.0-23ubuntu4) 13.2.0\"",
		  "x86_64-linux-gnu-gcc-13 (Ubuntu 13.2.0-23ubuntu4) 13.2.0", false, 13 },
		{ "CONFIG_GCC_VERSION=0\nCONFIG_CLANG_VERSION=160006\n"
		  "CONFIG_CC_VERSION_TEXT=\"Debian clang version 16.0.6 (15)\"\n",
		  "Debian clang version 16.0.6 (15)", true, 16 },
		{ "CONFIG_CC_VERSION_TEXT=\"clang version 14\"\n", "clang version 14",
		  true, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct kernel kernel = { .release = "" };

		assert_true(kernel_read_config(span_of(cases[i].config), &kernel));
		assert_string_equal(kernel.compiler, cases[i].compiler);
		assert_int_equal(kernel.clang, cases[i].clang);
		assert_int_equal(kernel.compiler_major, cases[i].major);
	}
}

static void a_configuration_without_a_compiler_tells_none(void **state)
{
	static const char *const cases[] = {
		"",
		"# CONFIG_CC_VERSION_TEXT=\"gcc 12.2.0\"\n",
		"CONFIG_CC_VERSION_TEXT=\"\n",
		"CONFIG_CC_VERSION_TEXT=\"gcc\033[2J 12.2.0\"\n",
		"CONFIG_CC_VERSION_TEXT=\"gcc 12.2.0",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct kernel kernel = { .compiler_major = 7 };

		assert_false(kernel_read_config(span_of(cases[i]), &kernel));
		assert_int_equal(kernel.compiler_major, 7);
	}
}

static void os_release_is_read_as_a_shell_would(void **state)
{
	struct os os = { .id = "linux" };

	(void)state;
	kernel_read_os_release(span_of("# ID=none\n"
				       "PRETTY_NAME=\"Rocky Linux 9.4 (Blue Onyx)\"\n"
				       "ID=\"rocky\"\r\n"
				       "ID_LIKE='rhel centos fedora'\n"
				       "VERSION_ID=\"9.\\4\"\n"
				       "broken line\nBUILD_ID=7"),
			       &os);

	assert_string_equal(os.id, "rocky");
	assert_string_equal(os.id_like, "rhel centos fedora");
	assert_string_equal(os.version_id, "9.4");
}

static void a_value_that_is_too_long_is_cut(void **state)
{
	struct os os = { .id = "" };

	(void)state;
	kernel_read_os_release(span_of("VERSION_ID=123456789012345678901234567890\n"),
			       &os);

	assert_string_equal(os.version_id, "123456789012345");
}

static void kernels_are_found_and_printed(void **state)
{
	struct kernel_list list = {
		.count = 2,
		.kernels = { { .release = "6.1.0-9", .headers = true },
			     { .release = "6.1.0-37", .running = true } }
	};
	cleanup_json struct json *json = kernel_list_json(&list);
	cleanup_free char *text = NULL;

	(void)state;
	assert_non_null(json);
	text = json_print(json);

	assert_string_equal(
		text, "[{\"release\":\"6.1.0-9\",\"running\":false,\"headers\":true},"
		      "{\"release\":\"6.1.0-37\",\"running\":true,\"headers\":false}]");
	assert_ptr_equal(kernel_find(&list, "6.1.0-9"), &list.kernels[0]);
	assert_null(kernel_find(&list, "6.1.0"));
	assert_ptr_equal(kernel_running(&list), &list.kernels[1]);
}

static void the_os_is_printed_with_null_for_no_version(void **state)
{
	struct os os = { .id = "debian", .version_id = "", .arch = "x86_64" };
	cleanup_json struct json *json = kernel_os_json(&os);
	cleanup_free char *text = NULL;

	(void)state;
	assert_non_null(json);
	text = json_print(json);

	assert_string_equal(
		text, "{\"id\":\"debian\",\"version_id\":null,\"arch\":\"x86_64\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_release_is_a_safe_name_of_a_folder),
		cmocka_unit_test(the_compiler_is_read_from_the_configuration),
		cmocka_unit_test(a_configuration_without_a_compiler_tells_none),
		cmocka_unit_test(os_release_is_read_as_a_shell_would),
		cmocka_unit_test(a_value_that_is_too_long_is_cut),
		cmocka_unit_test(kernels_are_found_and_printed),
		cmocka_unit_test(the_os_is_printed_with_null_for_no_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
