/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor/support.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "model/paths.h"
#include "support/cmocka.h"
#include "support/stage.h"

#define FOLDER "/vgpu-guest-agent-doctor/"
#define TOKEN "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"

/* Answers for every command but tar, which packs for real. */
struct scene {
	struct runner runner; /* the first: it is handed on as one */
	struct stage stage;
	struct script script;
	const char *interrupted; /* a command that a signal ends, or NULL */
	char file[PATH_MAX];
	struct error err;
};

static int start(struct runner *runner, const struct root *root, const struct run *run,
		 struct run_result *ret_result, struct error *err)
{
	struct scene *scene = (struct scene *)runner;
	struct runner real = run_runner(-1);

	if (scene->interrupted && text_ends(run->argv[0], scene->interrupted))
		return error_set_interrupted(err);
	if (text_ends(run->argv[0], "/tar"))
		return real.start(&real, root, run, ret_result, err);
	return scene->script.runner.start(&scene->script.runner, root, run, ret_result,
					  err);
}

static const struct script_answer answers[] = {
	{ .match = "_SYSTEMD_UNIT=nvidia-gridd.service",
	  .output = "gridd says " TOKEN "\n" },
	{ .match = "SYSLOG_IDENTIFIER=vgpu-guest-agent", .output = "the agent says\n" },
	{ .match = "nvidia-smi -q", .output = "the driver says\n", .status = 9 },
	{ .match = "dmesg",
	  .output = "usb 1-1: new\nNVRM: no GPU\nnouveau: bound\nlo: up\n" },
	{ .match = NULL },
};

static void prepare(const struct sysroot *sysroot, struct scene *scene)
{
	static const char *const programs[] = { "/usr/bin/journalctl", PATHS_SMI,
						"/usr/bin/dmesg" };

	memset(scene, 0, sizeof(*scene));
	stage_set(&scene->stage, sysroot);
	assert_int_equal(root_open("/", &scene->stage.ctx.caller, &scene->err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		stage_add_program(sysroot, programs[i], "");
	script_init(&scene->script, answers, NULL);
	scene->runner = (struct runner){ .start = start, .cancel_fd = -1 };
	scene->stage.ctx.runner = &scene->runner;
	(void)snprintf(scene->file, sizeof(scene->file), "%s/support.tar.gz",
		       sysroot->dir);
}

static void scene_done(struct scene *scene)
{
	root_close(&scene->stage.ctx.caller);
}

static int setup(void **state)
{
	struct error err = ERROR_INIT;
	const struct sysroot *sysroot;

	(void)sysroot_setup(state);
	sysroot = *state;
	assert_int_equal(root_mkdir(&sysroot->root, PATHS_NVIDIA, 0755, &err), 0);
	assert_int_equal(root_mkdir(&sysroot->root, PATHS_STATE, 0755, &err), 0);
	assert_int_equal(root_mkdir(&sysroot->root, PATHS_LOGS, 0755, &err), 0);
	assert_int_equal(root_mkdir(&sysroot->root, "/out", 0755, &err), 0);
	return 0;
}

/* Writes the archive, and unpacks it into the folder /out of the test's root. */
static void pack(const struct sysroot *sysroot, struct scene *scene,
		 const struct support_report *reports, size_t count)
{
	struct runner real = run_runner(-1);
	char into[PATH_MAX], tar[64];
	const char *argv[] = { run_find(&scene->stage.ctx.caller, "tar", tar,
					sizeof(tar)),
			       "-xzf",
			       scene->file,
			       "-C",
			       into,
			       NULL };
	const struct run run = { .argv = argv, .timeout_s = 60, .output_limit = 4096 };

	assert_int_equal(support_write(&scene->stage.ctx, reports, count, scene->file,
				       &scene->err),
			 0);
	(void)snprintf(into, sizeof(into), "%s/out", sysroot->dir);
	assert_non_null(argv[0]);
	assert_int_equal(run_checked(&real, &scene->stage.ctx.caller, &run, &scene->err),
			 0);
}

/* A text of the unpacked archive; the caller frees it. */
static char *text_of(const struct sysroot *sysroot, const char *name)
{
	struct error err = ERROR_INIT;
	char *text = NULL, path[256];
	size_t size;

	(void)snprintf(path, sizeof(path), "/out" FOLDER "%s", name);
	if (file_read(&sysroot->root, path, 65536, &text, &size, &err) < 0)
		fail_msg("%s: %s", name, err.text);
	return text;
}

static void everything_that_a_person_needs_is_in_it(void **state)
{
	static const struct {
		const char *name, *text;
	} files[] = {
		{ "status.json", "\"licensed\":false" },
		{ "nothing.json", "(not there)\n" },
		{ "state.json", "\"schema\":1" },
		{ "gridd.conf", "FeatureType=1" },
		{ "os-release", "ID=debian" },
		{ "modules", "nvidia 12345" },
		{ "log-20260101.log", "a line of the log" },
		{ "log-20260102.log", "another line" },
		{ "journal-gridd.txt", "gridd says" },
		{ "journal-agent.txt", "the agent says" },
		{ "nvidia-smi.txt", "the driver says" },
		{ "dmesg.txt", "NVRM: no GPU" },
	};
	cleanup_json struct json *status = json_build("{s:b}", "licensed", 0);
	const struct support_report reports[] = { { "status.json", status },
						  { "nothing.json", NULL } };
	const struct sysroot *sysroot = *state;
	cleanup(scene_done) struct scene scene = { 0 };

	prepare(sysroot, &scene);
	sysroot_mkdir(sysroot, "/proc");
	sysroot_write(sysroot, PATHS_STATE_FILE, "{\"schema\":1}\n");
	sysroot_write(sysroot, PATHS_GRIDD_CONF, "FeatureType=1\n");
	sysroot_write(sysroot, "/etc/os-release", "ID=debian\n");
	sysroot_write(sysroot, "/proc/modules", "nvidia 12345 0 - Live\n");
	sysroot_write(sysroot, PATHS_LOGS "/20260101.log", "a line of the log\n");
	sysroot_write(sysroot, PATHS_LOGS "/20260102.log", "another line\n");
	pack(sysroot, &scene, reports, ARRAY_SIZE(reports));

	sysroot_assert_entries(sysroot, "/out" FOLDER, ARRAY_SIZE(files));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		cleanup_free char *text = text_of(sysroot, files[i].name);

		if (!strstr(text, files[i].text))
			fail_msg("%s: %s", files[i].name, text);
	}
}

static void what_is_not_there_is_a_text_that_says_so(void **state)
{
	static const char *const names[] = { "state.json",        "gridd.conf",
					     "os-release",        "modules",
					     "journal-agent.txt", "journal-gridd.txt" };
	const struct sysroot *sysroot = *state;
	cleanup(scene_done) struct scene scene = { 0 };

	prepare(sysroot, &scene);
	root_discard(&sysroot->root, "/usr/bin/journalctl");
	root_discard(&sysroot->root, PATHS_LOGS);
	pack(sysroot, &scene, NULL, 0);

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cleanup_free char *text = text_of(sysroot, names[i]);

		assert_int_equal(strncmp(text, "(not there: ", 12), 0);
	}
}

