/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/plan.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "commands/commands.h"
#include "support/agent_stage.h"
#include "support/cmocka.h"

#define FILE_NAME "NVIDIA-Linux-x86_64-" MACHINE_NEW "-grid.run"
#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LIST(files)                                                                      \
	"echo '{\"result\":{\"source\":\"manifest\",\"verified\":true,\"files\":[" files \
	"],\"warnings\":[],\"catalog\":null,\"index\":null,\"index_verified\":false,"    \
	"\"index_signed\":false,\"index_key\":null}}' >&3"
#define FILES LIST("{\"name\":\"" FILE_NAME "\",\"size\":1048576,\"sha256\":\"" SHA "\"}")

static struct machine machine;
static struct request request;

static const struct agent_stage_answer one_file[] = { { "list", FILES }, { NULL, NULL } };

/* A guest without a driver, and a repository that has one file for it. */
static struct agent *begin(const struct sysroot *sysroot,
			   const struct agent_stage_answer *answers)
{
	struct agent *agent;

	sysroot_empty(sysroot);
	request = (struct request){ .json = true };
	agent = agent_stage_guest(sysroot, &request.options, &machine);
	(void)strcpy(agent->context.settings.driver.repository,
		     "https://me:pw@x.example/");
	(void)strcpy(agent->context.settings.driver.version, MACHINE_NEW);
	agent_stage_worker(agent, sysroot, answers);
	return agent;
}

/* That part of a report is this, given in JSON with ' for ". */
static void assert_part(const struct json *report, const char *key, const char *expected)
{
	cleanup_free char *text = json_print(json_get(report, key));
	char quoted[2048];

	assert_true(text_copy(quoted, sizeof(quoted), expected));
	for (char *at = quoted; (at = strchr(at, '\'')); at++)
		*at = '"';
	assert_non_null(text);
	assert_string_equal(text, quoted);
}

static bool would_change(const struct json *report, const char *path)
{
	const struct json *changes = json_get(report, "changes");

	for (size_t i = 0; i < json_count(changes); i++) {
		if (strcmp(json_get_string(json_at(changes, i), "path"), path) == 0)
			return true;
	}
	return false;
}

static void the_plan_tells_what_would_be_done_and_does_nothing(void **state)
{
	struct agent *agent = begin(*state, one_file);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;
	struct stat st;

	if (command_plan(agent, &request, &report, &err) < 0)
		fail_msg("%s", err.text);

	assert_part(report, "driver",
		    "{'version':'" MACHINE_NEW "','kind':'run','rule':'version','url':"
		    "'https://x.example/" FILE_NAME "','size':1048576,'sha256':'" SHA
		    "','member':null,'integrity':'manifest-tls','transfer':'whole',"
		    "'bytes':1048576}");
	assert_part(report, "candidates",
		    "[{'name':'" FILE_NAME "','version':'" MACHINE_NEW
		    "','accepted':true,'why':'it is the version asked for'}]");
	assert_part(report, "kernels",
		    "[{'release':'" MACHINE_KERNEL "','action':'build'}]");
	assert_true(would_change(report, "/usr"));
	assert_true(would_change(report, "/lib/modules/" MACHINE_KERNEL
					 "/updates/vgpu-guest-agent/"));
	assert_true(would_change(report, PATHS_GRIDD_CONF));
	assert_int_equal(json_count(json_get(report, "changes")), 3);
	assert_int_equal(json_kind(json_get(report, "would_fail")), JSON_KIND_NULL);
	assert_string_equal(machine_user_space(&machine), "");
	assert_false(root_stat(&agent->context.root, PATHS_STATE_FILE, &st));
	assert_false(root_stat(&agent->context.root, PATHS_GRIDD_CONF, &st));
	agent_stage_end(agent);
}

