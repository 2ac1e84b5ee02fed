/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/commands.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "support/agent_stage.h"
#include "support/cmocka.h"
#include "support/module.h"

#define RUN "/srv/NVIDIA-Linux-x86_64-" MACHINE_NEW "-grid.run"
#define DEB "/srv/nvidia-linux-grid-550_" MACHINE_NEW "_amd64.deb"
#define OUTPUT "/out/modules.tar.gz"
#define PARTIAL "/out/.modules.tar.gz.vgpu-new"
#define HEADERS "/lib/modules/" MACHINE_KERNEL "/build"
#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

#define ANSWER(text) "echo '{\"result\":{" text "}}' >&3"
#define SAID "\"size\":10,\"sha256\":\"" SHA "\""
#define COPY                                                                     \
	"{ cat <&4 >&5; } 2>/dev/null; " ANSWER(SAID ",\"bytes_transferred\":0," \
						     "\"verified\":false")
#define INSPECT(kind)                                                               \
	ANSWER("\"kind\":\"" kind "\",\"version\":\"" MACHINE_NEW "\",\"arch\":\"x" \
	       "86_64\",\"members\":[]")
/* Behind the three modules: the archive's descriptor, then the certificate's. */
#define PACKED ANSWER(SAID ",\"manifest\":{},\"modules\":[]")
#define PACK "printf archive >&7; { cat <&8 >&7; } 2>/dev/null; " PACKED

static const struct agent_stage_answer good[] = {
	{ "copy", COPY },
	{ "inspect", INSPECT("run") },
	{ "certificate", ANSWER("\"key_id\":\"aa\",\"name\":\"fleet\",\"kind\":\"RSA\","
				"\"signs\":true") },
	{ "pack", PACK },
	{ NULL, NULL },
};

static struct machine machine;
static struct request request;

static bool is_there(const char *path)
{
	struct stat st;

	return root_stat(&machine.sysroot->root, path, &st);
}

/* The machine's, with three whole modules where it makes but one. */
static struct runner runner;

static int start(struct runner *ours, const struct root *root, const struct run *run,
		 struct run_result *ret_result, struct error *err)
{
	static const struct module_version versions[] = { { "module_layout", 7 },
							  { NULL } };
	static const struct module module = { MACHINE_KERNEL
					      " SMP mod_unload modversions ",
					      MACHINE_NEW, NULL, versions };
	static const char *const names[] = { "nvidia", "nvidia-drm", "nvidia-uvm" };
	int result = machine.runner.start(&machine.runner, root, run, ret_result, err);

	(void)ours;
	if (result < 0 || strcmp(text_base_name(run->argv[0]), "make") != 0 ||
	    strcmp(run->argv[1], "-C") != 0)
		return result;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char path[256];

		text_path(path, sizeof(path), "%s/%s.ko", run->argv[2], names[i]);
		if (is_there(path))
			module_write(machine.sysroot, path, &module);
	}
	return 0;
}

/* A machine that has the headers of a kernel, the driver, and an older archive. */
static struct agent *begin(const struct sysroot *sysroot,
			   const struct agent_stage_answer *answers)
{
	static const char *const folders[] = { "/var/tmp", "/out", "/srv" };
	struct agent *agent;

	sysroot_empty(sysroot);
	request = (struct request){ .output = OUTPUT };
	request.options.kernels[0] = MACHINE_KERNEL;
	request.options.kernel_count = 1;
	agent = agent_stage_guest(sysroot, &request.options, &machine);
	runner = (struct runner){ .start = start, .cancel_fd = -1 };
	agent->context.runner = &runner;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		sysroot_mkdir(sysroot, folders[i]);
	/* The worker may be nobody, and is to have its hands in it. */
	assert_int_equal(fchmodat(sysroot->root.fd, "out", 0777, 0), 0);
	machine_add_package(&machine, RUN, MACHINE_NEW);
	sysroot_write(sysroot, OUTPUT, "before");
	(void)strcpy(agent->context.settings.driver.url, "file://" RUN);
	agent_stage_worker(agent, sysroot, answers);
	return agent;
}

