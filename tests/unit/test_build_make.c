/* SPDX-License-Identifier: Apache-2.0 */

/*
 * build_modules() with the real make, compiler and kernel headers of this machine. It
 * works in a mount namespace of its own, where /var/cache is empty.
 */

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "steps/build/build.h"
#include "steps/build/sign.h"
#include "steps/detect/toolchain.h"
#include "support/cmocka.h"

#define TREE "/var/cache/tree"
#define VERSION "525.105.17"

static const char makefile[] =
	"ifneq ($(KERNELRELEASE),)\n"
	"obj-m := nvidia.o nvidia-uvm.o\n"
	"else\n"
	"modules:\n"
	"\t$(MAKE) -C $(SYSSRC) KBUILD_OUTPUT=$(SYSOUT) M=$(CURDIR) CC=$(CC) modules\n"
	"endif\n";
static const char source[] = "#include <linux/module.h>\n"
			     "MODULE_VERSION(\"" VERSION "\");\n"
			     "MODULE_LICENSE(\"GPL\");\n";

static struct root root = ROOT_INIT;
static struct kernel kernel;
static struct toolchain toolchain;

static void write_file(const char *path, const char *text)
{
	struct error err = ERROR_INIT;

	assert_int_equal(file_write_atomic(&root, path, text, strlen(text), 0644, &err),
			 0);
}

/* The newest kernel whose headers and compiler this machine has; else there is no test.
 */
static bool find_kernel(void)
{
	struct error err = ERROR_INIT;
	cleanup_strv char **names = NULL;

	if (root_list(&root, "/lib/modules", 64, &names, &err) < 0)
		return false;
	for (char **name = names; *name; name++) {
		static const struct os os = { .id = "none" };
		struct runner asking = run_runner(-1);
		const struct toolchain_system system = { .root = &root,
							 .os = &os,
							 .runner = &asking };
		struct kernel found = { .headers = false };
		struct error why = ERROR_INIT;

		(void)span_copy(span_of(*name), found.release, sizeof(found.release));
		/* This machine gets nothing installed. */
		if (toolchain_find(&asking, &root, &found, false, &toolchain, &why) ==
			    0 &&
		    !toolchain.missing[0] &&
		    toolchain_install(&system, &found, &toolchain, &why) == 0)
			kernel = found;
	}
	return kernel.headers;
}

static int setup(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/var/cache", "tmpfs", 0, "size=64m") < 0)
		return 0;
	assert_int_equal(root_open("/", &root, &err), 0);
	if (!find_kernel())
		return 0;
	assert_int_equal(root_mkdir(&root, TREE "/kernel", 0755, &err), 0);
	write_file(TREE "/kernel/Makefile", makefile);
	write_file(TREE "/kernel/nvidia-uvm.c", source);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	root_close(&root);
	return 0;
}

static int build(const char *nvidia_c, struct build_result *ret_result, struct error *err)
{
	struct runner runner = run_runner(-1);
	const struct build_input input = {
		.tree = TREE,
		.version = VERSION,
		.kernel = &kernel,
		.toolchain = &toolchain,
		.log_path = "/var/log/build.log",
	};

	write_file(TREE "/kernel/nvidia.c", nvidia_c);
	return build_modules(&runner, &root, &input, ret_result, err);
}

static void real_headers_make_real_modules(void **state)
{
	struct build_result built;
	struct error err = ERROR_INIT;
	struct stat st;

	(void)state;
	if (!kernel.headers)
		skip();

	if (build(source, &built, &err) < 0)
		fail_msg("%s", err.text);

	assert_int_equal(built.count, 2);
	assert_non_null(strstr(built.modules[0], "/nvidia.ko"));
	assert_true(root_stat(&root, built.modules[1], &st));
	/* The sources stay as they were, for the next kernel. */
	assert_false(root_stat(&root, TREE "/kernel/nvidia.o", &st));
}

/* The tail of a signed module (the kernel's admin guide, "module signing"). */
static void a_real_key_signs_what_was_built(void **state)
{
	static const char magic[] = "~Module signature appended~\n";
	static const char *const openssl[] = {
		"/usr/bin/openssl", "req",      "-new",           "-x509",
		"-newkey",          "rsa:2048", "-nodes",         "-subj",
		"/CN=test",         "-keyout",  "/var/cache/key", "-out",
		"/var/cache/cert",  NULL
	};
	const struct run run = { .argv = openssl, .timeout_s = 30 };
	const struct sign_key key = { .key = "/var/cache/key",
				      .cert = "/var/cache/cert" };
	struct runner runner = run_runner(-1);
	struct build_result built = { .count = 0 };
	struct error err = ERROR_INIT;

	(void)state;
	if (!kernel.headers)
		skip();
	assert_int_equal(run_checked(&runner, &root, &run, &err), 0);
	assert_int_equal(build(source, &built, &err), 0);

	if (sign_modules(&runner, &root, &key, &kernel, &built, &err) < 0)
		fail_msg("%s", err.text);

	assert_int_equal(built.count, 2);
	for (size_t i = 0; i < built.count; i++) {
		cleanup_fd int fd =
			root_open_at(&root, built.modules[i], O_RDONLY, 0, &err);
		char tail[sizeof(magic)] = "";

		assert_true(lseek(fd, -(off_t)strlen(magic), SEEK_END) > 0);
		assert_int_equal(read(fd, tail, strlen(magic)), strlen(magic));
		assert_string_equal(tail, magic);
	}
}

static void the_compilers_own_words_come_back(void **state)
{
	struct build_result built;
	struct error err = ERROR_INIT;

	(void)state;
	if (!kernel.headers)
		skip();

	assert_int_equal(
		build("int broken(void) { return missing_name; }\n", &built, &err), -1);

	assert_int_equal(err.code, ERROR_BUILD);
	assert_non_null(strstr(err.text, "nvidia.c:1:"));
	assert_non_null(strstr(err.text, "missing_name"));
	assert_non_null(strstr(err.hint, "/var/log/build.log"));
}

static void a_module_of_another_version_is_noticed(void **state)
{
	struct build_result built;
	struct error err = ERROR_INIT;

	(void)state;
	if (!kernel.headers)
		skip();

	assert_int_equal(build("#include <linux/module.h>\nMODULE_VERSION(\"1.2\");\n"
			       "MODULE_LICENSE(\"GPL\");\n",
			       &built, &err),
			 -1);

	assert_string_equal(err.text,
			    "the new module is of driver \"1.2\", not of " VERSION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(real_headers_make_real_modules),
		cmocka_unit_test(a_real_key_signs_what_was_built),
		cmocka_unit_test(the_compilers_own_words_come_back),
		cmocka_unit_test(a_module_of_another_version_is_noticed),
	};

	return cmocka_run_group_tests_name("build_make", tests, setup, teardown);
}
