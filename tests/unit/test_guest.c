/* SPDX-License-Identifier: Apache-2.0 */
#include "core/guest.h"

#include <string.h>

#include "support/cmocka.h"
#include "support/machine.h"
#include "support/stage.h"

#define OTHER "6.1.0-38-cloud-amd64"

struct scene {
	struct machine machine;
	struct stage stage;
	struct guest guest;
	struct error err;
};

/* A guest with two kernels, of which the first one runs. */
static struct scene *scene_of(const struct sysroot *sysroot)
{
	static struct scene scene;

	scene = (struct scene){ .err = ERROR_INIT };
	machine_init(&scene.machine, sysroot);
	stage_set(&scene.stage, sysroot);
	scene.stage.ctx.runner = &scene.machine.runner;
	sysroot_mkdir(sysroot, "/lib/modules/" OTHER "/kernel");
	sysroot_mkdir(sysroot, "/proc/sys/kernel");
	sysroot_write(sysroot, "/proc/sys/kernel/osrelease", MACHINE_KERNEL "\n");
	sysroot_write(sysroot, "/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
	return &scene;
}

static int look(struct scene *scene)
{
	return guest_look(&scene->stage.ctx, &scene->guest, &scene->err);
}

static void the_running_kernel_is_the_target(void **state)
{
	struct scene *scene = scene_of(*state);
	char words[128];

	stage_add_gpu(*state);
	if (look(scene) < 0)
		fail_msg("%s", scene->err.text);

	assert_int_equal(scene->guest.gpus.count, 1);
	assert_int_equal(scene->guest.kernels.count, 2);
	assert_int_equal(scene->guest.target_count, 1);
	assert_string_equal(scene->guest.targets[0].release, MACHINE_KERNEL);
	assert_string_equal(scene->guest.os.id, "debian");
	assert_int_equal(guest_need_gpu(&scene->stage.ctx, &scene->guest, &scene->err),
			 0);
	guest_describe(&scene->stage.ctx, &scene->guest, words, sizeof(words));
	assert_string_equal(words, "1 NVIDIA GPU, host driver not known");
}

static void a_second_look_finds_the_same_targets(void **state)
{
	struct scene *scene = scene_of(*state);

	assert_int_equal(look(scene), 0);
	assert_int_equal(look(scene), 0);
	assert_int_equal(scene->guest.target_count, 1);
}

static void the_named_kernels_are_the_targets(void **state)
{
	struct scene *scene = scene_of(*state);

	scene->stage.options.kernels[0] = OTHER;
	scene->stage.options.kernel_count = 1;
	assert_int_equal(look(scene), 0);
	assert_string_equal(scene->guest.targets[0].release, OTHER);
}

static void a_kernel_that_is_none_is_refused(void **state)
{
	static const struct {
		const char *name;
		enum error_code code;
	} rows[] = {
		{ "6.1.0-99", ERROR_PREREQUISITES },
		{ "../etc", ERROR_USAGE },
		{ "", ERROR_USAGE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct stage stage;
		struct guest guest = { .target_count = 0 };
		struct error err = ERROR_INIT;

		if (i == 0)
			(void)scene_of(*state);
		stage_set(&stage, *state);
		stage.options.kernels[0] = rows[i].name;
		stage.options.kernel_count = 1;
		assert_int_equal(guest_look_kernels(&stage.ctx, &guest, &err), -1);
		assert_int_equal(err.code, rows[i].code);
	}
}

static void an_image_has_every_kernel_with_headers_and_no_gpu(void **state)
{
	struct scene *scene = scene_of(*state);
	char words[128];

	stage_add_gpu(*state);
	scene->stage.ctx.offline = true;
	assert_int_equal(look(scene), 0);

	assert_int_equal(scene->guest.gpus.count, 0);
	assert_int_equal(scene->guest.target_count, 1);
	assert_int_equal(guest_need_gpu(&scene->stage.ctx, &scene->guest, &scene->err),
			 0);
	guest_describe(&scene->stage.ctx, &scene->guest, words, sizeof(words));
	assert_string_equal(words, "offline: debian 12, 1 kernel");
}

static void a_guest_without_a_gpu_is_3(void **state)
{
	struct scene *scene = scene_of(*state);

	assert_int_equal(look(scene), 0);
	assert_int_equal(guest_need_gpu(&scene->stage.ctx, &scene->guest, &scene->err),
			 -1);
	assert_int_equal(scene->err.code, ERROR_NO_GPU);
	assert_false(guest_host_unreadable(&scene->guest));
}

/* The machine here has a GPU, kernels and a driver: none of them is the guest's. */
static void a_supposed_guest_has_its_host_and_the_named_kernels_alone(void **state)
{
	struct scene *scene = scene_of(*state);
	struct guest *guest = &scene->guest;

	stage_add_gpu(*state);
	scene->stage.ctx.offline = true;
	scene->stage.options.kernels[0] = "6.12.0-1-elsewhere";
	scene->stage.options.kernel_count = 1;
	assert_int_equal(
		guest_suppose(&scene->stage.ctx, "550.90.05", guest, &scene->err), 0);

	assert_string_equal(guest->host.version, "550.90.05");
	assert_int_equal(guest->gpus.count, 1);
	assert_int_equal(guest->gpus.gpus[0].device, 0);
	assert_string_equal(guest->os.id, "debian");
	assert_int_equal(guest->target_count, 1);
	assert_string_equal(guest->targets[0].release, "6.12.0-1-elsewhere");
	assert_int_equal(guest->kernels.count, 0);
	assert_string_equal(guest->installed.version, "");
}

static void the_gpus_of_a_named_tree_are_vgpus_of_that_host(void **state)
{
	struct scene *scene = scene_of(*state);
	struct guest *guest = &scene->guest;

	stage_add_gpu(*state);
	scene->stage.ctx.offline = true;
	scene->stage.options.sysfs = "/srv/pci";
	assert_int_equal(
		guest_suppose(&scene->stage.ctx, "550.90.05", guest, &scene->err), 0);

	assert_int_equal(guest->gpus.count, 1);
	assert_true(gpu_has_vgpu(&guest->gpus));
	assert_string_equal(guest->gpus.gpus[0].host.version, "550.90.05");
	assert_int_equal(guest->host_why.code, ERROR_NONE);
}

static void a_host_that_is_no_version_is_a_usage_error_with_its_hint(void **state)
{
	static const struct {
		const char *host, *kernel;
	} rows[] = { { "", NULL },          { "550", NULL },
		     { "r550_90", NULL },   { "550.90.05.1234", NULL },
		     { "550.90.05", "/x" }, { "550.90.05", "" } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct stage stage;
		struct guest guest = { .target_count = 0 };
		struct error err = ERROR_INIT;

		if (i == 0)
			(void)scene_of(*state);
		stage_set(&stage, *state);
		stage.ctx.offline = true;
		stage.options.kernels[0] = rows[i].kernel;
		stage.options.kernel_count = rows[i].kernel != NULL;
		assert_int_equal(guest_suppose(&stage.ctx, rows[i].host, &guest, &err),
				 -1);
		assert_int_equal(err.code, ERROR_USAGE);
		assert_true(err.hint[0]);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_running_kernel_is_the_target),
		TEST(a_second_look_finds_the_same_targets),
		TEST(the_named_kernels_are_the_targets),
		TEST(a_kernel_that_is_none_is_refused),
		TEST(an_image_has_every_kernel_with_headers_and_no_gpu),
		TEST(a_guest_without_a_gpu_is_3),
		TEST(a_supposed_guest_has_its_host_and_the_named_kernels_alone),
		TEST(the_gpus_of_a_named_tree_are_vgpus_of_that_host),
		TEST(a_host_that_is_no_version_is_a_usage_error_with_its_hint),
	};

	return cmocka_run_group_tests_name("guest", tests, NULL, NULL);
}
