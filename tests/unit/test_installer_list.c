/* SPDX-License-Identifier: Apache-2.0 */
#include "model/driver/installer_list.h"

#include <string.h>

#include "support/cmocka.h"

#define HEAD \
	"NVIDIA Accelerated Graphics Driver for Linux-x86_64\n525.60.11\n0\nnvidia\n0\n0\n0\n0\n"

static void a_manifest_says_what_goes_where(void **state)
{
	static const struct {
		const char *line, *name, *path; /* NULL: that depends on the system */
	} rows[] = {
		{ "nvidia-smi 0755 UTILITY_BINARY", "nvidia-smi", "/usr/bin/nvidia-smi" },
		{ "nvidia-uninstall 0000 UTILITY_BIN_SYMLINK nvidia-installer",
		  "nvidia-uninstall", "/usr/bin/nvidia-uninstall" },
		{ "firmware/gsp_tu10x.bin 0644 FIRMWARE INHERIT_PATH_DEPTH:1",
		  "gsp_tu10x.bin", "/lib/firmware/nvidia/525.60.11/gsp_tu10x.bin" },
		{ "init-scripts/systemd/nvidia-gridd.service 0644 SYSTEMD_UNIT",
		  "nvidia-gridd.service",
		  "/usr/lib/systemd/system/nvidia-gridd.service" },
		{ "gridd.conf.template 0644 EXPLICIT_PATH /etc/nvidia",
		  "gridd.conf.template", "/etc/nvidia/gridd.conf.template" },
		{ "gridd.conf.template 0644 EXPLICIT_PATH", "gridd.conf.template", NULL },
		{ "libcuda.so.525.60.11 0755 CUDA_LIB NATIVE", "libcuda.so.525.60.11",
		  NULL },
		{ "libcuda.so.1 0000 CUDA_SYMLINK NATIVE libcuda.so.525.60.11",
		  "libcuda.so.1", NULL },
		{ "torn", "torn", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char text[512], path[INSTALLER_PATH_MAX] = "";
		struct installer_file file;
		struct span files, version;

		(void)snprintf(text, sizeof(text), HEAD "%s\n\nnot a file\n",
			       rows[i].line);
		files = span_of(text);
		assert_true(installer_list_open_manifest(&files, &version));
		assert_true(span_equals(version, "525.60.11"));
		assert_true(installer_list_next_file(&files, &file));
		assert_true(span_equals(file.name, rows[i].name));
		assert_int_equal(installer_list_place(&file, version, path),
				 rows[i].path != NULL);
		if (rows[i].path)
			assert_string_equal(path, rows[i].path);
		assert_false(installer_list_next_file(&files, &file));
	}
}

static void what_is_no_manifest_names_nothing(void **state)
{
	static const char *const texts[] = { "", "\n", "a\nb\n",
					     "a\n\n0\n0\n0\n0\n0\n0\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct span files = span_of(texts[i]), version;

		assert_false(installer_list_open_manifest(&files, &version));
	}
}

static void only_the_whole_version_counts(void **state)
{
	static const struct {
		const char *name;
		bool is;
	} rows[] = {
		{ "libcuda.so.525.60", true },
		{ "nvidia-application-profiles-525.60-rc", true },
		{ "525.60", true },
		{ "libcuda.so.525.60.11", false },
		{ "libcuda.so.1525.60", false },
		{ "libcuda.so.525.601", false },
		{ "libcuda.so.1", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(installer_list_is_versioned(span_of(rows[i].name),
							     span_of("525.60")),
				 rows[i].is);
	assert_false(installer_list_is_versioned(span_of("x"), span_of("")));
}

static void a_record_says_what_was_installed_and_what_comes_back(void **state)
{
	struct span record =
		span_of("1.0-5256011 (525.60.11)\n"
			"NVIDIA Accelerated Graphics Driver\n"
			"100: /usr/bin/nvidia-smi\n123 0100755 0 0\n"
			"2: /usr/lib/libcuda.so.1\nlibcuda.so.1.1\n0777 0 0\n"
			"1: /usr/bin/nvidia-smi\n456\n"
			"0: /usr/bin/nvidia-uninstall\nnvidia-installer\n"
			"1: /usr/bin/torn");
	static const struct {
		enum installer_entry_kind kind;
		const char *path;
	} rows[] = {
		{ INSTALLER_ENTRY_KEPT, "/usr/bin/nvidia-smi" },
		{ INSTALLER_ENTRY_KEPT, "/usr/lib/libcuda.so.1" },
		{ INSTALLER_ENTRY_FILE, "/usr/bin/nvidia-smi" },
		{ INSTALLER_ENTRY_LINK, "/usr/bin/nvidia-uninstall" },
	};
	struct installer_entry entry;
	struct span version;

	(void)state;
	assert_true(installer_list_open_record(&record, &version));
	assert_true(span_equals(version, "525.60.11"));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_true(installer_list_next_entry(&record, &entry));
		assert_int_equal(entry.kind, rows[i].kind);
		assert_true(span_equals(entry.path, rows[i].path));
	}
	assert_false(installer_list_next_entry(&record, &entry));
}

static void what_is_no_record_has_no_entries(void **state)
{
	static const char *const heads[] = { "", "525.60.11\nwords\n",
					     "1.0-1 ()\nwords\n", "1.0-1 (5.6)" };
	static const char *const entries[] = {
		"",           "3: /x\n1\n", "99: /x\n1\n", "1: relative\n1\n",
		"x: /x\n1\n", "1:\n1\n"
	};
	struct installer_entry entry;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		struct span record = span_of(heads[i]), version;

		assert_false(installer_list_open_record(&record, &version));
	}
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		struct span rest = span_of(entries[i]);

		assert_false(installer_list_next_entry(&rest, &entry));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_manifest_says_what_goes_where),
		cmocka_unit_test(what_is_no_manifest_names_nothing),
		cmocka_unit_test(only_the_whole_version_counts),
		cmocka_unit_test(a_record_says_what_was_installed_and_what_comes_back),
		cmocka_unit_test(what_is_no_record_has_no_entries),
	};

	return cmocka_run_group_tests_name("installer_list", tests, NULL, NULL);
}