static void dkms_has_its_own_places(void **state)
{
	struct agent *agent = begin(*state, one_file);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;

	(void)strcpy(agent->context.settings.driver.dkms, "yes");
	if (command_plan(agent, &request, &report, &err) < 0)
		fail_msg("%s", err.text);

	assert_true(
		would_change(report, "/lib/modules/" MACHINE_KERNEL "/updates/dkms/"));
	assert_true(would_change(report, "/usr/src/nvidia-" MACHINE_NEW "/"));
	agent_stage_end(agent);
}

/* What a named file is called is known; how large it is, nobody has looked. */
static void a_local_file_costs_no_transfer(void **state)
{
	struct agent *agent = begin(*state, one_file);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;

	agent->context.settings.driver.version[0] = '\0';
	(void)strcpy(agent->context.settings.driver.url, "file:///srv/" FILE_NAME);
	if (command_plan(agent, &request, &report, &err) < 0)
		fail_msg("%s", err.text);

	assert_part(report, "driver",
		    "{'version':'" MACHINE_NEW "','kind':'run','rule':'url','url':"
		    "'file:///srv/" FILE_NAME "','size':null,'sha256':null,'member':null,"
		    "'integrity':'local-file','transfer':'local','bytes':0}");
	agent_stage_end(agent);
}

static void why_no_driver_is_chosen_is_a_part_of_the_plan(void **state)
{
	static const struct agent_stage_answer empty[] = { { "list", LIST("") },
							   { NULL, NULL } };
	struct agent *agent = begin(*state, empty);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;

	if (command_plan(agent, &request, &report, &err) < 0)
		fail_msg("%s", err.text);

	assert_part(report, "driver", "null");
	assert_part(report, "kernels",
		    "[{'release':'" MACHINE_KERNEL "','action':'build'}]");
	assert_false(would_change(report, "/usr"));
	assert_true(would_change(report, PATHS_GRIDD_CONF));
	assert_int_equal(json_get_int(report, "would_fail", 0), ERROR_NO_MATCH);
	agent_stage_end(agent);
}

/* A driver that lies in the guest, so that an installation comes to its own end. */
#define COPY                                                                            \
	"d=$(cat <&4); { printf %s \"$d\" >&5; } 2>/dev/null; "                         \
	"set -- $(printf %s \"$d\" | sha256sum); echo \"{\\\"result\\\":{\\\"size\\\":" \
	"${#d},\\\"sha256\\\":\\\"$1\\\",\\\"bytes_transferred\\\":0,"                  \
	"\\\"verified\\\":false}}\" >&3"
#define INSPECT                                                                         \
	"echo '{\"result\":{\"kind\":\"run\",\"version\":\"" MACHINE_NEW "\",\"arch\":" \
	"\"x86_64\",\"members\":[]}}' >&3"

static const struct agent_stage_answer local[] = {
	{ "list", FILES },
	{ "copy", COPY },
	{ "inspect", INSPECT },
	{ NULL, NULL },
};

static void as_it_is(struct agent *agent, const struct sysroot *sysroot)
{
	(void)agent;
	(void)sysroot;
}

static void no_gpu(struct agent *agent, const struct sysroot *sysroot)
{
	struct error err = ERROR_INIT;

	(void)sysroot;
	assert_int_equal(root_remove_tree(&agent->context.root, "/bus", &err), 0);
}

static void nothing_fits(struct agent *agent, const struct sysroot *sysroot)
{
	(void)sysroot;
	agent->context.settings.driver.url[0] = '\0';
	(void)strcpy(agent->context.settings.driver.version, "470.63");
}

static void no_repository(struct agent *agent, const struct sysroot *sysroot)
{
	nothing_fits(agent, sysroot);
	agent->context.settings.driver.repository[0] = '\0';
}

static void no_checksum(struct agent *agent, const struct sysroot *sysroot)
{
	static const struct agent_stage_answer unsummed[] = {
		{ "list", LIST("{\"name\":\"" FILE_NAME "\",\"size\":7}") },
		{ NULL, NULL },
	};

	nothing_fits(agent, sysroot);
	(void)strcpy(agent->context.settings.driver.version, MACHINE_NEW);
	(void)strcpy(agent->context.settings.driver.repository, "http://x.example/");
	agent_stage_worker(agent, sysroot, unsummed);
}

