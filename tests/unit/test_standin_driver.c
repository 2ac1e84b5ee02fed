/* SPDX-License-Identifier: Apache-2.0 */

/*
 * From the stand-in's .run to installed modules by the real commands of this machine,
 * below a root that is not "/": an overlay over the machine, in a mount namespace of the
 * test's own, so that nothing of it stays.
 */

#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "model/paths.h"
#include "steps/build/build.h"
#include "steps/build/build_tree.h"
#include "steps/detect/toolchain.h"
#include "steps/fetch/unpack.h"
#include "steps/install/install.h"
#include "support/cmocka.h"

#define VERSION "525.105.17"
#define NAME "NVIDIA-Linux-x86_64-" VERSION "-grid.run"
#define PACKAGE "/var/cache/vgpu-guest-agent/" NAME
#define DRIVERS "/drivers" /* below the overlay's own folder, outside of the root */

static char base[] = "/tmp/vgpu-test-XXXXXX";
static struct root root = ROOT_INIT;
static struct runner runner;
static struct kernel kernel;
static struct toolchain toolchain;

static bool mount_at(const char *source, const char *target, const char *type,
		     unsigned long flags, const char *options)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s%s", base, target);
	return mount(source, path, type, flags, options) == 0;
}

static void make_folder(const char *name)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s%s", base, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

