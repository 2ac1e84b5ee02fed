/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/modules_prebuilt.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "model/paths.h"
#include "support/cmocka.h"
#include "support/machine.h"
#include "support/module.h"
#include "support/worker.h"

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define VERMAGIC MACHINE_KERNEL " SMP preempt mod_unload modversions "
#define KEYS(version, kernel, flavour)                                                   \
	"\"version\":\"" version "\",\"kernel\":\"" kernel "\",\"vermagic\":\"" VERMAGIC \
	"\",\"compiler\":\"gcc 12.2.0\","                                                \
	"\"arch\":\"x86_64\",\"flavour\":\"" flavour "\""
#define ENTRY(name, sha, keys) \
	"{\"name\":\"" name "\",\"size\":3,\"sha256\":\"" sha "\"," keys "}"
#define RIGHT KEYS(MACHINE_OLD, MACHINE_KERNEL, "proprietary")
#define FIRST ENTRY("m.tar.gz", SHA_A, RIGHT)
#define MANIFEST(keys) "\"manifest\":{\"name\":\"m.tar.gz\"," keys "}"

/* A guest with a kernel and its headers, whose driver's modules are wanted. */
struct scene {
	struct stage stage;
	struct guest guest;
	struct index index;
	struct repository repository;
	struct work work;
	struct modules_prebuilt result;
	struct error err;
};

static struct machine machine;
static struct scene scene;

static int setup(void **state)
{
	(void)sysroot_setup(state);
	machine_init(&machine, *state);
	return 0;
}

static void begin(const struct sysroot *sysroot, const char *list)
{
	scene = (struct scene){ .err = ERROR_INIT };
	stage_set(&scene.stage, sysroot);
	scene.stage.ctx.runner = &machine.runner;
	(void)strcpy(scene.stage.ctx.settings.driver.repository, "https://x.example/");
	scene.guest = (struct guest){ .os = { .id = "debian", .arch = "x86_64" } };
	assert_int_equal(
		detect_kernels(&sysroot->root, false, &scene.guest.kernels, &scene.err),
		0);
	scene.guest.target_count = 1;
	scene.guest.targets[0] = *kernel_find(&scene.guest.kernels, MACHINE_KERNEL);
	scene.repository =
		(struct repository){ .source = REPOSITORY_INDEX, .index = &scene.index };
	assert_int_equal(json_parse(list, strlen(list), &scene.index.modules, &scene.err),
			 0);
	work_begin(&scene.stage.ctx, &scene.guest, &scene.work);
	scene.work.driver.kind = PACKAGE_RUN;
	(void)strcpy(scene.work.driver.version, MACHINE_OLD);
}

static void end(void)
{
	json_free(scene.index.modules);
	work_done(&scene.work);
	stage_clear(&scene.stage);
}