static void assert_refused(struct agent *agent, enum error_code code, const char *words)
{
	struct json *report = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(command_build_modules(agent, &request, &report, &err), -1);
	json_free(report);
	if (err.code != code || !strstr(err.text, words))
		fail_msg("%s: %d, %s", words, (int)err.code, err.text);
	sysroot_assert_text(machine.sysroot, OUTPUT, "before");
	sysroot_assert_entries(machine.sysroot, "/out", 1);
	sysroot_assert_entries(machine.sysroot, "/var/tmp", 0);
}

static void assert_asked(const char *words)
{
	cleanup_free char *text = NULL;
	struct error err = ERROR_INIT;
	size_t size;

	assert_int_equal(
		file_read(&machine.sysroot->root, "/requests", 65536, &text, &size, &err),
		0);
	if (!strstr(text, words))
		fail_msg("%s is not in %s", words, text);
}

static void the_modules_become_one_archive(void **state)
{
	struct agent *agent = begin(*state, good);
	cleanup_json struct json *report = NULL;
	const struct json *steps, *build;
	struct error err = ERROR_INIT;
	struct stat st;

	if (command_build_modules(agent, &request, &report, &err) < 0)
		fail_msg("%s", err.text);

	steps = json_get(report, "steps");
	build = json_at(steps, 3);
	assert_int_equal(json_count(steps), 4);
	assert_string_equal(json_get_string(build, "step"), "build");
	assert_string_equal(json_get_string(build, "outcome"), "changed");
	assert_string_equal(json_get_string(build, "detail"),
			    "proprietary modules of " MACHINE_NEW " for " MACHINE_KERNEL);
	sysroot_assert_text(*state, OUTPUT, "archive");
	assert_true(root_stat(&agent->context.root, OUTPUT, &st));
	assert_int_equal(st.st_mode & 07777, 0644);
	sysroot_assert_entries(*state, "/out", 1);
	sysroot_assert_entries(*state, "/var/tmp", 0);
	assert_false(is_there(PATHS_STATE_FILE));
	assert_asked("\"name\":\"nvidia-modules-" MACHINE_NEW "-" MACHINE_KERNEL
		     "-proprietary.tar.gz\",\"version\":\"" MACHINE_NEW
		     "\",\"kernel\":\"" MACHINE_KERNEL "\"");
	assert_asked("\"output\":7,\"modules\":");
	agent_stage_end(agent);
}

static void give_key(struct agent *agent)
{
	struct settings_signing *signing = &agent->context.settings.signing;

	(void)strcpy(signing->key, "/srv/key.pem");
	(void)strcpy(signing->cert, "/srv/cert.pem");
	sysroot_write(machine.sysroot, signing->key, "a key");
	assert_int_equal(fchmodat(machine.sysroot->root.fd, &signing->key[1], 0600, 0),
			 0);
	sysroot_write(machine.sysroot, signing->cert, "+certificate");
	sysroot_mkdir(machine.sysroot, HEADERS "/scripts");
	sysroot_program(machine.sysroot, HEADERS "/scripts/sign-file");
}

/* The guests that take the archive ask for the certificate of who signed it. */
static void the_certificate_goes_into_the_archive(void **state)
{
	struct agent *agent = begin(*state, good);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;

	give_key(agent);
	if (command_build_modules(agent, &request, &report, &err) < 0)
		fail_msg("%s", err.text);

	sysroot_assert_text(*state, OUTPUT, "archive+certificate");
	assert_asked("\"cert\":8");
	agent_stage_end(agent);
}

/* The command's lines on standard error; the caller frees them. */
static char *run_and_read(struct agent *agent)
{
	cleanup_fd int before = dup(STDERR_FILENO);
	cleanup_fd int lines = memfd_create("lines", MFD_CLOEXEC);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;
	char *text = NULL;
	size_t size;
	int result;

	assert_true(before >= 0 && lines >= 0);
	assert_int_equal(dup2(lines, STDERR_FILENO), STDERR_FILENO);
	result = command_build_modules(agent, &request, &report, &err);
	assert_int_equal(dup2(before, STDERR_FILENO), STDERR_FILENO);
	if (result < 0)
		fail_msg("%s", err.text);
	assert_int_equal(lseek(lines, 0, SEEK_SET), 0);
	assert_int_equal(file_read_fd(lines, 65536, &text, &size, &err), 0);
	return text;
}