static void no_room(struct agent *agent, const struct sysroot *sysroot)
{
	static const struct agent_stage_answer huge[] = {
		{ "list", LIST("{\"name\":\"" FILE_NAME "\",\"size\":900000000000000000,"
			       "\"sha256\":\"" SHA "\"}") },
		{ NULL, NULL },
	};

	nothing_fits(agent, sysroot);
	(void)strcpy(agent->context.settings.driver.version, MACHINE_NEW);
	agent_stage_worker(agent, sysroot, huge);
}

static void module_masked(struct agent *agent, const struct sysroot *sysroot)
{
	(void)agent;
	sysroot_mkdir(sysroot, "/etc/modprobe.d");
	sysroot_write(sysroot, "/etc/modprobe.d/x.conf", "alias nvidia off\n");
}

static void gpu_kept(struct agent *agent, const struct sysroot *sysroot)
{
	char link[PATH_MAX];

	(void)agent;
	(void)snprintf(link, sizeof(link), "%s/bus/pci/devices/0000:06:00.0/driver",
		       sysroot->dir);
	assert_int_equal(symlink("../../../bus/pci/drivers/vfio-pci", link), 0);
}

static void no_signer(struct agent *agent, const struct sysroot *sysroot)
{
	(void)agent;
	sysroot_mkdir(sysroot, "/sys/module/module/parameters");
	sysroot_write(sysroot, "/sys/module/module/parameters/sig_enforce", "Y\n");
}

static void nothing_prebuilt(struct agent *agent, const struct sysroot *sysroot)
{
	(void)sysroot;
	(void)strcpy(agent->context.settings.driver.prebuilt, "only");
}

static void no_compiler(struct agent *agent, const struct sysroot *sysroot)
{
	(void)strcpy(agent->context.settings.driver.prerequisites, "never");
	root_discard(&sysroot->root, "/usr/bin/gcc-12");
}

static void no_headers(struct agent *agent, const struct sysroot *sysroot)
{
	(void)strcpy(agent->context.settings.driver.prerequisites, "never");
	root_discard(&sysroot->root, "/lib/modules/" MACHINE_KERNEL "/build/Makefile");
}

/* What was done to the driver that is there is not known any more. */
static void record_lost(struct agent *agent, const struct sysroot *sysroot)
{
	sysroot_program(sysroot, PATHS_SMI);
	agent->state.lost = true;
}

static void masked_without_compiler(struct agent *agent, const struct sysroot *sysroot)
{
	no_compiler(agent, sysroot);
	module_masked(agent, sysroot);
}

static void no_signer_and_no_compiler(struct agent *agent, const struct sysroot *sysroot)
{
	no_compiler(agent, sysroot);
	no_signer(agent, sysroot);
}

static const struct {
	void (*spoil)(struct agent *agent, const struct sysroot *sysroot);
	enum error_code code;
	const char *check; /* NULL: there is none of it */
} refusals[] = {
	{ as_it_is, ERROR_NONE, NULL },
	{ no_gpu, ERROR_NO_GPU, NULL },
	{ nothing_fits, ERROR_NO_MATCH, "match" },
	{ no_repository, ERROR_NO_MATCH, "match" },
	{ no_checksum, ERROR_INTEGRITY, NULL },
	{ no_room, ERROR_PREREQUISITES, "space" },
	{ module_masked, ERROR_INSTALL, "modprobe" },
	{ gpu_kept, ERROR_INSTALL, "vfio" },
	{ no_signer, ERROR_SECURE_BOOT, "secure_boot" },
	{ nothing_prebuilt, ERROR_PREREQUISITES, "compiler" },
	{ no_compiler, ERROR_PREREQUISITES, "compiler" },
	{ no_headers, ERROR_PREREQUISITES, "headers" },
	{ record_lost, ERROR_INTERNAL, "state" },
	{ masked_without_compiler, ERROR_INSTALL, "modprobe" },
	{ no_signer_and_no_compiler, ERROR_SECURE_BOOT, "secure_boot" },
};