/* The stand-in's package, made outside of the root and brought into it. */
static bool make_package(void)
{
	char output[256];
	static const char maker[] = TEST_DATA_DIR "/../standin/make-driver";
	const char *argv[] = { "/usr/bin/python3", maker,  "--version", VERSION,
			       "--output",         output, NULL };
	struct run run = { .argv = argv, .timeout_s = 60 };
	struct root host = ROOT_INIT, drivers = ROOT_INIT;
	struct error err = ERROR_INIT;
	cleanup_free char *text = NULL;
	size_t size;

	(void)snprintf(output, sizeof(output), "%s" DRIVERS, base);
	assert_int_equal(root_open("/", &host, &err), 0);
	if (run_checked(&runner, &host, &run, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(root_open(output, &drivers, &err), 0);
	assert_int_equal(file_read(&drivers, "/" NAME, 64u << 20, &text, &size, &err), 0);
	assert_int_equal(root_mkdir(&root, "/var/cache/vgpu-guest-agent", 0700, &err), 0);
	assert_int_equal(file_write_atomic(&root, PACKAGE, text, size, 0600, &err), 0);
	root_close(&drivers);
	root_close(&host);
	return true;
}

/* The newest kernel whose headers and compiler this machine has. */
static bool find_kernel(void)
{
	static const struct os os = { .id = "none" };
	struct runner asking = run_runner(-1);
	const struct toolchain_system system = { .root = &root,
						 .os = &os,
						 .runner = &asking };
	struct error err = ERROR_INIT;
	cleanup_strv char **names = NULL;

	assert_int_equal(root_list(&root, "/lib/modules", 64, &names, &err), 0);
	for (char **name = names; *name; name++) {
		struct kernel found = { .headers = false };
		struct error why = ERROR_INIT;

		(void)text_copy(found.release, sizeof(found.release), *name);
		/* This machine gets nothing installed. */
		if (toolchain_find(&asking, &root, &found, false, &toolchain, &why) ==
			    0 &&
		    !toolchain.missing[0] &&
		    toolchain_install(&system, &found, &toolchain, &why) == 0)
			kernel = found;
	}
	return kernel.headers;
}

static bool make_root(void)
{
	char path[64], options[256];
	struct error err = ERROR_INIT;

	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    !mount_at("tmpfs", "", "tmpfs", 0, "size=256m"))
		return false;
	make_folder("/upper");
	make_folder("/work");
	make_folder("/root");
	make_folder(DRIVERS);
	(void)snprintf(options, sizeof(options),
		       "lowerdir=/,upperdir=%s/upper,workdir=%s/work", base, base);
	if (!mount_at("overlay", "/root", "overlay", 0, options) ||
	    !mount_at("/proc", "/root/proc", NULL, MS_BIND, NULL) ||
	    !mount_at("/dev", "/root/dev", NULL, MS_BIND, NULL))
		return false;
	(void)snprintf(path, sizeof(path), "%s/root", base);
	assert_int_equal(root_open(path, &root, &err), 0);
	assert_false(root.is_host);
	return true;
}

static int setup(void **state)
{
	(void)state;
	runner = run_runner(-1);
	assert_non_null(mkdtemp(base));
	if (make_root() && find_kernel())
		(void)make_package();
	return 0;
}

static int teardown(void **state)
{
	char path[64];

	(void)state;
	root_close(&root);
	(void)snprintf(path, sizeof(path), "%s/root", base);
	(void)umount2(path, MNT_DETACH);
	(void)umount2(base, MNT_DETACH);
	assert_int_equal(rmdir(base), 0);
	return 0;
}

static void check(int result, const struct error *err)
{
	if (result < 0)
		fail_msg("%s (%s)", err->text, err->hint);
}

static bool is_there(const char *path)
{
	struct stat st;

	return root_stat(&root, path, &st);
}

static void build(struct build_result *ret_built, struct error *err)
{
	const struct build_choice choice = { PATHS_TREE, VERSION, "auto" };
	struct build_input input = {
		.tree = PATHS_TREE,
		.version = VERSION,
		.kernel = &kernel,
		.toolchain = &toolchain,
	};

	check(build_flavour(&runner, &root, &choice, &input.open, err), err);
	assert_false(input.open);
	check(build_modules(&runner, &root, &input, ret_built, err), err);
	check(build_tree_keep(&runner, &root, PATHS_TREE, VERSION, input.open, err), err);
}

static void a_driver_goes_from_package_to_modules(void **state)
{
	struct build_result built;
	struct error err = ERROR_INIT;
	char place[256], tree[128];
	bool changed = false, open;

	(void)state;
	if (!kernel.headers)
		skip();

	check(unpack_run(PACKAGE, &root, &runner, 0, &err), &err);
	build(&built, &err);
	check(install_userspace(&runner, &root, PATHS_TREE, NULL, 0, &err), &err);
	check(install_modules(&runner, &root, &kernel, &built, &changed, &err), &err);
	assert_true(changed);
	check(install_modules(&runner, &root, &kernel, &built, &changed, &err), &err);
	assert_false(changed);
	check(install_gridd_unit(&root, &changed, &err), &err);

	assert_true(is_there("/usr/bin/nvidia-smi"));
	assert_true(is_there("/usr/lib/systemd/system/nvidia-gridd.service"));
	(void)snprintf(place, sizeof(place), "/lib/modules/%s/%s/nvidia-uvm.ko",
		       kernel.release, PATHS_MODULES);
	assert_true(is_there(place));
	assert_true(build_tree_kept(&root, VERSION, tree, sizeof(tree), &open));
	check(build_discard(&root, &err), &err);
	check(unpack_discard(&root, &err), &err);
	assert_false(is_there(PATHS_BUILD));
	assert_false(is_there(PATHS_TREE));
	assert_false(is_there("/var/cache/vgpu-guest-agent/.tmp"));
}

/* The kept sources build for a kernel without the package, as the kernel hook does. */
static void the_kept_sources_build_again(void **state)
{
	struct build_input input = {
		.version = VERSION,
		.kernel = &kernel,
		.toolchain = &toolchain,
	};
	struct build_result built;
	struct error err = ERROR_INIT;
	char tree[128];

	(void)state;
	if (!kernel.headers)
		skip();
	assert_true(build_tree_kept(&root, VERSION, tree, sizeof(tree), &input.open));
	input.tree = tree;

	check(build_modules(&runner, &root, &input, &built, &err), &err);

	assert_true(is_there(built.modules[0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_driver_goes_from_package_to_modules),
		cmocka_unit_test(the_kept_sources_build_again),
	};

	return cmocka_run_group_tests_name("standin_driver", tests, setup, teardown);
}