/* Of a kernel whose symbols have no versions: to be known before it is published. */
static void an_archive_that_no_guest_will_take_is_told(void **state)
{
	for (unsigned versions = 0; versions < 2; versions++) {
		struct agent *agent = begin(*state, good);
		cleanup_free char *lines = NULL;

		sysroot_write(*state, "/boot/config-" MACHINE_KERNEL,
			      versions ? "CONFIG_MODULES=y\nCONFIG_MODVERSIONS=y\n"
				       : "CONFIG_MODULES=y\n");
		lines = run_and_read(agent);
		assert_int_equal(!strstr(lines, "warning: build: no guest will take this "
						"archive: CONFIG_MODVERSIONS"),
				 versions);
		agent_stage_end(agent);
	}
}

static void what_is_asked_wrongly_is_told_before_anything_is_done(void **state)
{
	static const struct {
		const char *kernels[2], *output;
		enum error_code code;
		const char *words;
	} rows[] = {
		{ { NULL }, OUTPUT, ERROR_USAGE, "one --kernel and --output" },
		{ { MACHINE_KERNEL }, NULL, ERROR_USAGE, "one --kernel and --output" },
		{ { MACHINE_KERNEL, "6.1.0" }, OUTPUT, ERROR_USAGE, "one --kernel" },
		{ { MACHINE_KERNEL }, "/out/", ERROR_USAGE, "names no file" },
		{ { MACHINE_KERNEL }, "/none/x", ERROR_PERMISSION, "--output /none/x: " },
		{ { MACHINE_KERNEL },
		  "/srv/key/x",
		  ERROR_PERMISSION,
		  "--output /srv/key/x: " },
		{ { "6.1.0-none" }, OUTPUT, ERROR_PREREQUISITES, "not installed" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state, good);

		sysroot_write(*state, "/srv/key", "a file");
		request.output = rows[i].output;
		request.options.kernel_count = 0;
		while (request.options.kernel_count < 2 &&
		       rows[i].kernels[request.options.kernel_count]) {
			size_t j = request.options.kernel_count++;

			request.options.kernels[j] = rows[i].kernels[j];
		}
		assert_refused(agent, rows[i].code, rows[i].words);
		assert_int_equal(machine.count, 0);
		assert_false(is_there("/requests"));
		agent_stage_end(agent);
	}
}

static void what_it_cannot_build_from_is_told(void **state)
{
	static const struct {
		const char *gone, *url;
		enum error_code code;
		const char *words;
	} rows[] = {
		{ NULL, "file://" DEB, ERROR_NO_MATCH, "modules are built from a .run" },
		{ "/usr/bin/make", "file://" RUN, ERROR_PREREQUISITES, "missing: make" },
		{ HEADERS "/include/config/auto.conf", "file://" RUN, ERROR_PREREQUISITES,
		  "missing: " },
		{ RUN, "file://" RUN, ERROR_NETWORK, RUN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent_stage_answer answers[ARRAY_SIZE(good)];
		struct agent *agent;

		memcpy(answers, good, sizeof(good));
		if (strstr(rows[i].url, DEB))
			answers[1].shell = INSPECT("deb");
		agent = begin(*state, answers);
		machine_add_package(&machine, DEB, MACHINE_NEW);
		sysroot_program(*state, "/usr/bin/dpkg-deb");
		if (rows[i].gone)
			root_discard(&agent->context.root, rows[i].gone);
		(void)strcpy(agent->context.settings.driver.url, rows[i].url);
		assert_refused(agent, rows[i].code, rows[i].words);
		agent_stage_end(agent);
	}
}

/* Each command on the way fails once, or is cut off: nothing of it stays. */
static void a_command_that_fails_leaves_nothing(void **state)
{
	static const enum machine_fault faults[] = { MACHINE_FAILS, MACHINE_CUT_OFF };

	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		unsigned failed = 0;

		for (unsigned at = 1;; at++) {
			struct agent *agent = begin(*state, good);
			struct json *report = NULL;
			struct error err = ERROR_INIT;
			int result;

			give_key(agent);
			machine.fault = faults[i];
			machine.fail_at = at;
			result = command_build_modules(agent, &request, &report, &err);
			json_free(report);
			sysroot_assert_entries(*state, "/out", 1);
			sysroot_assert_entries(*state, "/var/tmp", 0);
			sysroot_assert_text(*state, OUTPUT,
					    result < 0 ? "before"
						       : "archive+certificate");
			agent_stage_end(agent);
			failed += result < 0;
			if (faults[i] == MACHINE_CUT_OFF && machine.failed[0]) {
				assert_int_equal(result, -1);
				assert_true(err.interrupted);
			}
			if (!machine.failed[0])
				break;
		}
		assert_true(failed >= 6);
	}
}