static struct agent *begin_refusal(const struct sysroot *sysroot, size_t row)
{
	struct agent *agent = begin(sysroot, local);

	sysroot_mkdir(sysroot, "/srv");
	sysroot_write(sysroot, "/srv/" FILE_NAME, MACHINE_NEW);
	agent->context.settings.driver.version[0] = '\0';
	(void)strcpy(agent->context.settings.driver.url, "file:///srv/" FILE_NAME);
	(void)strcpy(agent->context.settings.driver.integrity, "require");
	refusals[row].spoil(agent, sysroot);
	return agent;
}

static bool is_refused(const struct json *report, const char *name)
{
	const struct json *checks = json_get(report, "checks");

	for (size_t i = 0; i < json_count(checks); i++) {
		const struct json *item = json_at(checks, i);

		if (strcmp(json_get_string(item, "name"), name) == 0)
			return !json_get_bool(item, "ok", true);
	}
	return false;
}

static void what_install_refuses_by_the_plan_says_before(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		struct agent *agent = begin_refusal(*state, i);
		cleanup_json struct json *report = NULL, *done = NULL;
		struct error plan = ERROR_INIT, install = ERROR_INIT;
		int64_t foreseen;

		/* Of what the plan itself ends with there may be no report. */
		foreseen = command_plan(agent, &request, &report, &plan) < 0 && !report
				   ? plan.code
				   : json_get_int(report, "would_fail", ERROR_NONE);
		if (refusals[i].check && !is_refused(report, refusals[i].check))
			fail_msg("row %zu: no check %s", i, refusals[i].check);
		agent_stage_end(agent);

		agent = begin_refusal(*state, i);
		if (command_run_install(agent, &request, &done, &install) == 0)
			install.code = ERROR_NONE;
		if (foreseen != install.code || install.code != refusals[i].code)
			fail_msg("row %zu: foreseen %d, installed %d (%s)", i,
				 (int)foreseen, (int)install.code, install.text);
		agent_stage_end(agent);
	}
}

/* What cannot be asked is no plan; what is known is told anyway. */
static void a_plan_that_cannot_be_made_is_an_error(void **state)
{
	static const struct agent_stage_answer down[] = {
		{ "list",
		  "echo '{\"error\":{\"name\":\"network\",\"message\":\"503\"}}' >&3" },
		{ NULL, NULL },
	};
	static const struct agent_stage_answer unsummed[] = {
		{ "list", LIST("{\"name\":\"" FILE_NAME "\",\"size\":7}") },
		{ NULL, NULL },
	};
	static const struct {
		const struct agent_stage_answer *answers;
		const char *repository, *step;
		enum error_code code;
	} rows[] = {
		{ down, "https://x.example/", "match", ERROR_NETWORK },
		{ unsummed, "http://x.example/", "fetch", ERROR_INTEGRITY },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state, rows[i].answers);
		cleanup_json struct json *report = NULL;
		struct error err = ERROR_INIT;

		(void)strcpy(agent->context.settings.driver.repository,
			     rows[i].repository);
		(void)strcpy(agent->context.settings.driver.integrity, "require");
		assert_int_equal(command_plan(agent, &request, &report, &err), -1);

		assert_int_equal(err.code, rows[i].code);
		assert_string_equal(agent->tools.step, rows[i].step);
		assert_int_equal(json_get_int(report, "would_fail", 0), rows[i].code);
		agent_stage_end(agent);
	}
}

static void a_guest_that_is_none_has_no_plan(void **state)
{
	static const struct {
		const char *kernel;
		enum error_code code;
	} rows[] = { { NULL, ERROR_NO_GPU },
		     { "6.1.0-99", ERROR_USAGE },
		     { "no/kernel", ERROR_USAGE } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state, one_file);
		struct json *report = NULL;
		struct error err = ERROR_INIT;

		request.options.kernels[0] = rows[i].kernel;
		request.options.kernel_count = rows[i].kernel != NULL;
		if (!rows[i].kernel)
			assert_int_equal(
				root_remove_tree(&agent->context.root, "/bus", &err), 0);
		assert_int_equal(command_plan(agent, &request, &report, &err), -1);

		assert_int_equal(err.code, rows[i].code);
		assert_null(report);
		assert_string_equal(agent->tools.step, "detect");
		agent_stage_end(agent);
	}
}

