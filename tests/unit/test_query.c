/* SPDX-License-Identifier: Apache-2.0 */
#include "license/query.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "support/cmocka.h"
#include "support/script.h"
#include "support/smi_report.h"
#include "support/sysroot.h"

static struct license_report report;
static char *smi_output;

static void close_look(struct query *look)
{
	query_close(look);
}

static int ask(struct query *look, const char *backend, const struct sysroot *sysroot,
	       struct error *err)
{
	const struct script_answer answers[] = {
		{ .match = "nvidia-smi -q", .output = smi_output },
		{ .match = NULL },
	};
	struct script script;

	memset(&report, 0, sizeof(report));
	script_init(&script, answers, NULL);
	return query_license(look, backend, &script.runner, &sysroot->root, &report, err);
}

static int setup(void **state)
{
	if (sysroot_setup(state) < 0)
		return -1;
	sysroot_mkdir(*state, "/usr");
	sysroot_mkdir(*state, "/usr/bin");
	sysroot_write(*state, "/usr/bin/nvidia-smi", "");
	assert_int_equal(fchmodat(((struct sysroot *)*state)->root.fd,
				  "usr/bin/nvidia-smi", 0755, 0),
			 0);
	smi_output = smi_report_vgpus(1, 1, "Unlicensed (Restricted)");
	return 0;
}

static int teardown(void **state)
{
	free(smi_output);
	return sysroot_teardown(state);
}

static void by_itself_nvml_is_asked_where_more_looks_follow(void **state)
{
	cleanup(close_look) struct query look = QUERY_INIT;
	struct error err = ERROR_INIT;

	look.library = FAKE_NVML_DIR "/libfake-nvml-licensed.so";
	assert_int_equal(ask(&look, "auto", *state, &err), 0);
	assert_int_equal(look.by_smi, 1);
	look.stays = true;
	assert_int_equal(ask(&look, "auto", *state, &err), 0);

	assert_int_equal(look.by_nvml, 1);
	assert_int_equal(report.gpus[0].features[0].state, LICENSE_LICENSED);
}

static void nvidia_smi_answers_on_any_doubt(void **state)
{
	static const char *const libraries[] = {
		FAKE_NVML_DIR "/libfake-nvml-unlicensed.so",
		FAKE_NVML_DIR "/libfake-nvml-crashes.so",
		FAKE_NVML_DIR "/libfake-nvml-mismatched.so",
		FAKE_NVML_DIR "/libfake-nvml-without_symbol.so",
		FAKE_NVML_DIR "/libfake-nvml-grown.so",
		"libvgpu-that-is-not-there.so.1",
	};

	for (size_t i = 0; i < ARRAY_SIZE(libraries); i++) {
		cleanup(close_look) struct query look = QUERY_INIT;
		struct error err = ERROR_INIT;

		look.library = libraries[i];
		look.stays = true;
		assert_int_equal(ask(&look, "auto", *state, &err), 0);

		assert_int_equal(look.by_smi, 1);
		assert_int_equal(report.gpus[0].features[0].state,
				 LICENSE_UNLICENSED_RESTRICTED);
	}
}

static void a_library_that_crashed_is_left_alone_for_a_while(void **state)
{
	cleanup(close_look) struct query look = QUERY_INIT;
	struct error err = ERROR_INIT;

	look.library = FAKE_NVML_DIR "/libfake-nvml-crashes.so";
	look.stays = true;
	assert_int_equal(ask(&look, "auto", *state, &err), 0);
	assert_int_equal(ask(&look, "auto", *state, &err), 0);

	assert_false(nvml_child_is_up(&look.nvml));
	assert_int_equal(look.by_smi, 2);
}

/* The process has the old library for ever; the next one finds the new one. */
static void a_library_that_was_replaced_is_opened_anew(void **state)
{
	cleanup(close_look) struct query look = QUERY_INIT;
	struct error err = ERROR_INIT;

	look.library = FAKE_NVML_DIR "/libfake-nvml-replaced.so";
	look.stays = true;
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(&look, "auto", *state, &err), 0);

	assert_int_equal(look.by_nvml, 2);
	assert_int_equal(look.by_smi, 1);
}

static void nvml_alone_is_asked_again_although_it_crashed(void **state)
{
	cleanup(close_look) struct query look = QUERY_INIT;
	struct error err = ERROR_INIT;

	look.library = FAKE_NVML_DIR "/libfake-nvml-dies_later.so";
	look.stays = true;
	assert_int_equal(ask(&look, "nvml", *state, &err), 0);
	assert_int_equal(ask(&look, "nvml", *state, &err), -1);
	assert_int_equal(ask(&look, "nvml", *state, &err), 0);
}

static void nvml_alone_is_taken_as_it_is(void **state)
{
	cleanup(close_look) struct query look = QUERY_INIT;
	struct error err = ERROR_INIT;

	look.library = FAKE_NVML_DIR "/libfake-nvml-unlicensed.so";
	assert_int_equal(ask(&look, "nvml", *state, &err), 0);

	assert_int_equal(report.gpus[0].features[0].state, LICENSE_UNLICENSED);
	assert_int_equal(look.by_smi, 0);
}

static void nvml_alone_has_no_way_out(void **state)
{
	cleanup(close_look) struct query look = QUERY_INIT;
	struct error err = ERROR_INIT;

	look.library = FAKE_NVML_DIR "/libfake-nvml-mismatched.so";
	assert_int_equal(ask(&look, "nvml", *state, &err), -1);

	assert_int_equal(err.code, ERROR_DRIVER);
	assert_int_equal(look.by_smi, 0);
}

static void nvidia_smi_alone_leaves_nvml_closed(void **state)
{
	cleanup(close_look) struct query look = QUERY_INIT;
	struct error err = ERROR_INIT;

	look.library = FAKE_NVML_DIR "/libfake-nvml-licensed.so";
	look.stays = true;
	assert_int_equal(ask(&look, "nvidia-smi", *state, &err), 0);

	assert_int_equal(look.by_nvml, 0);
	assert_false(nvml_child_is_up(&look.nvml));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_itself_nvml_is_asked_where_more_looks_follow),
		cmocka_unit_test(nvidia_smi_answers_on_any_doubt),
		cmocka_unit_test(a_library_that_crashed_is_left_alone_for_a_while),
		cmocka_unit_test(a_library_that_was_replaced_is_opened_anew),
		cmocka_unit_test(nvml_alone_is_asked_again_although_it_crashed),
		cmocka_unit_test(nvml_alone_is_taken_as_it_is),
		cmocka_unit_test(nvml_alone_has_no_way_out),
		cmocka_unit_test(nvidia_smi_alone_leaves_nvml_closed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