static void what_the_index_lists_for_a_kernel_needs_no_compiler(void **state)
{
	static const struct {
		const char *list, *prebuilt, *package, *dkms, *flavour, *repository;
		bool expected;
	} rows[] = {
		{ "[" FIRST "]", "auto", "auto", "no", "auto", "https://x/", true },
		{ "[" FIRST "]", "only", "run", "no", "proprietary", "https://x/", true },
		{ "[]", "auto", "auto", "no", "auto", "https://x/", false },
		{ "[" FIRST "]", "never", "auto", "no", "auto", "https://x/", false },
		{ "[" FIRST "]", "auto", "deb", "no", "auto", "https://x/", false },
		{ "[" FIRST "]", "auto", "rpm", "no", "auto", "https://x/", false },
		{ "[" FIRST "]", "auto", "auto", "yes", "auto", "https://x/", false },
		{ "[" FIRST "]", "auto", "auto", "no", "open", "https://x/", false },
		{ "[" FIRST "]", "auto", "auto", "no", "auto", "", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct settings_driver *driver = &scene.stage.ctx.settings.driver;

		begin(*state, rows[i].list);
		(void)strcpy(driver->prebuilt, rows[i].prebuilt);
		(void)strcpy(driver->package, rows[i].package);
		(void)strcpy(driver->kernel_module, rows[i].flavour);
		(void)strcpy(driver->repository, rows[i].repository);
		scene.work.dkms_wanted = strcmp(rows[i].dkms, "yes") == 0;
		if (modules_prebuilt_listed(&scene.stage.ctx, &scene.repository,
					    &scene.work,
					    MACHINE_KERNEL) != rows[i].expected)
			fail_msg("row %zu", i);
		assert_false(modules_prebuilt_listed(&scene.stage.ctx, &scene.repository,
						     &scene.work, "6.1.0-38"));
		end();
	}
}

/* Without versions of symbols nothing proves that an archive fits: none is promised. */
static void a_kernel_without_versions_takes_no_archive(void **state)
{
	static const struct {
		const char *file, *text;
		bool promised;
	} rows[] = {
		{ "/boot/config-" MACHINE_KERNEL, "CONFIG_MODULES=y\n", false },
		{ "/boot/config-" MACHINE_KERNEL,
		  "CONFIG_MODULES=y\n# CONFIG_MODVERSIONS is not set\n", false },
		{ "/boot/config-" MACHINE_KERNEL,
		  "CONFIG_MODULES=y\nCONFIG_MODVERSIONS=y\n", true },
		{ "/lib/modules/" MACHINE_KERNEL "/config", "CONFIG_MODULES=y\n", false },
		{ "/lib/modules/" MACHINE_KERNEL "/config", "no configuration\n", true },
	};
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(root_mkdir(&sysroot->root, "/boot", 0755, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int result;

		begin(sysroot, "[" FIRST "]");
		sysroot_write(sysroot, rows[i].file, rows[i].text);
		err = ERROR_INIT;
		result = modules_prebuilt_foresee(&scene.stage.ctx, &scene.repository,
						  &scene.work, MACHINE_KERNEL, &err);
		if (result != (rows[i].promised ? 0 : -1))
			fail_msg("row %zu: %s", i, err.text);
		if (result < 0) {
			assert_int_equal(err.code, ERROR_PREREQUISITES);
			assert_non_null(strstr(err.text, rows[i].file));
			assert_null(strstr(err.hint, "build-modules"));
		}
		root_discard(&sysroot->root, rows[i].file);
		end();
	}
}

static void the_repository_is_asked_where_no_compile_could_begin(void **state)
{
	static const struct {
		const char *prebuilt;
		enum repository_source source;
		bool headers, compiler, expected;
	} rows[] = {
		{ "auto", REPOSITORY_NONE, true, true, false },
		{ "auto", REPOSITORY_NONE, false, true, true },
		{ "auto", REPOSITORY_NONE, true, false, true },
		{ "only", REPOSITORY_NONE, true, true, true },
		{ "never", REPOSITORY_NONE, false, false, false },
		{ "auto", REPOSITORY_INDEX, false, false, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct kernel *kernel = &scene.guest.targets[0];

		begin(*state, "[]");
		(void)strcpy(scene.stage.ctx.settings.driver.prebuilt, rows[i].prebuilt);
		scene.repository.source = rows[i].source;
		kernel->headers = rows[i].headers;
		if (!rows[i].compiler)
			kernel->compiler_major = 99;
		if (modules_prebuilt_asks(&scene.stage.ctx, &scene.repository,
					  &scene.work, kernel) != rows[i].expected)
			fail_msg("row %zu", i);
		scene.stage.ctx.settings.driver.repository[0] = '\0';
		assert_false(modules_prebuilt_asks(&scene.stage.ctx, &scene.repository,
						   &scene.work, kernel));
		end();
	}
}

/* The archives' content, whatever their name: one module, made for this kernel. */
static void publish(const struct sysroot *sysroot, const char *manifest)
{
	static const struct module_version versions[] = { { "module_layout", 7 },
							  { NULL } };
	static const struct module module = { VERMAGIC, MACHINE_OLD, NULL, versions };
	char answer[1024];
	const struct worker_answer answers[] = {
		{ "fetch", "printf %s abc >&4",
		  "{\"result\":{\"sha256\":\"" SHA_A "\",\"size\":3,"
		  "\"bytes_transferred\":3,\"verified\":true}}" },
		{ "copy", NULL,
		  "{\"result\":{\"sha256\":\"" SHA_A "\",\"size\":3,"
		  "\"bytes_transferred\":0,\"verified\":true}}" },
		{ "modules", "cat \"$here/made.ko\" >&5", answer },
		{ NULL }
	};

	(void)snprintf(answer, sizeof(answer),
		       "{\"result\":{\"size\":3,\"sha256\":\"" SHA_A
		       "\",%s,\"modules\":[{\"name\":\"nvidia.ko\"}]}}",
		       manifest);
	module_write(sysroot, "/made.ko", &module);
	module_write(sysroot, "/lib/modules/" MACHINE_KERNEL "/kernel/own.ko", &module);
	sysroot_write(sysroot, "/lib/modules/" MACHINE_KERNEL "/modules.dep",
		      "kernel/own.ko:\n");
	worker_set(&scene.stage, sysroot, answers);
}

static int take(void)
{
	return modules_prebuilt_take(&scene.stage.ctx, &scene.repository, &scene.work,
				     &scene.work.targets[0], &scene.result, &scene.err);
}

static void modules_that_fit_are_as_a_build_leaves_them(void **state)
{
	const struct build_result *built = &scene.work.targets[0].built;

	begin(*state, "[" FIRST "]");
	publish(*state, MANIFEST(RIGHT));

	assert_int_equal(take(), 0);

	if (!scene.result.taken)
		fail_msg("%s", scene.result.why);
	assert_int_equal(built->count, 1);
	assert_string_equal(built->modules[0],
			    PATHS_BUILD "/" MACHINE_KERNEL "/nvidia.ko");
	assert_int_equal(worker_count(*state, "https://x.example/m.tar.gz"), 1);
	end();
}

static void an_archive_that_is_bad_is_passed_over(void **state)
{
	begin(*state, "[" ENTRY("bad.tar.gz", SHA_B, RIGHT) "," FIRST "]");
	publish(*state, MANIFEST(RIGHT));

	assert_int_equal(take(), 0);

	assert_true(scene.result.taken);
	assert_int_equal(worker_count(*state, "bad.tar.gz"), 1);
	end();
}

static void set_secure_boot(const struct sysroot *sysroot)
{
	static const char path[] = "/sys/firmware/efi/efivars/SecureBoot-"
				   "8be4df61-93ca-11d2-aa0d-00e098032b8c";
	static const char value[] = { 6, 0, 0, 0, 1 };

	sysroot_mkdir(sysroot, "/sys/firmware/efi/efivars");
	assert_int_equal(file_write_atomic(&sysroot->root, path, value, sizeof(value),
					   0644, &scene.err),
			 0);
}

static void what_does_not_fit_is_not_taken_and_why_is_said(void **state)
{
	static const struct {
		const char *manifest, *integrity, *repository, *why;
	} rows[] = {
		{ MANIFEST(KEYS(MACHINE_NEW, MACHINE_KERNEL, "proprietary")), "require",
		  "https://x.example/", "contradicts the index in \"version\"" },
		{ MANIFEST(KEYS(MACHINE_OLD, MACHINE_KERNEL, "open")), "require",
		  "https://x.example/", "contradicts the index in \"flavour\"" },
		{ "\"manifest\":{}", "require", "https://x.example/",
		  "does not say what it is for" },
		{ MANIFEST(RIGHT), "require", "http://x.example/", "nothing vouches" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct settings_driver *driver = &scene.stage.ctx.settings.driver;

		begin(*state, "[" FIRST "]");
		publish(*state, rows[i].manifest);
		(void)strcpy(driver->integrity, rows[i].integrity);
		(void)strcpy(driver->repository, rows[i].repository);
		assert_int_equal(take(), 0);
		if (scene.result.taken || !strstr(scene.result.why, "m.tar.gz: ") ||
		    !strstr(scene.result.why, rows[i].why))
			fail_msg("row %zu: %s", i, scene.result.why);
		end();
	}
}

static void modules_of_another_kernel_are_not_taken(void **state)
{
	static const struct module other = { "6.1.0-99 SMP ", MACHINE_OLD, NULL, NULL };

	begin(*state, "[" FIRST "]");
	publish(*state, MANIFEST(RIGHT));
	module_write(*state, "/made.ko", &other);

	assert_int_equal(take(), 0);

	assert_false(scene.result.taken);
	assert_non_null(strstr(scene.result.why, "their vermagic is not"));
	assert_int_equal(scene.work.targets[0].built.count, 0);
	end();
}

/* In an image nothing is loaded: the guest that is made of it judges. */
static void under_secure_boot_they_must_be_signed(void **state)
{
	for (unsigned offline = 0; offline < 2; offline++) {
		begin(*state, "[" FIRST "]");
		publish(*state, MANIFEST(RIGHT));
		if (!offline)
			set_secure_boot(*state);
		scene.stage.ctx.offline = offline;
		assert_int_equal(take(), 0);
		assert_int_equal(scene.result.taken, offline);
		if (!offline)
			assert_non_null(strstr(scene.result.why, "they are not signed"));
		end();
	}
}

static void where_none_are_wanted_nobody_is_asked(void **state)
{
	for (unsigned dkms = 0; dkms < 2; dkms++) {
		begin(*state, "[" FIRST "]");
		publish(*state, MANIFEST(RIGHT));
		(void)strcpy(scene.stage.ctx.settings.driver.prebuilt,
			     dkms ? "auto" : "never");
		scene.work.dkms_wanted = dkms;
		assert_int_equal(take(), 0);
		assert_false(scene.result.taken);
		assert_int_equal(worker_count(*state, "job"), 0);
		end();
	}
}

static void that_only_they_may_be_used_is_an_error_where_none_can(void **state)
{
	static const struct {
		const char *before, *words;
	} rows[] = {
		{ "", "the repository's index lists none" },
		{ "HTTP 503", ": HTTP 503" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		begin(*state, "[]");
		(void)strcpy(scene.stage.ctx.settings.driver.prebuilt, "only");
		(void)strcpy(scene.result.why, rows[i].before);
		assert_int_equal(take(), -1);
		assert_int_equal(scene.err.code, ERROR_PREREQUISITES);
		assert_non_null(strstr(scene.err.text, rows[i].words));
		assert_non_null(strstr(scene.err.hint, "build-modules"));
		end();
	}
}

static void an_interruption_ends_the_search(void **state)
{
	int pipes[2];

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(write(pipes[1], "x", 1), 1);
	begin(*state, "[" FIRST "," FIRST "]");
	publish(*state, MANIFEST(RIGHT));
	scene.stage.tools.channel.cancel_fd = pipes[0];

	assert_int_equal(take(), -1);

	assert_true(scene.err.interrupted);
	end();
	(void)close(pipes[0]);
	(void)close(pipes[1]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_the_index_lists_for_a_kernel_needs_no_compiler),
		TEST(a_kernel_without_versions_takes_no_archive),
		TEST(the_repository_is_asked_where_no_compile_could_begin),
		TEST(modules_that_fit_are_as_a_build_leaves_them),
		TEST(an_archive_that_is_bad_is_passed_over),
		TEST(what_does_not_fit_is_not_taken_and_why_is_said),
		TEST(modules_of_another_kernel_are_not_taken),
		TEST(under_secure_boot_they_must_be_signed),
		TEST(where_none_are_wanted_nobody_is_asked),
		TEST(that_only_they_may_be_used_is_an_error_where_none_can),
		TEST(an_interruption_ends_the_search),
	};

	return cmocka_run_group_tests_name("modules_prebuilt", tests, NULL, NULL);
}