static void what_is_here_is_told_with_and_without_a_gpu(void **state)
{
	for (unsigned gpus = 0; gpus < 2; gpus++) {
		struct agent *agent = begin(*state, one_file);
		cleanup_json struct json *report = NULL;
		struct error err = ERROR_INIT;

		if (!gpus)
			assert_int_equal(
				root_remove_tree(&agent->context.root, "/bus", &err), 0);
		assert_int_equal(command_plan_detect(agent, &request, &report, &err),
				 gpus ? 0 : -1);

		assert_int_equal(err.code, gpus ? ERROR_NONE : ERROR_NO_GPU);
		assert_int_equal(json_count(json_get(report, "gpus")), gpus);
		assert_string_equal(json_get_string(json_get(report, "os"), "id"),
				    "debian");
		assert_part(report, "kernels",
			    "[{'release':'" MACHINE_KERNEL
			    "','running':true,'headers':true}]");
		agent_stage_end(agent);
	}
}

/* The image's GPU is another machine's: nothing is asked of this one. */
static void an_image_is_planned_without_a_gpu_and_metadata(void **state)
{
	struct agent *agent = begin(*state, one_file);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;

	agent->context.offline = true;
	agent->context.settings.metadata.enabled = true;
	if (command_plan(agent, &request, &report, &err) < 0)
		fail_msg("%s", err.text);

	assert_string_equal(json_get_string(json_get(report, "driver"), "version"),
			    MACHINE_NEW);
	agent_stage_end(agent);
}

#define OTHER_BRANCH "535.183.01"
#define OTHER_NAME "NVIDIA-Linux-x86_64-" OTHER_BRANCH "-grid.run"

/* This machine's GPU, driver, kernels, gridd.conf and metadata are not the guest's. */
static void a_supposed_guest_gets_what_fits_its_host(void **state)
{
	static const struct agent_stage_answer two[] = {
		{ "list", LIST("{\"name\":\"" FILE_NAME "\",\"size\":1048576},"
			       "{\"name\":\"" OTHER_NAME "\",\"size\":1048576}") },
		{ NULL, NULL },
	};
	static const struct {
		const char *host, *version;
		int fails;
	} rows[] = { { "550.127.06", MACHINE_NEW, 0 },
		     { "535.183.04", OTHER_BRANCH, 0 },
		     { "470.63.01", NULL, ERROR_NO_MATCH } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state, two);
		cleanup_json struct json *report = NULL;
		struct error err = ERROR_INIT;
		const struct json *driver;

		agent->context.settings.driver.version[0] = '\0';
		agent->context.settings.metadata.enabled = true;
		agent->guest.installed.grid = true;
		request.options.host_version = rows[i].host;
		request.options.kernels[0] = "6.12.0-1-elsewhere";
		request.options.kernel_count = 1;
		if (command_plan(agent, &request, &report, &err) < 0)
			fail_msg("%s", err.text);

		driver = json_get(report, "driver");
		assert_int_equal(json_get_int(report, "would_fail", 0), rows[i].fails);
		if (rows[i].version)
			assert_string_equal(json_get_string(driver, "version"),
					    rows[i].version);
		else
			assert_int_equal(json_kind(driver), JSON_KIND_NULL);
		assert_part(report, "kernels",
			    "[{'release':'6.12.0-1-elsewhere','action':'build'}]");
		assert_false(would_change(report, PATHS_GRIDD_CONF));
		assert_int_equal(machine.count, 0);
		agent_stage_end(agent);
	}
}