/* In a file, a log, a command's words and another command's answer. */
static void no_secret_is_in_it(void **state)
{
	static const char *const names[] = { "state.json", "log-run.log",
					     "journal-gridd.txt", "plan.json" };
	cleanup_json struct json *plan = json_build(
		"{s:s}", "url", "https://joe:hunter2@example.org/a?sig=hunter2");
	const struct support_report reports[] = { { "plan.json", plan } };
	const struct sysroot *sysroot = *state;
	cleanup(scene_done) struct scene scene = { 0 };

	prepare(sysroot, &scene);
	sysroot_write(sysroot, PATHS_TOKENS, TOKEN);
	sysroot_write(sysroot, PATHS_STATE_FILE, "{\"password\":\"hunter2\"}\n");
	sysroot_write(sysroot, PATHS_LOGS "/run.log", "token " TOKEN " hunter\n");
	pack(sysroot, &scene, reports, ARRAY_SIZE(reports));

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cleanup_free char *text = text_of(sysroot, names[i]);

		assert_non_null(strstr(text, "[redacted]"));
		assert_null(strstr(text, "hunter2"));
		assert_null(strstr(text, "eyJ"));
	}
}

static void of_the_kernel_s_lines_only_the_driver_s_are_kept(void **state)
{
	const struct sysroot *sysroot = *state;
	cleanup(scene_done) struct scene scene = { 0 };

	prepare(sysroot, &scene);
	pack(sysroot, &scene, NULL, 0);

	sysroot_assert_text(sysroot, "/out" FOLDER "dmesg.txt",
			    "NVRM: no GPU\nnouveau: bound\n");
}

/* Everybody can call himself nvidia-gridd; only root's word is asked for. */
static void the_journal_is_asked_for_what_nobody_can_forge(void **state)
{
	cleanup(scene_done) struct scene scene = { 0 };

	prepare(*state, &scene);
	pack(*state, &scene, NULL, 0);

	assert_int_equal(
		script_count(&scene.script, "+ _UID=0 SYSLOG_IDENTIFIER=nvidia-gridd +"),
		1);
	assert_int_equal(script_count(&scene.script,
				      "_UID=0 SYSLOG_IDENTIFIER=vgpu-guest-agent +"),
			 1);
}

static void the_archive_is_its_owner_s_alone(void **state)
{
	cleanup(scene_done) struct scene scene = { 0 };
	struct stat st;

	prepare(*state, &scene);
	pack(*state, &scene, NULL, 0);

	assert_int_equal(stat(scene.file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void an_interruption_leaves_no_archive(void **state)
{
	static const char *const commands[] = { "/journalctl", "/dmesg", "/tar" };

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		cleanup(scene_done) struct scene scene = { 0 };

		prepare(*state, &scene);
		scene.interrupted = commands[i];
		assert_int_equal(
			support_write(&scene.stage.ctx, NULL, 0, scene.file, &scene.err),
			-1);

		assert_true(scene.err.interrupted);
		assert_int_equal(access(scene.file, F_OK), -1);
	}
}

static void a_file_that_cannot_be_written_is_named(void **state)
{
	cleanup(scene_done) struct scene scene = { 0 };

	prepare(*state, &scene);
	(void)strcat(scene.file, "/none/x.tar.gz");
	assert_int_equal(support_write(&scene.stage.ctx, NULL, 0, scene.file, &scene.err),
			 -1);

	assert_int_equal(scene.err.code, ERROR_PERMISSION);
	assert_non_null(strstr(scene.err.text, scene.file));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(everything_that_a_person_needs_is_in_it),
		TEST(what_is_not_there_is_a_text_that_says_so),
		TEST(no_secret_is_in_it),
		TEST(of_the_kernel_s_lines_only_the_driver_s_are_kept),
		TEST(the_journal_is_asked_for_what_nobody_can_forge),
		TEST(the_archive_is_its_owner_s_alone),
		TEST(an_interruption_leaves_no_archive),
		TEST(a_file_that_cannot_be_written_is_named),
	};

	return cmocka_run_group_tests_name("support", tests, NULL, NULL);
}