static void an_archive_that_is_not_whole_is_not_left(void **state)
{
	static const struct {
		const char *shell;
		enum error_code code;
		const char *words;
	} rows[] = {
		{ "printf arch >&7; exit 1", ERROR_INTERNAL, "worker" },
		{ "printf arch >&7; echo '{\"error\":{\"name\":\"integrity\","
		  "\"message\":\"no module\"}}' >&3",
		  ERROR_INTEGRITY, "no module" },
		/* another one began under the same name, and has ended */
		{ "rm ${0%/worker}" PARTIAL "; " PACK, ERROR_BUSY,
		  "another build-modules writes " PARTIAL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct agent_stage_answer answers[] = {
			good[0], good[1], { "pack", rows[i].shell }, { NULL, NULL }
		};
		struct agent *agent = begin(*state, answers);

		assert_refused(agent, rows[i].code, rows[i].words);
		agent_stage_end(agent);
	}
}

/* Who is late must not spoil the work of who began anew: then neither would have any. */
static void what_another_one_writes_stays(void **state)
{
	static const char *const ends[] = { PACK, "exit 1" };

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		char shell[1024];
		const struct agent_stage_answer answers[] = {
			good[0], good[1], { "pack", shell }, { NULL, NULL }
		};
		struct agent *agent;
		cleanup_json struct json *report = NULL;
		struct error err = ERROR_INIT;

		(void)snprintf(shell, sizeof(shell),
			       "p=${0%%/worker}" PARTIAL
			       "; rm -f $p; printf other > $p; %s",
			       ends[i]);
		agent = begin(*state, answers);
		assert_int_equal(command_build_modules(agent, &request, &report, &err),
				 -1);
		assert_int_equal(err.code, i == 0 ? ERROR_BUSY : ERROR_INTERNAL);
		sysroot_assert_text(*state, OUTPUT, "before");
		sysroot_assert_text(*state, PARTIAL, "other");
		agent_stage_end(agent);
	}
}

/* Of a process that was killed while it wrote. */
static void what_was_begun_before_is_no_obstacle(void **state)
{
	struct agent *agent = begin(*state, good);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;

	sysroot_write(*state, PARTIAL, "half");
	if (command_build_modules(agent, &request, &report, &err) < 0)
		fail_msg("%s", err.text);

	sysroot_assert_text(*state, OUTPUT, "archive");
	sysroot_assert_entries(*state, "/out", 1);
	agent_stage_end(agent);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_modules_become_one_archive),
		TEST(the_certificate_goes_into_the_archive),
		TEST(an_archive_that_no_guest_will_take_is_told),
		TEST(what_is_asked_wrongly_is_told_before_anything_is_done),
		TEST(what_it_cannot_build_from_is_told),
		TEST(a_command_that_fails_leaves_nothing),
		TEST(an_archive_that_is_not_whole_is_not_left),
		TEST(what_another_one_writes_stays),
		TEST(what_was_begun_before_is_no_obstacle),
	};

	return cmocka_run_group_tests_name("command_build_modules", tests, NULL, NULL);
}