static const char *unasked(const struct json *report, const char *what)
{
	const struct json *list = json_get(report, "unasked");

	for (size_t i = 0; i < json_count(list); i++) {
		const struct json *one = json_at(list, i);

		if (strcmp(json_get_string(one, "what"), what) == 0)
			return json_get_string(one, "why");
	}
	return NULL;
}

/* Whatever of it the plan can do without. */
static void what_could_not_be_asked_is_in_the_plan(void **state)
{
	static const struct agent_stage_answer down[] = {
		{ "list",
		  "echo '{\"error\":{\"name\":\"network\",\"message\":\"503\"}}' >&3" },
		{ "metadata",
		  "echo '{\"result\":{\"found\":false,\"object\":{},\"token\":null,"
		  "\"token_source\":null,\"token_check\":null,\"sources\":[],"
		  "\"service\":\"absent\",\"warnings\":[],\"silent\":true,"
		  "\"service_object\":{},\"service_token_sha256\":null}}' >&3" },
		{ NULL, NULL },
	};
	static const struct agent_stage_answer catalog[] = {
		{ "list", "echo '{\"result\":{\"source\":\"manifest\",\"verified\":true,"
			  "\"files\":[],\"warnings\":[],\"catalog\":{\"branches\":[],"
			  "\"drivers\":[]},\"index\":null,\"index_verified\":false,"
			  "\"index_signed\":false,\"index_key\":null}}' >&3" },
		{ NULL, NULL },
	};
	static const struct {
		const struct agent_stage_answer *answers;
		const char *what, *host;
	} rows[] = { { down, "repository", NULL },
		     { down, "repository", "550.127.06" },
		     { down, "metadata", NULL },
		     { catalog, "catalog", "550.127.06" },
		     { one_file, NULL, NULL } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state, rows[i].answers);
		cleanup_json struct json *report = NULL;
		struct error err = ERROR_INIT;

		agent->context.settings.metadata.enabled =
			rows[i].what && strcmp(rows[i].what, "metadata") == 0;
		request.options.host_version = rows[i].host;
		if (command_plan(agent, &request, &report, &err) < 0 && !report)
			fail_msg("%s", err.text);

		if (rows[i].what)
			assert_non_null(unasked(report, rows[i].what));
		else
			assert_int_equal(json_count(json_get(report, "unasked")), 0);
		agent_stage_end(agent);
	}
}

/* Whoever plans waits before a terminal: what is set for a boot is too patient. */
static void the_network_is_asked_once_and_shortly(void **state)
{
	struct agent *agent = begin(*state, one_file);
	cleanup_json struct json *report = NULL;
	cleanup_free char *text = NULL;
	struct error err = ERROR_INIT;
	size_t size;

	agent->context.settings.http.retries = 8;
	agent->context.settings.http.stall_timeout = 3;
	if (command_plan(agent, &request, &report, &err) < 0)
		fail_msg("%s", err.text);

	assert_int_equal(
		file_read(&agent->context.root, "/requests", 65536, &text, &size, &err),
		0);
	assert_non_null(strstr(text, "\"retries\":0"));
	assert_non_null(strstr(text, "\"connect_timeout\":5"));
	assert_non_null(strstr(text, "\"stall_timeout\":3"));
	agent_stage_end(agent);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_plan_tells_what_would_be_done_and_does_nothing),
		TEST(dkms_has_its_own_places),
		TEST(a_local_file_costs_no_transfer),
		TEST(why_no_driver_is_chosen_is_a_part_of_the_plan),
		TEST(what_install_refuses_by_the_plan_says_before),
		TEST(a_plan_that_cannot_be_made_is_an_error),
		TEST(a_guest_that_is_none_has_no_plan),
		TEST(what_is_here_is_told_with_and_without_a_gpu),
		TEST(an_image_is_planned_without_a_gpu_and_metadata),
		TEST(a_supposed_guest_gets_what_fits_its_host),
		TEST(what_could_not_be_asked_is_in_the_plan),
		TEST(the_network_is_asked_once_and_shortly),
	};

	return cmocka_run_group_tests_name("command_plan", tests, NULL, NULL);
}
